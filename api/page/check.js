// Looks at a file of encodings before it is uploaded. The service judges it; this only saves the way of what is plainly wrong.

import { count } from "./words.js";

/** Bytes up to which a document is read whole. */
const WHOLE = 64 << 20;
/** Bytes that are looked at of a larger one. */
const HEAD = 64 << 10;
const KEYS = ["clks", "clknblocks", "encodings"];

/** First bytes of what must be unpacked first. */
const PACKED = [["gzip", [0x1f, 0x8b]], ["zip", [0x50, 0x4b, 0x03, 0x04]], ["zstd", [0x28, 0xb5, 0x2f, 0xfd]]];

/**
 * What a file is: `problem` if it cannot be uploaded, else what was found in it, and how the service is to read it.
 * @typedef {{problem: string} | {found: string[], metadata: Record<string, string>}} Found
 */

/**
 * @param {File} file
 * @param {number} size bytes of one encoding, if it holds raw ones; 0 if that is not known
 * @returns {Promise<Found>}
 */
export async function check(file, size) {
  if (file.size === 0) return { problem: "The file is empty." };
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  const packed = PACKED.find(([, bytes]) => bytes.every((byte, at) => head[at] === byte));
  if (packed) return { problem: `The file is packed by ${packed[0]}. Unpack it first.` };
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
    return { problem: "The file is written in UTF-16. Save it as UTF-8." };
  }
  if (!isDocument(file, head)) return checkRaw(file, size);
  return file.size <= WHOLE ? checkDocument(await file.text()) : checkHead(new TextDecoder().decode(head));
}

/** Whether a file is a JSON document, and not raw encodings. @param {File} file @param {Uint8Array} head */
function isDocument(file, head) {
  if (/\.json$/i.test(file.name)) return true;
  const text = new TextDecoder().decode(head.slice(0, 64)).trimStart();
  return /^\{\s*"/.test(text);
}

/** @returns {Found} */
function checkRaw(file, size) {
  if (size === 0) return { problem: "The file is no JSON document. If it holds raw encodings, say how many bytes each has." };
  const records = file.size / size;
  if (!Number.isInteger(records)) {
    return { problem: `The file has ${count(file.size)} bytes, which is no multiple of ${count(size)}: it is cut off, or its encodings have another size.` };
  }
  const metadata = { form: "binary", "hash-count": String(records), "hash-size": String(size) };
  return { found: [`${count(records)} records`, `${count(size * 8)} bits each`, "raw encodings"], metadata };
}

/** @param {string} text @returns {Found} */
function checkDocument(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return { problem: `The file is no well-formed JSON: ${/** @type {Error} */ (error).message}.` };
  }
  const key = KEYS.find((known) => Array.isArray(document?.[known]) || (known === "encodings" && document?.[known] instanceof Object));
  if (key === undefined) return { problem: `The file holds none of these lists: ${KEYS.join(", ")}.` };
  const records = Object.values(document[key]);
  if (records.length === 0) return { problem: "The file holds no records." };
  const sizes = new Set();
  for (const [index, record] of records.entries()) {
    const bytes = decoded(key === "clknblocks" ? record?.[0] : record);
    if (bytes === null) return { problem: `Record ${count(index)}, counted from 0, is no encoding in base64.` };
    sizes.add(bytes);
  }
  if (sizes.size > 1) return { problem: `The encodings are not all of one size: there are some of ${[...sizes].map((bytes) => `${bytes * 8} bits`).join(", ")}.` };
  const blocks = key === "clknblocks" || document.blocks !== undefined ? ["with blocks"] : [];
  return { found: [`${count(records.length)} records`, `${count([...sizes][0] * 8)} bits each`, ...blocks], metadata: { form: "json" } };
}

/** @param {string} text @returns {Found} */
function checkHead(text) {
  const begins = KEYS.some((key) => new RegExp(`"${key}"\\s*:`).test(text)) || /"blocks"\s*:/.test(text);
  if (!text.trimStart().replace(/^\uFEFF/, "").startsWith("{") || !begins) return { problem: `The file does not begin with one of these lists: ${KEYS.join(", ")}.` };
  return { found: ["a large JSON document, which is checked as it arrives"], metadata: { form: "json" } };
}

/** How many bytes a text in base64 stands for; null if it is none. @param {unknown} text */
function decoded(text) {
  if (typeof text !== "string") return null;
  const plain = text.replace(/\s/g, "");
  if (plain === "" || plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(plain)) return null;
  return (plain.length / 4) * 3 - (plain.endsWith("==") ? 2 : plain.endsWith("=") ? 1 : 0);
}
