// The histogram of similarities, and what to expect of a threshold.

import { Problem } from "./service.js";
import { drawChart } from "./chart.js";
import { count, element, say, sentence, share, show, the } from "./words.js";

/** The same score, in floating-point numbers that are rounded as below; bins are far wider. */
const NEAR = 1e-6;
/** How wide the thumb of a slider is, in pixels, in most browsers. */
const THUMB = 16;

/**
 * The bins of some histograms together.
 * @param {any} document as the service gives it
 * @param {any[]} histograms those of them to be added up
 * @returns {{from: number, pairs: number, estimated: boolean}[]}
 */
export function bins(document, histograms) {
  const length = Math.max(0, ...histograms.map((histogram) => histogram.counts.length));
  return Array.from({ length }, (_, index) => {
    const from = round(document.floor + index * document.bin_width);
    const sampled = histograms.filter((histogram) => histogram.sampled_share < 1 && from < histogram.exact_from - NEAR);
    const pairs = histograms.reduce((sum, histogram) => sum + (histogram.counts[index] ?? 0), 0);
    return { from, pairs, estimated: sampled.length > 0 };
  });
}

/**
 * How many pairs are at or above a threshold at which a bin begins, and whether that is an estimate.
 * @param {{from: number, pairs: number, estimated: boolean}[]} bins
 * @param {number} threshold
 */
export function pairsFrom(bins, threshold) {
  const above = bins.filter((bin) => bin.from >= threshold - NEAR);
  return { pairs: above.reduce((sum, bin) => sum + bin.pairs, 0), estimated: above.some((bin) => bin.estimated) };
}

/**
 * What is estimated for a threshold; null where nothing is.
 * @param {{threshold: number, precision: number, recall: number}[]} estimates
 * @param {number} threshold
 * @param {number} width how far away the threshold of an estimate may be
 */
export function estimateAt(estimates, threshold, width) {
  let best = null;
  for (const estimate of estimates) {
    const distance = Math.abs(estimate.threshold - threshold);
    if (distance <= width / 2 + NEAR && (best === null || distance < Math.abs(best.threshold - threshold))) best = estimate;
  }
  return best;
}

// 0.6 + 7 * 0.01 is not quite 0.67
const round = (/** @type {number} */ score) => Math.round(score * 1e6) / 1e6;

export class ScoresView {
  #document = null;
  #bins = [];
  #resized = new ResizeObserver(() => this.#bins.length > 0 && this.#draw());

  constructor() {
    // over those of a session before
    the("threshold").oninput = () => this.#showThreshold();
    the("logarithmic").onchange = () => this.#draw();
    the("between-select").onchange = () => this.#choose();
    the("suggestion-show").onclick = () => this.#suggest();
    this.#resized.observe(the("chart"));
  }

  /**
   * @param {import("./service.js").Service} service
   * @param {string} run
   * @param {AbortSignal} signal
   * @returns {Promise<{threshold: number} | undefined>} what is suggested
   */
  async show(service, run, signal) {
    [this.#document, this.#bins] = [null, []];
    try {
      this.#document = await service.run(run, "/histogram", signal);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
    const there = (this.#document?.histograms ?? []).some((histogram) => histogram.counts.length > 0);
    the("scores").hidden = false;
    the("scores-body").hidden = !there;
    show(the("no-scores"), there ? null : "No histogram of the similarities was recorded for this run.");
    if (there) this.#begin();
    return this.#document?.suggestion ?? undefined;
  }

  end() {
    this.#resized.disconnect();
  }

  #begin() {
    const { histograms, threshold, floor, bin_width: width, method, reason } = this.#document;
    const pairs = histograms.map(({ datasets: [a, b] }, index) => [String(index), `parties ${a + 1} and ${b + 1}`]);
    const options = [["all", "all parties"], ...(pairs.length > 1 ? pairs : [])];
    the("between-select").replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
    the("between").hidden = pairs.length < 2;
    const slider = the("threshold");
    const last = Math.max(...histograms.map((histogram) => histogram.counts.length)) - 1;
    Object.assign(slider, { min: floor, max: round(floor + last * width), step: width });
    slider.value = String(threshold);
    say(the("method"), [reason, method && `How precision and recall are estimated: ${method}`].filter(Boolean).map(sentence).join(" "));
    this.#showSuggestion();
    this.#choose();
  }

  #chosen() {
    const { histograms } = this.#document;
    const chosen = the("between-select").value;
    return chosen === "all" ? histograms : [histograms[Number(chosen)]];
  }

  #choose() {
    this.#bins = bins(this.#document, this.#chosen());
    show(the("legend"), this.#bins.some((bin) => bin.estimated)
      ? "Hatched bars are estimated from a sample; filled ones are counted." : null);
    this.#table();
    this.#showThreshold();
  }

  #showSuggestion() {
    const suggestion = this.#document.suggestion;
    the("suggestion").hidden = !suggestion;
    if (!suggestion) return;
    say(the("suggestion-text"), sentence(`Suggestion: ${suggestion.threshold}, with an estimated precision of `
      + `${share(suggestion.precision)} and a recall of ${share(suggestion.recall)}: ${suggestion.reason}`));
  }

  #suggest() {
    the("threshold").value = String(this.#document.suggestion.threshold);
    this.#showThreshold();
    the("threshold").focus();
  }

  #showThreshold() {
    const threshold = round(the("threshold").valueAsNumber);
    const { pairs, estimated } = pairsFrom(this.#bins, threshold);
    const about = estimated ? "about " : "";
    const estimate = this.#estimate(threshold);
    const facts = [["Pairs at or above", about + count(pairs)]];
    if (estimate) {
      facts.push(["Precision (estimated): of these, matches", share(estimate.precision)]);
      facts.push(["Recall (estimated): of all matches, found", share(estimate.recall)]);
    }
    say(the("threshold-value"), score(threshold));
    the("at-threshold").replaceChildren(...facts.map(([term, value]) =>
      element("div", {}, element("dt", {}, term), element("dd", {}, value))));
    const spoken = [`${about}${count(pairs)} pairs`];
    if (estimate) spoken.push(`precision ${share(estimate.precision)}`, `recall ${share(estimate.recall)}`);
    the("threshold").setAttribute("aria-valuetext", `${score(threshold)}: ${spoken.join(", ")}`);
    this.#draw();
  }

  /** Estimates are for all parties together. */
  #estimate(threshold) {
    if (the("between-select").value !== "all") return null;
    return estimateAt(this.#document.estimates ?? [], threshold, this.#document.bin_width);
  }

  #draw() {
    const threshold = round(the("threshold").valueAsNumber);
    const { bin_width: width } = this.#document;
    const chart = { bins: this.#bins, width, threshold, logarithmic: the("logarithmic").checked };
    const [first, last] = drawChart(the("chart"), chart);
    // the thumb stands below the line of the chart
    the("threshold").style.marginLeft = `${first - THUMB / 2}px`;
    the("threshold").style.width = `${last - first + THUMB}px`;
  }

  #table() {
    let sum = 0;
    let estimated = false;
    const rows = this.#bins.toReversed().map((bin) => {
      sum += bin.pairs;
      estimated ||= bin.estimated;
      const estimate = this.#estimate(bin.from);
      const cells = [
        (bin.estimated ? "about " : "") + count(bin.pairs), (estimated ? "about " : "") + count(sum),
        estimate ? share(estimate.precision) : "–", estimate ? share(estimate.recall) : "–",
      ];
      const head = element("th", { scope: "row" }, score(bin.from));
      return element("tr", {}, head, ...cells.map((cell) => element("td", { class: "number" }, cell)));
    });
    the("scores-table").tBodies[0].replaceChildren(...rows);
  }
}

/** At least two digits, as thresholds are written. */
const score = (/** @type {number} */ of) => {
  const digits = String(of);
  return digits.length < 4 ? of.toFixed(2) : digits;
};
