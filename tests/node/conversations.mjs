// masto.js as an app uses it: node conversations.mjs BASE_URL TOKEN OTHERS_TOKEN NAME
// NAME, whose TOKEN it is, hears on the direct stream that the other one wrote, reads that and removes it.
import { createRestAPIClient, createStreamingAPIClient } from "masto";

const [url, accessToken, othersToken, name] = process.argv.slice(2);
const rest = createRestAPIClient({ url, accessToken });
const other = createRestAPIClient({ url, accessToken: othersToken });
const instance = await rest.v2.instance.fetch();
const streaming = createStreamingAPIClient({
  streamingApiUrl: instance.configuration.urls.streaming,
  accessToken,
  retry: false,
});

const heard = [];
const conversations = rest.v1.conversations;
let isReady = false;
let wanted, read;

const listening = (async () => {
  for await (const { stream, event, payload } of streaming.direct.subscribe()) {
    isReady = true;
    // Pilots are passed over.
    if (!payload.lastStatus.content.includes("in earnest")) continue;
    heard.push({
      stream,
      event,
      unread: payload.unread,
      by: payload.accounts.map(({ id }) => id),
    });
    wanted = payload.id;
    if (heard.length === 2) return;
    read = await conversations.$select(payload.id).read();
  }
})();

// To subscribe has no answer: pilots are posted until the stream was heard.
while (!isReady) {
  await other.v1.statuses.create({ status: `@${name} pilot`, visibility: "direct" });
  // A new account has a quota of posts.
  await new Promise((go) => setTimeout(go, 20));
}
await other.v1.statuses.create({ status: `@${name} in earnest`, visibility: "direct" });
await listening;
streaming.close();
const before = (await conversations.list()).filter(({ id }) => id === wanted);
await conversations.$select(wanted).remove();
const left = (await conversations.list()).filter(({ id }) => id === wanted).length;
console.log(
  JSON.stringify({
    heard,
    listed: before.map(({ lastStatus }) => lastStatus.content.includes("in earnest")),
    read: read.unread,
    left,
  }),
);
