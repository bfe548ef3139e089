// How long a run still takes, from how fast it has advanced of late.

/** Milliseconds over which the speed is taken, so that it does not jump; and the least that it is taken from. */
const WINDOW = 60_000;
const LEAST = 4_000;
/** How often it must have been seen to advance. */
const STEPS = 3;

export class Remaining {
  /** @type {{time: number, share: number}[]} */
  #seen = [];

  /**
   * Notes what share of the work, from 0 to 1, is done at a time in milliseconds.
   * @param {number} share
   * @param {number} time
   */
  note(share, time) {
    const last = this.#seen.at(-1);
    // another run of the same work, such as after a restart
    if (last && share < last.share) this.#seen = [];
    // while it stands still, only the latest time counts
    if (last && share === last.share && this.#seen.at(-2)?.share === share) this.#seen.pop();
    this.#seen.push({ time, share });
    while (this.#seen.length > 2 && this.#seen[1].time <= time - WINDOW) this.#seen.shift();
  }

  /**
   * Seconds until all is done; null while that cannot be told.
   * @returns {number | null}
   */
  seconds() {
    const first = this.#seen[0];
    const last = this.#seen.at(-1);
    if (!first || !last || last.share >= 1) return null;
    const steps = new Set(this.#seen.map((seen) => seen.share)).size;
    const [time, share] = [last.time - first.time, last.share - first.share];
    if (steps < STEPS || time < LEAST || share <= 0) return null;
    return ((1 - last.share) * time) / share / 1000;
  }
}

/**
 * A time in words, as coarse as an estimate is.
 * @param {number} seconds
 */
export function inWords(seconds) {
  const about = (number, unit) => `about ${number} ${unit}${number === 1 ? "" : "s"} left`;
  if (seconds < 10) return "a few seconds left";
  if (seconds < 55) return about(Math.ceil(seconds / 10) * 10, "second");
  if (seconds < 90 * 60) return about(Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 36 * 3600) return about(Math.round(seconds / 3600), "hour");
  return about(Math.round(seconds / 86400), "day");
}
