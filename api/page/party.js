// What a party sees with its update token: what it is invited to, and its upload, from the choice of a file to the receipt.

import { check } from "./check.js";
import { Problem, Unreachable } from "./service.js";
import { Upload } from "./upload.js";
import { count, element, name, percent, say, sentence, show, size, the, time } from "./words.js";

const KINDS = {
  groups: "Groups of records that belong to one person.",
  similarity_scores: "All pairs of similar records, with their similarity.",
  permutations: "For each party an order of its records; only whoever holds the mask learns which of them match.",
};
const STATES = {
  waiting: "not uploaded yet",
  ingesting: "being read",
  contributed: "uploaded",
  rejected: "cannot be used: please upload again",
};

export class PartyView {
  #service;
  #aborter = new AbortController();
  /** @type {{file: File, metadata: Record<string, string>} | null} */
  #chosen = null;
  #checks = 0;
  #busy = false;
  /** @type {Upload | null} */
  #upload = null;

  /** @param {import("./service.js").Service} service */
  constructor(service) {
    this.#service = service;
    // over those of a session before
    the("file").onchange = () => this.#choose();
    the("raw-size").onchange = () => this.#choose();
    the("upload-form").onsubmit = (event) => {
      event.preventDefault();
      this.#start();
    };
    the("upload-cancel").onclick = () => this.#cancel();
    the("upload-form").reset();
    for (const part of ["file-found", "file-problem", "upload-text", "upload-problem"]) show(the(part), null);
    for (const part of ["receipt", "raw", "upload-progress", "upload-cancel"]) the(part).hidden = true;
    the("receipt-token").value = "";
  }

  /**
   * @param {any} invitation null where it could not be had
   * @param {string} project
   * @param {boolean} mayUpload
   */
  show(invitation, project, mayUpload) {
    the("party").hidden = false;
    the("party-upload").hidden = !mayUpload;
    const facts = invitation ?? {};
    say(the("party-title"), facts.name || `Project ${name(project)}`);
    show(the("party-notes"), facts.notes);
    the("party-facts").replaceChildren(...told(facts).map(([term, value]) =>
      element("div", value.length > 60 ? { class: "long" } : {}, element("dt", {}, term), element("dd", {}, value))));
    const bits = facts.encoding_bits ?? facts.schema?.clkConfig?.l;
    if (Number.isInteger(bits) && bits % 8 === 0 && the("raw-size").value === "") the("raw-size").value = String(bits / 8);
  }

  end() {
    this.#aborter.abort();
    the("receipt-token").value = "";
    the("file").value = "";
  }

  /** Whether something would be lost if the page were closed now. */
  get isBusy() {
    return this.#busy;
  }

  async #choose() {
    this.#chosen = null;
    const file = the("file").files[0];
    for (const part of ["file-found", "file-problem", "upload-problem", "upload-text"]) show(the(part), null);
    if (!file) return;
    // one that was chosen since is what counts
    this.#checks += 1;
    const mine = this.#checks;
    show(the("file-found"), "Looking at the file …");
    let found;
    try {
      found = await check(file, the("raw-size").valueAsNumber || 0);
    } catch {
      found = { problem: "The file cannot be read." };
    }
    if (mine !== this.#checks) return;
    const isRaw = "problem" in found ? found.problem.includes("raw encodings") || found.problem.includes("multiple") : found.metadata.form === "binary";
    the("raw").hidden = !isRaw;
    if ("problem" in found) {
      show(the("file-found"), null);
      return show(the("file-problem"), found.problem);
    }
    this.#chosen = { file, metadata: found.metadata };
    show(the("file-found"), `${[file.name, size(file.size), ...found.found].join(" · ")}.`);
  }

  async #start() {
    // not disabled: a button that is would lose the focus
    if (this.#busy) return;
    if (this.#chosen === null) {
      if (the("file-problem").hidden) show(the("file-problem"), "Choose a file first.");
      return the("file").focus();
    }
    const { file, metadata } = this.#chosen;
    this.#busy = true;
    this.#aborter = new AbortController();
    the("receipt").hidden = true;
    show(the("upload-problem"), null);
    the("upload-cancel").hidden = false;
    this.#upload = new Upload(this.#service, file, metadata, this.#listener(file.size), this.#aborter.signal);
    try {
      this.#ended(await this.#upload.run());
    } catch (error) {
      show(the("upload-text"), this.#aborter.signal.aborted ? "Not uploaded." : null);
      if (!this.#aborter.signal.aborted) show(the("upload-problem"), reason(error));
    } finally {
      this.#busy = false;
      for (const part of ["upload-progress", "upload-cancel"]) the(part).hidden = true;
    }
  }

  /** @param {number} all bytes @returns {import("./upload.js").Listener} */
  #listener(all) {
    const bar = the("upload-progress");
    bar.hidden = false;
    bar.removeAttribute("value");
    return {
      sent(bytes) {
        bar.value = Math.min(bytes / all, 1);
        show(the("upload-text"), `${percent(Math.min(bytes / all, 1))} · ${size(Math.min(bytes, all))} of ${size(all)}`);
      },
      trouble(why, seconds) {
        show(the("upload-problem"), why && `${sentence(why)} Nothing is lost; going on in ${seconds} s.`);
      },
      checking() {
        bar.removeAttribute("value");
        show(the("upload-text"), "All of it has arrived, and is being checked …");
      },
    };
  }

  #ended(upload) {
    show(the("upload-problem"), upload.problem ?? upload.warning ? sentence(upload.problem ?? upload.warning) : null);
    if (upload.state === "refused" || upload.warning) return show(the("upload-text"), null);
    show(the("upload-text"), "Your data is there. Thank you.");
    the("receipt-token").value = upload.receipt_token;
    the("receipt").hidden = false;
    the("receipt-title").focus();
  }

  async #cancel() {
    this.#aborter.abort();
    try {
      await this.#upload?.forget();
    } catch {
      // it expires by itself
    }
  }
}

/** What is told of an invitation, as terms and values. */
function told(facts) {
  const own = facts.party ?? {};
  const since = own.time_contributed ? ` since ${time(own.time_contributed)}` : "";
  const records = own.records === undefined ? "" : `, ${count(own.records)} records`;
  const terms = [
    ["You take part as", own.name],
    ["Your data", STATES[own.state] && `${STATES[own.state]}${since}${records}`],
    ["What was wrong", own.message && sentence(own.message)],
    ...(own.warnings ?? []).map((warning) => ["To mind", sentence(warning)]),
    ["What comes of it", KINDS[facts.result_type]],
    ["Blocks", facts.uses_blocking && "Your data must say for each record which blocks it is in."],
    ["What happens with the data", facts.use_of_data],
    ["Deleted at the latest", time(facts.deleted_at)],
  ];
  return terms.filter(([, value]) => value);
}

function reason(error) {
  if (error instanceof Problem || error instanceof Unreachable) return sentence(error.message);
  return "The upload broke off. Choose the file and upload it again: it goes on where it was.";
}
