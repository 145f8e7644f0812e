// 10,000 texts made of real crashes by seeded changes: the filter and the library make the same record of each, the
// record is JSON, and the host has nothing to complain of.
//   node mutated_test.mjs FILTER.wasm NATIVE FOLDER [SEED [COUNT]]
import { readFileSync, readdirSync } from "node:fs";
import { equal, finish, test } from "./harness.mjs";
import { both } from "./both.mjs";

const [wasm, native, folder, seed = "1", count = "10000"] = process.argv.slice(2);
const BATCH = 500;

// mulberry32: a small generator whose numbers are the same everywhere.
let state = Number(seed) >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ state >>> 15, state | 1);
  t = (t + Math.imul(t ^ t >>> 7, t | 61)) ^ t;
  return ((t ^ t >>> 14) >>> 0) % below;
}

const pick = (list) => list[random(list.length)];
const corpus = readdirSync(folder).filter((name) => name.endsWith(".txt")).sort()
  .map((name) => readFileSync(`${folder}/${name}`).subarray(0, 20000));
const TOKENS = ["panic: ", "\tpanic: ", " [recovered]", "goroutine 1 [running]:\n", "\tat ", "Caused by: ", "... 3 more",
  "Traceback (most recent call last):\n", "  File \"", "\", line ", "  | ", "+-+---------------- 1 ----------------\n",
  "thread 'a' panicked at '", "', a.rs:1:1\n", "stack backtrace:\n", "    at ", " (", "[cause]: ", "[errors]: [\n",
  "... 2 lines matching cause stack trace ...", "\r\n", "\n\n", "{", "\"", "\\", "\u20ac", "\x00", "\xff", "::", "[...]",
  "{\"contract\":\"coropanic/1\",", "99999999999999999999", "{{closure}}", "<", ">"].map((text) => Buffer.from(text, "latin1"));

function splice(text, at, size, other) {
  return Buffer.concat([text.subarray(0, at), other, text.subarray(at + size)]);
}

function part(text) {
  const at = random(text.length + 1);
  return text.subarray(at, at + random(400));
}

const CHANGES = [
  (text) => splice(text, random(text.length + 1), 0, pick(TOKENS)),
  (text) => splice(text, random(text.length + 1), random(8), Buffer.from([random(256)])),
  (text) => splice(text, random(text.length + 1), random(200), Buffer.alloc(0)),
  (text) => splice(text, random(text.length + 1), 0, part(pick(corpus))),
  (text) => splice(text, random(text.length + 1), 0, part(text)),
  (text) => text.subarray(0, random(text.length + 1)),
  (text) => text.subarray(random(text.length + 1)),
  (text) => Buffer.concat([text, pick(corpus)]),
  (text) => { // two lines change places
    const lines = text.toString("latin1").split("\n");
    const [a, b] = [random(lines.length), random(lines.length)];
    [lines[a], lines[b]] = [lines[b], lines[a]];
    return Buffer.from(lines.join("\n"), "latin1");
  },
];

function mutant() {
  let text = pick(corpus);
  for (let changes = random(6); changes >= 0; changes--) text = pick(CHANGES)(text);
  return text;
}

const codes = {};
for (let done = 0; done < Number(count); done += BATCH) {
  const texts = Array.from({ length: Math.min(BATCH, Number(count) - done) }, mutant);
  await test(`texts from ${done} on, seed ${seed}`, async () => {
    const results = await both(wasm, native, texts);
    results.forEach((result, i) => {
      equal(result.wasm, result.native, `text ${done + i}`);
      const record = JSON.parse(Buffer.from(result.wasm, "latin1"));
      codes[record.error_code] = (codes[record.error_code] ?? 0) + 1;
    });
  });
}

await test("most of the texts are still crashes", () => {
  const known = Object.entries(codes).filter(([code]) => code !== "mesh.unknown").map(([, number]) => number);
  equal(known.reduce((sum, number) => sum + number, 0) > Number(count) / 2, true, "known");
});
console.log(`mutated: ${Object.keys(codes).length} codes, ${codes["mesh.unknown"]} unknown of ${count}`);
finish("mutated");
