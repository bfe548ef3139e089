// Uploads a file by npm's tus-js-client, as an order on standard input says; tells as JSON how that ended.

const fs = require("node:fs");
const tus = require("tus-js-client");

const order = JSON.parse(fs.readFileSync(0, "utf8"));
const told = (more) => {
  console.log(JSON.stringify({ url: upload.url, ...more }));
  process.exit(0);
};
const upload = new tus.Upload(fs.createReadStream(order.file), {
  endpoint: order.endpoint,
  uploadUrl: order.url ?? null,
  uploadSize: fs.statSync(order.file).size,
  headers: { Authorization: order.token },
  metadata: order.metadata,
  chunkSize: order.chunk,
  retryDelays: Array.from({ length: 60 }, () => 500),
  onChunkComplete: (_, accepted) => {
    console.error(`accepted ${accepted}`);
    if (order.stop_at !== undefined && accepted >= order.stop_at) upload.abort().then(() => told({ offset: accepted }));
  },
  onError: (error) => told({ status: error.originalResponse?.getStatus(), problem: error.originalResponse?.getBody() ?? String(error) }),
  onSuccess: () => told({ offset: fs.statSync(order.file).size }),
});
upload.start();
