// Draws a histogram with a threshold, as wide as there is room. It says nothing that the table beside it does not say.

import { compact, drawn, percent } from "./words.js";

const HEIGHT = 220;
const MARGIN = { top: 22, right: 8, bottom: 24, left: 46 };
/** Most lines across. */
const LINES = 6;

/**
 * Draws, and tells where the first and the last bin begin, in pixels.
 * @param {Element} where
 * @param {{bins: {from: number, pairs: number, estimated: boolean}[], width: number, threshold: number,
 *   logarithmic: boolean}} chart
 * @returns {[number, number]}
 */
export function drawChart(where, chart) {
  const { bins, width, threshold, logarithmic } = chart;
  const [pixels, begin, end] = [Math.max(where.clientWidth, 200), bins[0].from, bins.at(-1).from + width];
  const most = Math.max(1, ...bins.map((bin) => bin.pairs));
  const [left, right, bottom] = [MARGIN.left, pixels - MARGIN.right, HEIGHT - MARGIN.bottom];
  const x = (score) => left + ((score - begin) / (end - begin)) * (right - left);
  const scale = logarithmic ? logScale(most) : linearScale(most);
  const y = (pairs) => bottom - scale.share(pairs) * (bottom - MARGIN.top);

  const svg = drawn("svg", { viewBox: `0 0 ${pixels} ${HEIGHT}`, role: "img", "aria-label": summary(bins, end) });
  svg.append(hatching());
  for (const line of scale.lines) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: right, y1: y(line), y2: y(line) }));
    svg.append(drawn("text", { x: left - 6, y: y(line) + 4, "text-anchor": "end" }, compact(line)));
  }
  for (const bin of bins) svg.append(bar(bin, threshold, x(bin.from), x(bin.from + width), y(bin.pairs), bottom));
  svg.append(drawn("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  for (const tick of ticks(begin, end, (right - left) / 60)) {
    svg.append(drawn("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, String(tick)));
  }
  svg.append(...mark(x(threshold), bottom, x(threshold) > (left + right) / 2));
  where.replaceChildren(svg);
  return [left, x(bins.at(-1).from)];
}

function bar(bin, threshold, from, to, top, bottom) {
  const side = bin.from >= threshold - 1e-9 ? "above" : "below";
  const gap = to - from > 4 ? 1 : 0;
  const place = { x: from + gap / 2, y: top, width: Math.max(to - from - gap, 0.5), height: Math.max(bottom - top, 0) };
  if (!bin.estimated) return drawn("rect", { class: side, ...place });
  return drawn("rect", { class: `estimated-${side}`, fill: `url(#hatch-${side})`, ...place });
}

function mark(x, bottom, onTheRight) {
  const place = onTheRight ? { x: x - 5, "text-anchor": "end" } : { x: x + 5 };
  return [
    drawn("line", { class: "threshold", x1: x, x2: x, y1: 4, y2: bottom }),
    drawn("text", { class: "threshold-text", y: 14, ...place }, onTheRight ? "counted →" : "→ counted"),
  ];
}

function hatching() {
  const pattern = (side) => drawn("pattern",
    { id: `hatch-${side}`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    drawn("line", { class: `hatch ${side}`, x1: 0, x2: 0, y1: 0, y2: 5 }));
  return drawn("defs", {}, pattern("above"), pattern("below"));
}

/** Lines at the powers of ten; what is below one is drawn at the bottom. */
function logScale(most) {
  const decades = Math.max(1, Math.ceil(Math.log10(most * 1.05)));
  const step = Math.ceil(decades / LINES);
  const lines = [];
  for (let decade = 0; decade <= decades; decade += step) lines.push(10 ** decade);
  // a single pair is seen as well
  const share = (pairs) => (pairs <= 0 ? 0 : (Math.log10(Math.max(pairs, 1)) + 0.15) / (decades + 0.15));
  return { share: (pairs) => Math.min(1, share(pairs)), lines };
}

function linearScale(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power);
  const lines = Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => index * step);
  return { share: (pairs) => pairs / lines.at(-1), lines };
}

/** Round scores below the axis, no more than there is room for. */
function ticks(begin, end, room) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((size) => (end - begin) / size <= room) ?? 0.5;
  const first = Math.ceil(begin / step - 1e-9);
  const number = Math.floor((end + 1e-9) / step) - first + 1;
  return Array.from({ length: number }, (_, index) => Math.round((first + index) * step * 1e6) / 1e6);
}

function summary(bins, end) {
  const all = bins.reduce((sum, bin) => sum + bin.pairs, 0);
  const high = bins.filter((bin) => bin.from >= 0.9 - 1e-9).reduce((sum, bin) => sum + bin.pairs, 0);
  return `Histogram of similarities from ${bins[0].from} to ${Math.round(end * 1e6) / 1e6}: ${compact(all)} pairs, `
    + `${percent(all > 0 ? high / all : 0)} of them at .9 or above. The table below says it in numbers.`;
}
