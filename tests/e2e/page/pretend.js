// Before the page's own scripts: a histogram that has everything that a histogram can have, and a way to choose a file.
const asked = window.fetch;
window.fetch = (address, options) => {
  if (!String(address).endsWith("/histogram")) return asked(address, options);
  return Promise.resolve(new Response(JSON.stringify(HISTOGRAM)));
};
window.showSaveFilePicker = async ({ suggestedName }) => {
  const folder = await navigator.storage.getDirectory();
  return folder.getFileHandle(suggestedName, { create: true });
};
