// Texts through the library and through the filter, side by side.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Host } from "./host.mjs";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"; // as spec/mesh/native.c has it

// The library's answers to texts of 500 responses of the service "orders", one after the other with one handle.
function natively(native, texts) {
  const input = texts.flatMap((text) => [Buffer.from(`500 ${text.length} orders -\n`), text]);
  const { stdout, stderr, status } = spawnSync(native, [], { input: Buffer.concat(input), maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(`${native} ended with ${status}: ${stderr}`);
  const records = [];
  for (let at = 0; at < stdout.length;) {
    const end = stdout.indexOf(10, at);
    const size = Number(stdout.subarray(at, end).toString().match(/\d+$/)[0]);
    records.push(stdout.subarray(end + 1, end + 1 + size).toString("latin1"));
    at = end + 1 + size;
  }
  return records;
}

// The filter's: what it logs is the record.
async function inFilter(wasm, texts) {
  const host = await Host.load(readFileSync(wasm));
  const request = [[":authority", "orders"], ["traceparent", PARENT]];
  return texts.map((text) => {
    host.logs.length = 0;
    host.exchange({ request, response: { headers: [[":status", "500"]], chunks: [text] } });
    if (host.violations.length > 0) throw new Error(host.violations.join("; "));
    return host.logs[0].bytes.toString("latin1");
  });
}

export async function both(wasm, native, texts) {
  const records = natively(native, texts);
  return (await inFilter(wasm, texts)).map((record, i) => ({ wasm: record, native: records[i] }));
}
