// A carrier's SMSC by npm smpp. Its argument is JSON: {"password", "port", and any of the settings below}. Standard
// input: a command per line, {"do": name, …}; standard output: an event per line, {"event": name, …}. tests/gateway/
// carrier.py has the names. It keeps what a link has not acknowledged, and delivers it again after the next bind.
import readline from "node:readline";
import fs from "node:fs";
import smpp from "smpp";

const settings = {
  window: 50, // messages that may be unacknowledged on a link
  rate: 0, // submissions a second; above it they are throttled; 0: no limit
  throttle: smpp.ESME_RTHROTTLED, // the status of a throttled submission
  status: 0, // the status of every submission
  answers: true, // false: read and never answer, on new links too
  receipts: "both", // of submissions that ask for one: "text", "tlv", "both" or ""
  receipt_after_ms: 50, // 0: before the response to the submission
  receipt_state: "DELIVRD",
  receipt_radix: 16, // of ids in receipts; those of responses are hexadecimal
  loses_answers: false, // true: acknowledgements of messages are not read
  retry_after_ms: 200, // deliver again what was answered with an error
  ...JSON.parse(process.argv[2]),
};
const STATES = { ENROUTE: 1, DELIVRD: 2, EXPIRED: 3, DELETED: 4, UNDELIV: 5, ACCEPTD: 6, UNKNOWN: 7, REJECTD: 8 };
const waiting = []; // messages that no link has acknowledged: {id, command, pdu, on}, `on` the link that has it
const links = new Map(); // session → {number, receives, unacknowledged, hung}
let nextLink = 1;
let nextId = 0xa0000;
let tokens = settings.rate;
let filledAt = Date.now();

function emit(event, facts = {}) {
  process.stdout.write(JSON.stringify({ event, ...facts }) + "\n");
}

function answers(session) {
  return settings.answers && !links.get(session)?.hung;
}

function plain(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function withBuffers(pdu) {
  const isHex = (value) => value !== null && typeof value === "object" && "hex" in value;
  return Object.fromEntries(
    Object.entries(pdu).map(([key, value]) => [key, isHex(value) ? Buffer.from(value.hex, "hex") : value]),
  );
}

function deliverWaiting() {
  for (const [session, link] of links) {
    if (!link.receives || link.hung) continue;
    for (const message of waiting) {
      if (link.unacknowledged >= settings.window) break;
      if (message.on !== null) continue;
      message.on = session;
      link.unacknowledged += 1;
      session[message.command](withBuffers(message.pdu), (answer) => acknowledged(session, message, answer));
    }
  }
}

function acknowledged(session, message, answer) {
  const link = links.get(session);
  if (settings.loses_answers || !link || link.hung || message.on !== session) return;
  link.unacknowledged -= 1;
  emit("acknowledged", { id: message.id, status: answer.command_status, link: link.number });
  if (answer.command_status === 0) {
    waiting.splice(waiting.indexOf(message), 1);
  } else {
    message.on = undefined; // neither waiting nor on a link
    setTimeout(() => {
      message.on = null;
      deliverWaiting();
    }, settings.retry_after_ms);
  }
  deliverWaiting();
}

function isThrottled() {
  if (!settings.rate) return false;
  const now = Date.now();
  tokens = Math.min(settings.rate, tokens + ((now - filledAt) * settings.rate) / 1000);
  filledAt = now;
  if (tokens < 1) return true;
  tokens -= 1;
  return false;
}

function sendReceipt(submitted, id) {
  const receipted = id.toString(settings.receipt_radix);
  const hasText = settings.receipts !== "tlv";
  const text = `id:${receipted} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 ` +
    `stat:${settings.receipt_state} err:000 text:${"x".repeat(20)}`;
  const pdu = {
    source_addr: submitted.destination_addr,
    destination_addr: submitted.source_addr,
    esm_class: 4,
    data_coding: 0,
    short_message: { hex: hasText ? Buffer.from(text).toString("hex") : "" },
  };
  if (settings.receipts !== "text") {
    Object.assign(pdu, { receipted_message_id: receipted, message_state: STATES[settings.receipt_state] });
  }
  waiting.push({ id: `receipt-${receipted}`, command: "deliver_sm", pdu, on: null });
  deliverWaiting();
}

function onSubmit(session, pdu) {
  if (!answers(session)) return emit("ignored");
  if (isThrottled() || settings.status) {
    const status = settings.status || settings.throttle;
    emit("refused", { status });
    session.send(pdu.response({ command_status: status }));
    return;
  }
  const id = nextId++;
  emit("submitted", { id: id.toString(16), pdu: plain(pdu) });
  const wantsReceipt = pdu.registered_delivery & 1 && settings.receipts;
  if (wantsReceipt && !settings.receipt_after_ms) sendReceipt(pdu, id);
  session.send(pdu.response({ message_id: id.toString(16) }));
  if (wantsReceipt && settings.receipt_after_ms) setTimeout(() => sendReceipt(pdu, id), settings.receipt_after_ms);
}

function onBind(session, link, pdu) {
  if (!settings.answers) return;
  if (pdu.password !== settings.password) {
    emit("bind refused", { link: link.number });
    session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
    return;
  }
  // A frozen link does not notice its end: a new bind ends it.
  for (const [other, { hung }] of links) if (hung) other.destroy();
  link.receives = pdu.command !== "bind_transmitter";
  emit("bound", { link: link.number, command: pdu.command, system_id: pdu.system_id });
  session.send(pdu.response({ system_id: "carrier" }));
  deliverWaiting();
}

function onSession(session) {
  const link = { number: nextLink++, receives: false, unacknowledged: 0, hung: false };
  links.set(session, link);
  emit("connected", { link: link.number });
  for (const command of ["bind_transceiver", "bind_transmitter", "bind_receiver"]) {
    session.on(command, (pdu) => onBind(session, link, pdu));
  }
  session.on("submit_sm", (pdu) => onSubmit(session, pdu));
  session.on("enquire_link", (pdu) => {
    emit("enquired", { link: link.number });
    if (answers(session)) session.send(pdu.response());
  });
  session.on("enquire_link_resp", () => emit("alive", { link: link.number }));
  session.on("generic_nack", (pdu) => emit("nack", { status: pdu.command_status, sequence: pdu.sequence_number }));
  session.on("unbind", (pdu) => {
    emit("unbound", { link: link.number });
    if (!answers(session)) return;
    session.send(pdu.response(), () => session.close());
  });
  session.on("error", () => session.destroy());
  session.on("close", () => {
    links.delete(session);
    for (const message of waiting) if (message.on === session) message.on = null;
    emit("lost", { link: link.number });
    deliverWaiting();
  });
}

const commands = {
  nothing() {},
  // {"messages": [{"id", "pdu", "command": "deliver_sm" or "data_sm"}]}
  deliver({ messages }) {
    for (const { id, pdu, command } of messages) waiting.push({ id, pdu, command: command ?? "deliver_sm", on: null });
    deliverWaiting();
  },
  set({ settings: changes }) {
    Object.assign(settings, changes);
    tokens = settings.rate;
  },
  hang() {
    for (const link of links.values()) link.hung = true;
  },
  freeze() {
    commands.hang();
    for (const session of links.keys()) session.pause();
  },
  drop() {
    for (const session of links.keys()) session.destroy();
  },
  enquire() {
    for (const session of links.keys()) session.enquire_link();
  },
  unbind() {
    for (const session of links.keys()) session.unbind();
  },
  raw({ hex }) {
    for (const session of links.keys()) session.socket.write(Buffer.from(hex, "hex"));
  },
};

const tls = settings.key ? { key: fs.readFileSync(settings.key), cert: fs.readFileSync(settings.cert) } : {};
const server = smpp.createServer(tls, onSession);
server.on("error", (error) => emit("failed", { error: String(error) }));
server.listen(settings.port, "127.0.0.1", () => emit("listening"));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
  emit("done", { do: command.do });
}).on("close", () => process.exit(0));
