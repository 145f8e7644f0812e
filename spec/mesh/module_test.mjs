// What the filter imports and exports, held to the specification of the proxy-wasm ABI 0.2.1. wasm-objdump, which is not
// ours, reads the module.
//   node module_test.mjs FILTER.wasm
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { equal, finish, test } from "./harness.mjs";

const path = process.argv[2];

// The functions of the specification that a filter of ours may use, and their types. i: i32, l: i64.
const IMPORTS = {
  "env.proxy_log": "iii -> i",
  "env.proxy_get_buffer_bytes": "iiiii -> i",
  "env.proxy_set_buffer_bytes": "iiiii -> i",
  "env.proxy_get_header_map_pairs": "iii -> i",
  "env.proxy_get_header_map_value": "iiiii -> i",
  "env.proxy_add_header_map_value": "iiiii -> i",
  "env.proxy_replace_header_map_value": "iiiii -> i",
  "env.proxy_remove_header_map_value": "iii -> i",
  "wasi_snapshot_preview1.clock_time_get": "ili -> i",
  "wasi_snapshot_preview1.random_get": "ii -> i",
};

const EXPORTS = {
  _initialize: " -> nil",
  proxy_abi_version_0_2_1: " -> nil",
  proxy_on_memory_allocate: "i -> i",
  proxy_on_vm_start: "ii -> i",
  proxy_on_configure: "ii -> i",
  proxy_on_context_create: "ii -> nil",
  proxy_on_done: "i -> i",
  proxy_on_delete: "i -> nil",
  proxy_on_request_headers: "iii -> i",
  proxy_on_response_headers: "iii -> i",
  proxy_on_response_body: "iii -> i",
  proxy_on_response_trailers: "ii -> i",
};

const dump = execFileSync("wasm-objdump", ["-x", path], { encoding: "utf8" });
const short = (type) => type.replace(/[(), ]|->.*/g, "").replace(/i32/g, "i").replace(/i64/g, "l") + " ->" + type.split("->")[1].replace(/i32/g, "i");
const types = [...dump.matchAll(/^ - type\[\d+\] (.*)$/gm)].map(([, type]) => short(type));
const signatures = new Map([...dump.matchAll(/^ - func\[(\d+)\] sig=(\d+)/gm)].map(([, func, type]) => [func, types[type]]));
const imports = [...dump.matchAll(/^ - func\[(\d+)\] sig=\d+ <.*> <- (\S+)$/gm)].map(([, func, name]) => [name, signatures.get(func)]);
const exported = [...dump.matchAll(/^ - func\[(\d+)\] <.*> -> "(.*)"$/gm)].map(([, func, name]) => [name, signatures.get(func)]);

await test("imports are functions of the specification, with its types", () => {
  equal(imports.length > 0, true);
  for (const [name, type] of imports) equal(type, IMPORTS[name], name);
  equal(/^Import\[(\d+)\]/m.exec(dump)[1], String(imports.length), "imports besides functions");
});

await test("exports are the specification's callbacks and the memory, and nothing else", () => {
  equal(Object.fromEntries(exported), EXPORTS);
  equal(/^Export\[(\d+)\]/m.exec(dump)[1], String(exported.length + 1), "exports besides functions");
  equal(/^ - memory\[0\] -> "memory"$/m.test(dump), true, "memory");
});

console.log(`module: ${statSync(path).size} bytes, ${imports.length} imports`);
finish("module");
