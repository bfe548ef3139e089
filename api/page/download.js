// Downloads a result: to a file as it comes where the browser can do that, else by way of the browser's memory.

import { Problem, Unreachable } from "./service.js";
import { element, name, show, size, the } from "./words.js";

/** By their names in the description of a run: media type, and what people call it. */
const FORMATS = {
  json: ["application/json", "JSON"],
  csv: ["text/csv", "CSV, for spreadsheets and statistics"],
  ndjson: ["application/x-ndjson", "NDJSON, a JSON document a line"],
  parquet: ["application/vnd.apache.parquet", "Parquet, for data science"],
};
/** Bytes from which on people are asked whether they want that in memory. */
const LARGE = 500_000_000;

const KINDS = {
  groups: ["groups", "Groups of records that belong to one person. A record is given by its party and its place in that "
    + "party's file, counted from 0. All formats but JSON name the parties and tell how similar the records of a group are."],
  similarity_scores: ["similarity-scores", "All pairs at or above the threshold with their similarity, the most similar first. "
    + "A record is given by its party and its place in that party's file, counted from 0. All formats but JSON name the parties."],
  mask: ["mask", "The mask: for each place 1 if the records there belong to one person, else 0."],
  permutation: ["permutation", "Your party's permutation: for each of your records, in the order of your file, its new place."],
};

export class Downloads {
  #service;
  #run = "";
  #stem = "";
  #busy = false;
  #aborter = new AbortController();

  /** @param {import("./service.js").Service} service */
  constructor(service) {
    this.#service = service;
    // over those of a session before
    the("download-form").onsubmit = (event) => {
      event.preventDefault();
      this.#download();
    };
    the("download-cancel").onclick = () => this.#aborter.abort();
  }

  /**
   * Offers the result of a run.
   * @param {any} project
   * @param {string} run
   * @param {boolean} all whether the token is the result token
   * @param {string[] | undefined} formats the names of those that the run has written; all, when it does not say
   */
  offer(project, run, all, formats) {
    const permutations = project.result_type === "permutations";
    const [kind, explained] = KINDS[permutations ? (all ? "mask" : "permutation") : project.result_type];
    this.#run = run;
    this.#stem = [kind, ...[project.project_id, run].map((id) => name(id).replace("…", ""))].join("-");
    const known = Object.entries(FORMATS).filter(([format]) => formats?.includes(format) ?? true);
    the("format").replaceChildren(...known.map(([format, [, title]]) => element("option", { value: format }, title)));
    the("result").hidden = false;
    show(the("result-kind"), explained);
    for (const part of ["download-text", "download-problem"]) show(the(part), null);
  }

  end() {
    this.#aborter.abort();
  }

  async #download() {
    // not disabled: a button that is would lose the focus
    if (this.#busy) return;
    this.#busy = true;
    const aborter = new AbortController();
    this.#aborter = aborter;
    const say = (text) => show(the("download-text"), text);
    const format = the("format").value;
    show(the("download-problem"), null);
    say("Asking for the result …");
    the("download-cancel").hidden = false;
    try {
      const response = await this.#service.result(this.#run, FORMATS[format][0], aborter.signal);
      const saved = await this.#save(response, format, aborter.signal);
      say(saved);
    } catch (error) {
      if (aborter.signal.aborted || isAbort(error)) say("Not downloaded.");
      else {
        say("");
        show(the("download-problem"), reason(error));
      }
      aborter.abort();
    } finally {
      this.#busy = false;
      for (const part of ["download-cancel", "download-progress", "download-question"]) the(part).hidden = true;
    }
  }

  /** @param {Response} response @param {string} format its name, which is its files' ending @param {AbortSignal} signal */
  async #save(response, format, signal) {
    const file = `${this.#stem}.${format}`;
    const bytes = Number(response.headers.get("Content-Length") ?? Number.NaN);
    const place = await chooseFile(file, format);
    if (place === null && bytes > LARGE) await this.#ask(bytes, signal);
    const counted = response.body.pipeThrough(counting(bytes));
    if (place === null) await saveByMemory(file, FORMATS[format][0], counted);
    else await counted.pipeTo(await place.createWritable(), { signal });
    return `Downloaded: ${place?.name ?? file}${Number.isFinite(bytes) ? `, ${size(bytes)}` : ""}.`;
  }

  #ask(bytes, signal) {
    show(the("download-question-text"), `The result has ${size(bytes)}, and this browser has to keep all of it until it is complete. `
      + "Chrome and Edge can write it to a file as it comes, and so can programs such as curl.");
    the("download-question").hidden = false;
    return new Promise((resolve, reject) => {
      the("download-anyway").onclick = () => {
        the("download-question").hidden = true;
        resolve(undefined);
      };
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }
}

/** Where to write to; null where the browser has no way to let people choose. */
async function chooseFile(suggestedName, format) {
  if (!("showSaveFilePicker" in window)) return null;
  const [type, description] = FORMATS[format];
  const types = [{ description, accept: { [type]: [`.${format}`] } }];
  try {
    return await /** @type {any} */ (window).showSaveFilePicker({ suggestedName, types });
  } catch (error) {
    // people have changed their minds; else it is the browser that does not allow it
    if (isAbort(error)) throw error;
    return null;
  }
}

async function saveByMemory(file, type, stream) {
  const blob = await new Response(stream, { headers: { "Content-Type": type } }).blob();
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: file }).click();
  // the browser has taken it over by then
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Shows how far a download is. @param {number} all bytes */
function counting(all) {
  const bar = the("download-progress");
  bar.hidden = false;
  bar.removeAttribute("value");
  let done = 0;
  return new TransformStream({
    transform(chunk, controller) {
      done += chunk.byteLength;
      if (all > 0) bar.value = Math.min(done / all, 1);
      controller.enqueue(chunk);
    },
  });
}

const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

function reason(error) {
  if (error instanceof Problem || error instanceof Unreachable) return error.message;
  return "The download broke off before its end. Please try again.";
}
