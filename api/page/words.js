// Numbers, times and elements, as people read them.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 3 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (/** @type {number} */ number) => whole.format(number);
export const compact = (/** @type {number} */ number) => short.format(number);
/** Never rounded up, so that all is all; what floating-point numbers lose is given back: 0.29 * 100 is a little below 29. */
const floor = (/** @type {number} */ number) => Math.floor(number + 1e-9);
export const percent = (/** @type {number} */ share) => `${floor(share * 100)} %`;
/** A share that is estimated, such as a precision: never said to be all. */
export const share = (/** @type {number} */ of) => (of < 1 ? `${(floor(of * 1000) / 10).toFixed(1)} %` : "over 99.9 %");

/** What the service says in passing, as a sentence of its own. */
export const sentence = (/** @type {string} */ text) =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/**
 * A time of the service, which is ISO 8601, in the reader's zone.
 * @param {string | null | undefined} text
 */
export function time(text) {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? "" : moment.format(date);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** An id that is short enough to be read: those that the service makes up are long. */
export const name = (/** @type {string} */ id) => (id.length > 40 ? `${id.slice(0, 8)}…` : id);

/** @param {string} id @returns {any} */
export const the = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} content text stays text: nothing that the service says becomes markup
 */
export function element(tag, attributes, ...content) {
  return fill(document.createElement(tag), attributes, content);
}

/**
 * The same, of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} content
 */
export function drawn(tag, attributes, ...content) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, content);
}

function fill(made, attributes, content) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...content);
  return made;
}

/**
 * Sets a text, only if it is another one: what is read aloud is not read twice.
 * @param {Element} where
 * @param {string} text
 */
export function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/**
 * Shows a text, or hides its element if there is none.
 * @param {HTMLElement} where
 * @param {string | null | undefined} text
 */
export function show(where, text) {
  where.hidden = !text;
  say(where, text ?? "");
}
