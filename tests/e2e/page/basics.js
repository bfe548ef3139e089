// What every page owes its readers: gives a list of what is amiss, as far as a program can tell.
const amiss = [];

const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) amiss.push(`two elements are called ${id}`);
if (!document.documentElement.lang || !document.title) amiss.push("no language, or no title");

for (const element of document.querySelectorAll("input, select, button, progress, summary, a[href]")) {
  if (!element.checkVisibility()) continue;
  const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(" ");
  const name = element.getAttribute("aria-label") || labels || element.textContent;
  if (!name.trim()) amiss.push(`no name: ${element.outerHTML}`);
}
for (const attribute of ["aria-describedby", "aria-labelledby", "aria-controls", "for"]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    const id = element.getAttribute(attribute);
    if (!document.getElementById(id)) amiss.push(`${attribute} leads nowhere: ${id}`);
  }
}

// WCAG 2.2, 1.4.3: text at 4.5 to 1 or better
const light = (color) => {
  const [r, g, b] = color.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parts = (color) => color.match(/[\d.]+/g).map(Number);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = parts(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
for (const element of document.querySelectorAll("body *")) {
  const says = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  if (!says || !element.checkVisibility() || element.closest(".unseen, option, noscript, :disabled")) continue;
  const style = getComputedStyle(element);
  const color = parts(element instanceof SVGElement ? style.fill : style.color).slice(0, 3);
  const [one, other] = [light(color), light(behind(element).slice(0, 3))];
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5) amiss.push(`contrast ${contrast.toFixed(2)}: ${element.textContent.slice(0, 40)}`);
}

if (document.documentElement.scrollWidth > window.innerWidth) amiss.push(`wider than ${window.innerWidth} pixels`);
return amiss;
