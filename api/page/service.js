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

  async #call(path, mediaType, signal) {
    let response;
    try {
      response = await fetch(this.#root.href + path, {
        headers: { Authorization: this.#token, Accept: mediaType },
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
