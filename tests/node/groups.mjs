// masto.js as an app uses it: node groups.mjs BASE_URL TOKEN
// What was told in groups: lists them, reads the first one and who is in it, dismisses it, and prints what it saw.
import { createRestAPIClient } from "masto";

const [url, accessToken] = process.argv.slice(2);
const { notifications } = createRestAPIClient({ url, accessToken }).v2;

const listed = await notifications.list({ groupedTypes: ["favourite", "reblog", "follow"] });
const [first] = listed.notificationGroups;
const group = notifications.$select(first.groupKey);
const fetched = await group.fetch();
const accounts = await group.accounts.list();
const { count } = await notifications.unreadCount.fetch();
await group.dismiss();
const left = await notifications.list();
console.log(
  JSON.stringify({
    type: first.type,
    told: first.notificationsCount,
    status: listed.statuses.find(({ id }) => id === first.statusId)?.content,
    sampled: first.sampleAccountIds.every((id) => listed.accounts.some((account) => account.id === id)),
    same: fetched.notificationGroups[0].groupKey === first.groupKey,
    accounts: accounts.map(({ id }) => id),
    count,
    left: left.notificationGroups.length,
  }),
);
