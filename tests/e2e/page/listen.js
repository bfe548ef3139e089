// Before the page's own scripts: what is read aloud is kept in its order, and so is what the policy refuses. Nobody could
// choose a file here, so the browser seems to be one that does not let people choose.
window.heard = [];
window.refused = [];
delete window.showSaveFilePicker;
document.addEventListener("securitypolicyviolation", (event) => {
  window.refused.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
document.addEventListener("DOMContentLoaded", () => {
  const news = document.getElementById("news");
  const note = () => news.textContent && window.heard.push(news.textContent);
  new MutationObserver(note).observe(news, { childList: true, characterData: true, subtree: true });
});
