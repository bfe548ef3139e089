// Looks again and again: often while something happens, rarely while nothing does, and never in a tab that is hidden.

import { Problem, Unreachable } from "./service.js";

/** Milliseconds after which a service that could not answer is asked again: at first, and at most. */
const RETRY = [2_000, 30_000];

export class Watch {
  #look;
  #trouble;
  #timer = 0;
  #failures = 0;
  #aborter = new AbortController();
  #looking = false;
  #ended = false;

  /**
   * @param {(signal: AbortSignal) => Promise<number>} look looks, and says after how many milliseconds to look again
   * @param {(error: Error | null, seconds: number | null) => void} trouble is told what went wrong and in how many
   *   seconds it is tried again (null: never), and null when all is well again
   */
  constructor(look, trouble) {
    this.#look = look;
    this.#trouble = trouble;
    document.addEventListener("visibilitychange", this.soon);
  }

  /** Looks now. */
  soon = () => {
    clearTimeout(this.#timer);
    if (!this.#ended && !this.#looking && !document.hidden) this.#round();
  };

  /** Gives up what is under way, and looks now at something else. */
  again() {
    this.#aborter.abort();
    this.#aborter = new AbortController();
    this.#looking = false;
    this.soon();
  }

  end() {
    this.#ended = true;
    this.#aborter.abort();
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.soon);
  }

  async #round() {
    this.#looking = true;
    const { signal } = this.#aborter;
    let pause;
    try {
      pause = await this.#look(signal);
      if (signal.aborted) return;
      if (this.#failures > 0) this.#trouble(null, null);
      this.#failures = 0;
    } catch (error) {
      // whoever aborted it goes on by itself
      if (signal.aborted) return;
      pause = this.#after(error);
    }
    this.#looking = false;
    if (pause === null) return this.end();
    // a hidden tab looks when it is shown
    if (!document.hidden) this.#timer = setTimeout(this.soon, pause);
  }

  /** @param {unknown} error */
  #after(error) {
    // 429: not of the service, which says 503, but of something in front of it
    const passing = error instanceof Unreachable || (error instanceof Problem && (error.status >= 500 || error.status === 429));
    if (!passing) {
      this.#trouble(/** @type {Error} */ (error), null);
      return null;
    }
    const pause = Math.min(RETRY[0] * 2 ** this.#failures, RETRY[1]);
    const asked = error instanceof Problem && error.retryAfter !== null ? error.retryAfter * 1000 : 0;
    this.#failures += 1;
    const longest = Math.max(pause, asked);
    this.#trouble(/** @type {Error} */ (error), Math.round(longest / 1000));
    return longest;
  }
}
