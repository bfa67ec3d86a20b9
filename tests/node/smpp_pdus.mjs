// npm smpp as the other end of our codec. Standard input: {"decode": [hex], "encode": [PDU]}, where a PDU has the
// names of that library and buffers as {"hex"}. Standard output: {"decoded": [PDU], "encoded": [hex]}.
import fs from "node:fs";
import smpp from "smpp";

const input = JSON.parse(fs.readFileSync(0, "utf8"));

function plain(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function encode({ command, ...options }) {
  for (const [key, value] of Object.entries(options)) {
    if (value !== null && typeof value === "object" && "hex" in value) options[key] = Buffer.from(value.hex, "hex");
  }
  return new smpp.PDU(command, options).toBuffer().toString("hex");
}

const decoded = input.decode.map((hex) => plain(smpp.PDU.fromBuffer(Buffer.from(hex, "hex"))));
console.log(JSON.stringify({ decoded, encoded: input.encode.map(encode) }));
