// masto.js as an app uses it: node streaming.mjs BASE_URL TOKEN OTHERS_TOKEN
// It listens to three streams on one connection, posts, is favoured, deletes, and prints as JSON what it heard.
import { createRestAPIClient, createStreamingAPIClient } from "masto";

const [url, accessToken, othersToken] = process.argv.slice(2);
const rest = createRestAPIClient({ url, accessToken });
const other = createRestAPIClient({ url, accessToken: othersToken });
const instance = await rest.v2.instance.fetch();
const streaming = createStreamingAPIClient({
  streamingApiUrl: instance.configuration.urls.streaming,
  accessToken,
  retry: false,
});

const heard = {};
let notified;
const notification = new Promise((resolve) => (notified = resolve));

// Listens until the post is deleted, then unsubscribes.
async function listen(name, subscription, ready) {
  for await (const { stream, event, payload } of subscription) {
    ready();
    const id = payload?.status?.id ?? payload?.id ?? payload;
    heard[name].push({ id, stream, event, type: payload?.type, content: payload?.content });
    if (event === "notification") notified();
    if (event === "delete") return;
  }
}

let waiting = 0;
const listeners = Object.entries({
  user: streaming.user.subscribe(),
  public: streaming.public.local.subscribe(),
  hashtag: streaming.hashtag.subscribe({ tag: "masto" }),
}).map(([name, subscription]) => {
  heard[name] = [];
  waiting += 1;
  let isReady = false;
  return listen(name, subscription, () => {
    waiting -= isReady ? 0 : 1;
    isReady = true;
  });
});

// To subscribe has no answer: pilots are posted until each stream was heard.
while (waiting > 0) {
  await rest.v1.statuses.create({ status: "Pilot #masto", visibility: "public" });
}
const post = await rest.v1.statuses.create({ status: "Hello from #masto", visibility: "public" });
await other.v1.statuses.$select(post.id).favourite();
// With its post a notification is gone, too.
await notification;
await rest.v1.statuses.$select(post.id).remove();
await Promise.all(listeners);
streaming.close();
// A stream may tell of a post before the answer to who posted it: so they are sorted out here.
for (const name of Object.keys(heard)) heard[name] = heard[name].filter(({ id }) => id === post.id);
console.log(JSON.stringify(heard));
