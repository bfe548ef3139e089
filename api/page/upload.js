// Uploads a file by the tus protocol 1.0: when the connection breaks, it goes on where the service has the last byte.

import { Problem, Unreachable } from "./service.js";

/** Bytes of a request: small enough for what stands between, and large enough to be few. */
const PART = 32 << 20;
/** Milliseconds until it is tried again: at first, and at most. */
const RETRY = [1_000, 30_000];
/** Milliseconds between two questions what became of it. */
const ASK = 1_000;

const SPOKEN = { "Tus-Resumable": "1.0.0" };

/** What an upload tells while it goes on. @typedef {{sent: (bytes: number) => void, trouble: (why: string | null, seconds: number) => void, checking: () => void}} Listener */

export class Upload {
  #service;
  #file;
  #metadata;
  #told;
  #id;
  #signal;

  /**
   * @param {import("./service.js").Service} service
   * @param {File} file
   * @param {Record<string, string>} metadata what the service is told of it
   * @param {Listener} told
   * @param {AbortSignal} signal
   */
  constructor(service, file, metadata, told, signal) {
    this.#service = service;
    this.#file = file;
    // by these the same file is known again
    this.#metadata = encode({ ...metadata, filename: file.name, modified: String(file.lastModified) });
    this.#told = told;
    this.#signal = signal;
    this.#id = "";
  }

  /** Uploads all of it; gives what became of it, as the service describes it. */
  async run() {
    this.#id = await this.#patiently(() => this.#found());
    await this.#patiently(() => this.#rest());
    this.#told.checking();
    for (;;) {
      const upload = await this.#patiently(() => this.#service.upload(this.#id, this.#signal));
      if (upload.state === "taken_in" || upload.state === "refused") return upload;
      // the service lost what it had, as when its store was restored
      if (upload.state === "receiving") await this.#patiently(() => this.#rest());
      await pause(ASK, this.#signal);
    }
  }

  /** Removes what has arrived. */
  async forget() {
    if (this.#id === "") return;
    const { signal } = new AbortController();
    await this.#service.change("DELETE", this.#path(), signal, { headers: SPOKEN });
  }

  #path() {
    return `/uploads/${this.#id}`;
  }

  /** The upload of this very file that was begun before, else a new one. */
  async #found() {
    const begun = await this.#service.uploads(this.#signal);
    const same = begun.find((upload) => upload.metadata === this.#metadata && upload.length === this.#file.size);
    if (same) return same.upload_id;
    const headers = { ...SPOKEN, "Upload-Length": String(this.#file.size), "Upload-Metadata": this.#metadata };
    const answer = await this.#service.change("POST", "/uploads", this.#signal, { headers });
    return (answer.headers.get("Location") ?? "").split("/").at(-1) ?? "";
  }

  async #rest() {
    for (;;) {
      const answer = await this.#service.change("HEAD", this.#path(), this.#signal, { headers: SPOKEN });
      const offset = Number(answer.headers.get("Upload-Offset"));
      this.#told.sent(offset);
      if (offset >= this.#file.size) return;
      const part = this.#file.slice(offset, offset + PART);
      const headers = { ...SPOKEN, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
      await this.#service.send(this.#path(), headers, part, (bytes) => this.#told.sent(offset + bytes), this.#signal);
      this.#told.trouble(null, 0);
    }
  }

  /** Does something, and again when that may help. */
  async #patiently(work) {
    for (let failures = 0; ; failures += 1) {
      try {
        const done = await work();
        if (failures > 0) this.#told.trouble(null, 0);
        return done;
      } catch (error) {
        if (this.#signal.aborted || !passes(error)) throw error;
        const asked = error instanceof Problem && error.retryAfter !== null ? error.retryAfter * 1000 : 0;
        const longest = Math.max(Math.min(RETRY[0] * 2 ** failures, RETRY[1]), asked);
        this.#told.trouble(error.message, Math.round(longest / 1000));
        await pause(longest, this.#signal);
      }
    }
  }
}

/** 409: another request, such as one that broke, has just gone on; 507: somebody may make room. */
const passes = (error) =>
  error instanceof Unreachable || (error instanceof Problem && (error.status >= 500 || [408, 409, 423, 429].includes(error.status)));

/** As `Upload-Metadata`. @param {Record<string, string>} metadata */
function encode(metadata) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(metadata).map(([key, value]) => `${key} ${base64(value)}`).join(",");
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
