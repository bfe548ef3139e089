// The REST service, called with the token that was typed in. The token is in this module's object and nowhere else.

/** For how long an answer may let itself be waited for, in milliseconds. */
const PATIENCE = 30_000;

/** An answer that is no success, in the words of the service (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {number | null} retryAfter seconds
   */
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No answer at all: the network, or the service, is away. */
export class Unreachable extends Error {}

/** One project of the service, seen with one token. */
export class Service {
  #token;
  #root;

  /**
   * @param {string} project
   * @param {string} token
   */
  constructor(project, token) {
    this.#token = token;
    // relative to the page, so that it is right behind a proxy that adds to the path
    this.#root = new URL(`api/v1/projects/${encodeURIComponent(project)}`, document.baseURI);
  }

  /** From now on the service cannot be called any more. */
  forget() {
    this.#token = "";
  }

  /** The token that was typed in is of no use any more. @param {string} token */
  replaceToken(token) {
    this.#token = token;
  }

  project(/** @type {AbortSignal} */ signal) {
    return this.#json("", signal);
  }

  runs(/** @type {AbortSignal} */ signal) {
    return this.#json("/runs", signal);
  }

  /**
   * What there is about a run: "" for its description, "/status", "/histogram".
   * @param {string} run
   * @param {string} what
   * @param {AbortSignal} signal
   */
  run(run, what, signal) {
    return this.#json(`/runs/${encodeURIComponent(run)}${what}`, signal);
  }

  /**
   * A run's result, as it comes.
   * @param {string} run
   * @param {string} mediaType
   * @param {AbortSignal} signal
   * @returns {Promise<Response>}
   */
  result(run, mediaType, signal) {
    return this.#call(`/runs/${encodeURIComponent(run)}/result`, mediaType, signal);
  }

  /** What a party may know of a project before it uploads. */
  invitation(/** @type {AbortSignal} */ signal) {
    return this.#json("/invitation", signal);
  }

  /** The party's uploads that are not ended: only an update token opens this. */
  uploads(/** @type {AbortSignal} */ signal) {
    return this.#json("/uploads", signal);
  }

  /**
   * What becomes of an upload.
   * @param {string} id
   * @param {AbortSignal} signal
   */
  upload(id, signal) {
    return this.#json(`/uploads/${encodeURIComponent(id)}`, signal);
  }

  /**
   * Calls what is below the project by a method other than GET.
   * @param {string} method
   * @param {string} path
   * @param {AbortSignal} signal
   * @param {{headers?: Record<string, string>, body?: string}} more
   * @returns {Promise<Response>}
   */
  async change(method, path, signal, more = {}) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
    return this.#call(path, "application/json", limit, { method, ...more });
  }

  /**
   * The same with a document, which is answered with one.
   * @param {string} path
   * @param {any} document
   * @param {AbortSignal} signal
   * @param {Record<string, string>} headers
   */
  async post(path, document, signal, headers = {}) {
    const more = { headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(document) };
    const answer = await this.change("POST", path, signal, more);
    try {
      return await answer.json();
    } catch {
      throw new Unreachable("The answer of the service broke off.");
    }
  }

  /**
   * Sends a part of a file, and tells how far it is: only the older kind of request does that.
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {Blob} part
   * @param {(bytes: number) => void} told
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  send(path, headers, part, told, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const abort = () => request.abort();
      signal.addEventListener("abort", abort);
      request.open("PATCH", this.#root.href + path);
      for (const [name, value] of Object.entries({ ...headers, Authorization: this.#token })) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => told(event.loaded);
      request.onabort = () => reject(signal.reason);
      request.onerror = () => reject(new Unreachable("The connection broke."));
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) return resolve();
        // a status that has no body may not be given one
        const body = request.responseText || null;
        const headers = { "Retry-After": request.getResponseHeader("Retry-After") ?? "" };
        problem(new Response(body, { status: request.status, statusText: request.statusText, headers })).then(reject);
      };
      request.onloadend = () => signal.removeEventListener("abort", abort);
      request.send(part);
    });
  }

  async #json(path, signal) {
    const limit = AbortSignal.timeout(PATIENCE);
    const response = await this.#call(path, "application/json", AbortSignal.any([signal, limit]));
    try {
      return await response.json();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Unreachable("The answer of the service broke off, or is not of this service.");
    }
  }

  async #call(path, mediaType, signal, { method = "GET", headers = {}, body = undefined } = {}) {
    let response;
    try {
      response = await fetch(this.#root.href + path, {
        method,
        body,
        headers: { ...headers, Authorization: this.#token, Accept: mediaType },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        signal,
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Unreachable("The service cannot be reached.");
    }
    if (response.ok) return response;
    throw await problem(response);
  }
}

/** @param {Response} response */
async function problem(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  let detail = `The service answered ${response.status} ${response.statusText}`.trim();
  try {
    detail = (await response.json()).detail ?? detail;
  } catch {
    // not of the service, but of something in front of it
  }
  return new Problem(response.status, detail, Number.isFinite(seconds) ? seconds : null);
}
