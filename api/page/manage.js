// What the holder of the result token may change: create runs, delete one or the whole project, and replace the tokens.

import { Problem, Unreachable } from "./service.js";
import { element, name, sentence, show, the } from "./words.js";

export class ManageView {
  #service;
  #told;
  #aborter = new AbortController();
  #busy = false;

  /**
   * @param {import("./service.js").Service} service
   * @param {{created: (run: string) => void, deletedRun: () => void, deletedProject: () => void}} told
   */
  constructor(service, told) {
    this.#service = service;
    this.#told = told;
    // over those of a session before
    the("create-form").onsubmit = (event) => {
      event.preventDefault();
      this.#create(the("new-threshold").valueAsNumber, null);
    };
    the("rotate").onclick = () => this.#ask("Replace all tokens?", "The tokens that everybody holds now will be of no use. You see the new ones "
      + "once, here, and hand them out again.", "Replace them", () => this.#rotate());
    the("delete-project").onclick = () => this.#ask("Delete the project?", "All data that was uploaded, all runs and all results are deleted. "
      + "This cannot be undone.", "Delete the project", async () => {
      await this.#service.change("DELETE", "", this.#aborter.signal);
      this.#told.deletedProject();
    });
    the("new-tokens").hidden = true;
    the("new-tokens-list").replaceChildren();
    show(the("manage-problem"), null);
  }

  /** @param {string} run the one that is shown; may be empty @param {string} state */
  show(run, state) {
    the("manage").hidden = false;
    const button = the("delete-run");
    button.hidden = run === "";
    const under_way = ["created", "queued", "running"].includes(state);
    button.textContent = under_way ? "Cancel this run" : "Delete this run";
    button.onclick = () => this.#ask(under_way ? "Cancel the run?" : "Delete the run?", `The run ${name(run)} and all that it has computed are deleted.`,
      under_way ? "Cancel the run" : "Delete the run", async () => {
        await this.#service.change("DELETE", `/runs/${encodeURIComponent(run)}`, this.#aborter.signal);
        this.#told.deletedRun();
      });
  }

  /** Offers a run with the threshold that a run suggests. @param {string} run @param {{threshold: number} | undefined} suggestion @param {number} threshold the run's own */
  offer(run, suggestion, threshold) {
    const button = the("suggestion-run");
    button.hidden = !suggestion;
    if (!suggestion) return;
    // a higher threshold needs nothing compared anew
    const from = suggestion.threshold >= threshold ? run : null;
    button.onclick = () => this.#create(suggestion.threshold, from);
    if (the("new-threshold").value === "") the("new-threshold").value = String(suggestion.threshold);
  }

  end() {
    this.#aborter.abort();
    the("new-tokens-list").replaceChildren();
    the("new-tokens").hidden = true;
    the("suggestion-run").hidden = true;
    if (the("question").open) the("question").close();
  }

  /** @param {number} threshold @param {string | null} from */
  #create(threshold, from) {
    if (!(threshold > 0 && threshold <= 1)) {
      show(the("manage-problem"), "The threshold is a number above 0, and 1 at most.");
      return the("new-threshold").focus();
    }
    this.#do(async () => {
      const run = await this.#service.post("/runs", from ? { threshold, from_run: from } : { threshold }, this.#aborter.signal);
      this.#told.created(run.run_id);
    });
  }

  async #rotate() {
    // by it the service knows the request again if its answer was lost
    const headers = { "Idempotency-Key": Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("") };
    const rotated = () => this.#service.post("/tokens/rotate", {}, this.#aborter.signal, headers);
    const answer = await rotated().catch((error) => {
      if (error instanceof Unreachable) return rotated();
      throw error;
    });
    const rows = tokens(answer);
    if (answer.tokens_secret) rows.push(["They are written into the Secret", answer.tokens_secret]);
    the("new-tokens-list").replaceChildren(...rows.map(([what, token]) =>
      element("div", {}, element("dt", {}, what), element("dd", { class: "token" }, token))));
    the("new-tokens").hidden = rows.length === 0;
    if (typeof answer.result_token === "string") this.#service.replaceToken(answer.result_token);
    the("new-tokens-title").focus();
  }

  /** Asks before something that cannot be undone. */
  #ask(title, text, yes, work) {
    the("question-title").textContent = title;
    the("question-text").textContent = text;
    the("question-yes").textContent = yes;
    const dialog = the("question");
    the("question-no").onclick = () => dialog.close();
    the("question-yes").onclick = () => {
      dialog.close();
      this.#do(work);
    };
    dialog.showModal();
    the("question-no").focus();
  }

  async #do(work) {
    if (this.#busy) return;
    this.#busy = true;
    show(the("manage-problem"), null);
    try {
      await work();
    } catch (error) {
      if (this.#aborter.signal.aborted) return;
      const known = error instanceof Problem || error instanceof Unreachable;
      show(the("manage-problem"), known ? sentence(error.message) : "That did not work. Please try again.");
    } finally {
      this.#busy = false;
    }
  }
}

/** The tokens in an answer, and what each is for. */
function tokens(answer) {
  const found = [];
  for (const [key, value] of Object.entries(answer ?? {})) {
    const what = sentence(key.replaceAll("_", " ")).slice(0, -1);
    if (typeof value === "string" && /^[0-9a-f]{48}$/.test(value)) found.push([what, value]);
    else if (value instanceof Object) {
      const inner = Array.isArray(value) ? value.map((token, index) => [`party ${index + 1}`, token]) : Object.entries(value);
      found.push(...inner.filter(([, token]) => typeof token === "string" && /^[0-9a-f]{48}$/.test(token)).map(([of, token]) => [`${what} of ${of}`, token]));
    }
  }
  return found;
}
