// The lengths of the texts on standard input, a JSON array, as the page counts them.
import fs from "node:fs";
import vm from "node:vm";

vm.runInThisContext(fs.readFileSync("../../stormpetrel/web/assets/length.js", "utf8"));
const texts = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => globalThis.stormpetrelLength.length(text))));
