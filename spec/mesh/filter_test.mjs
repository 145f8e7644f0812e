// The filter in a strict host: what becomes of requests and responses, whatever their parts, and what it may call.
//   node filter_test.mjs FILTER.wasm
import { readFileSync } from "node:fs";
import { Host, serialise } from "./host.mjs";
import { equal, finish, test } from "./harness.mjs";

const bytes = readFileSync(process.argv[2]);
const IDS = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
const PARENT = ["traceparent", `00-${IDS}-01`];
const REQUEST = [[":method", "GET"], [":path", "/"], [":authority", "orders:80"], PARENT];
const PANIC = "panic: no order\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:6 +0xf1\n";

const load = (configuration = "", options = {}) => Host.load(bytes, { configuration, ...options });
const value = (headers, name) => headers.find(([key]) => key === name)?.[1];
const said = (host) => host.logs.map(({ level, text }) => [level, text]);
const failing = (chunks, headers = []) => ({
  headers: [[":status", "500"], ["content-type", "text/plain"], ["content-length", "9"], ...headers],
  chunks: chunks.map((chunk) => Buffer.from(chunk)),
});

// Runs one exchange in a host of its own, in which nothing may be violated.
async function exchange(response, { configuration, request = REQUEST } = {}) {
  const host = await load(configuration);
  equal(host.started, true, host.logs[0]?.text);
  const result = host.exchange({ request, response });
  equal(host.violations, [], "violations");
  return { ...result, host };
}

await test("a crash becomes a record with the request's trace", async () => {
  const { headers, body, host } = await exchange(failing([PANIC]));
  const record = JSON.parse(body);
  equal(record.error_code, "mesh.go.panic");
  equal([record.trace_id, record.span_id, record.trace_flags], [...IDS.split("-"), "01"]);
  equal([record.service, record.http_status], ["orders:80", 500]);
  equal(value(headers, "x-error-code"), "mesh.go.panic");
  equal(value(headers, "x-error-hash"), record.stack_hash);
  equal(value(headers, "content-type"), "application/json");
  equal(value(headers, "content-length"), undefined);
  equal(said(host), [[3, body.toString()]]);
});

await test("a body in any parts gives the same record", async () => {
  const whole = (await exchange(failing([PANIC]))).body.toString();
  for (let cut = 0; cut <= PANIC.length; cut++) {
    const { body } = await exchange(failing([PANIC.slice(0, cut), PANIC.slice(cut)]));
    equal(body.toString(), whole, `cut at ${cut}`);
  }
  const { body } = await exchange(failing([...PANIC, ""]));
  equal(body.toString(), whole, "byte by byte");
});

await test("a response that is no error passes untouched", async () => {
  const response = { headers: [[":status", "200"], ["content-length", "3"]], chunks: [Buffer.from("a"), Buffer.from("bc")] };
  const { headers, body, host } = await exchange(response);
  equal(headers, response.headers);
  equal(body.toString(), "abc");
  equal(host.logs, []);
});

await test("an error without a body only gets headers", async () => {
  const { headers, body } = await exchange({ headers: [[":status", "503"], ["content-length", "0"]] });
  equal(body.length, 0);
  equal(headers, [[":status", "503"], ["content-length", "0"], ["x-error-code", "mesh.unknown"], ["x-error-hash", "cbf29ce484222325"]]);
  const empty = await exchange(failing([""]));
  equal(value(empty.headers, "x-error-code"), "mesh.unknown");
  equal([empty.body.length, value(empty.headers, "content-length")], [0, "9"]);
});

await test("of a long body 64 KB are read, and the rest is dropped", async () => {
  const { body } = await exchange(failing([PANIC, "x".repeat(70000), "y".repeat(70000), "z"]));
  const record = JSON.parse(body);
  equal(record.error_code, "mesh.go.panic");
});

await test("a response with trailers is read at its trailers", async () => {
  const { body, trailers } = await exchange({ ...failing([PANIC.slice(0, 20), PANIC.slice(20)]), trailers: [["x-end", "1"]] });
  equal(JSON.parse(body).error_code, "mesh.go.panic");
  equal(trailers, [["x-end", "1"]]);
  const none = await exchange({ ...failing([]), trailers: [["x-end", "1"]] });
  equal([none.body.length, value(none.headers, "x-error-code")], [0, "mesh.unknown"]);
});

await test("gRPC's status is read from headers and from trailers, and the body stays", async () => {
  const ok = [[":status", "200"], ["content-type", "application/grpc"]];
  const only = await exchange({ headers: [...ok, ["grpc-status", "14"], ["grpc-message", "no%20order"]] });
  equal(value(only.headers, "x-error-code"), "mesh.grpc.UNAVAILABLE");
  equal(JSON.parse(only.host.logs[0].text).message, "no order");
  const late = await exchange({ headers: ok, chunks: [Buffer.from("abc")], trailers: [["grpc-status", "5"]] });
  equal([late.body.toString(), value(late.trailers, "x-error-code")], ["abc", "mesh.grpc.NOT_FOUND"]);
  equal(late.headers, ok);
  const fine = await exchange({ headers: ok, chunks: [Buffer.from("abc")], trailers: [["grpc-status", "0"]] });
  equal([fine.trailers, fine.host.logs], [[["grpc-status", "0"]], []]);
});

await test("the configuration says what is exposed", async () => {
  const header = await exchange(failing([PANIC]), { configuration: '{"expose": "header"}' });
  equal([header.body.length, value(header.headers, "content-type")], [0, undefined]);
  equal(value(header.headers, "x-error-code"), "mesh.go.panic");
  const contract = await exchange(failing([PANIC]), { configuration: '{"expose": "contract"}' });
  equal(value(contract.headers, "x-error-code"), undefined);
  equal(JSON.parse(contract.body).error_code, "mesh.go.panic");
  const keep = await exchange(failing([PANIC]), { configuration: '{"body": "keep"}' });
  equal([keep.body.toString(), value(keep.headers, "content-length")], [PANIC, "9"]);
  equal(JSON.parse(keep.host.logs[0].text).error_code, "mesh.go.panic");
  const other = await exchange(failing([PANIC]), { configuration: '{"services": {"orders": "python"}}' });
  equal(JSON.parse(other.body).error_code, "mesh.unknown");
});

await test("a wrong configuration is refused at the start, with its key", async () => {
  const host = await load('{"expose": "all"}');
  equal(host.started, false);
  equal(said(host), [[4, 'configuration: "expose": expected "contract", "header" or "both", got "all"']]);
  const result = host.exchange({ request: REQUEST, response: failing([PANIC]) });
  equal([result.body.toString(), result.request], [PANIC, REQUEST]);
});

await test("a record that another proxy has made is passed on with one hop more", async () => {
  const first = await exchange(failing([PANIC]));
  const second = await exchange({ headers: first.headers, chunks: [first.body] });
  equal(JSON.parse(second.body), { ...JSON.parse(first.body), hop: 1 });
  const third = await exchange({ headers: second.headers, chunks: [second.body] });
  equal(JSON.parse(third.body).hop, 2);
  equal(value(third.headers, "x-error-hash"), JSON.parse(first.body).stack_hash);
});

// The cases of the W3C's harness that headers alone can have.
await test("the request's trace follows the rules of W3C", async () => {
  const sent = async (...headers) => (await exchange({ headers: [[":status", "200"]] }, { request: headers })).request;
  const fresh = /^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/;
  equal(await sent(PARENT, ["tracestate", "a=1,b=2"]), [PARENT, ["tracestate", "a=1,b=2"]]);
  equal(await sent(["traceparent", `cc-${IDS}-ff-later`]), [["traceparent", `00-${IDS}-03`]]);
  equal(await sent(PARENT, ["tracestate", "a=1"], ["tracestate", "b=2"]), [PARENT, ["tracestate", "a=1,b=2"]]);
  equal(await sent(PARENT, ["tracestate", "A=1"]), [PARENT]);
  equal(await sent(PARENT, ["tracestate", ""]), [PARENT]);
  for (const bad of [`ff-${IDS}-01`, `00-${IDS}-01-x`, `00-${IDS}-1`, "", "00", `00-${IDS.toUpperCase()}-01`,
    "00-00000000000000000000000000000000-b7ad6b7169203331-01", `.0-${IDS}-01`]) {
    const headers = await sent(["traceparent", bad], ["tracestate", "a=1"]);
    equal(headers.map(([name]) => name), ["traceparent"], bad);
    equal(fresh.test(headers[0][1]), true, headers[0][1]);
  }
  const twice = await sent(PARENT, PARENT, ["tracestate", "a=1"]);
  equal([twice.length, fresh.test(value(twice, "traceparent"))], [1, true]);
  const none = await sent([":path", "/"], ["tracestate", "a=1"]);
  equal([none.length, fresh.test(value(none, "traceparent"))], [2, true]);
});

await test("more tracestate headers than there may be members are dropped", async () => {
  const many = Array.from({ length: 40 }, (_, i) => ["tracestate", `k${i}=1`]);
  const { request } = await exchange({ headers: [[":status", "200"]] }, { request: [PARENT, ...many] });
  equal(request, [PARENT]);
});

await test("an error is told the trace that its request began", async () => {
  const { request, body } = await exchange(failing([PANIC]), { request: [[":authority", "orders"]] });
  equal(value(request, "traceparent"), `00-${JSON.parse(body).trace_id}-${JSON.parse(body).span_id}-02`);
});

await test("requests beside each other do not mix", async () => {
  const host = await load();
  const ids = Array.from({ length: 100 }, () => host.begin());
  const parent = (i) => `00-${String(i + 1).padStart(32, "0")}-b7ad6b7169203331-01`;
  ids.forEach((id, i) => host.request(id, [[":authority", `s${i}`], ["traceparent", parent(i)]]));
  ids.reverse().forEach((id, i) => {
    const { body } = host.respond(id, failing([PANIC]));
    const record = JSON.parse(body);
    equal([record.trace_id, record.service], [parent(99 - i).slice(3, 35), `s${99 - i}`]);
    host.end(id);
  });
  equal(host.violations, []);
});

await test("configurations beside each other do not mix, and a fifth is refused until one has ended", async () => {
  const host = await load('{"body": "keep"}');
  const plugins = ["", '{"expose": "header"}', '{"expose": "contract"}'].map((text) => host.plugin(text));
  equal(plugins.map(({ started }) => started), [true, true, true]);
  const answers = [1, ...plugins.map(({ id }) => id)].map((plugin) => {
    const id = host.begin(plugin);
    host.request(id, REQUEST);
    const { headers, body } = host.respond(id, failing([PANIC]));
    host.end(id);
    return [body.length > PANIC.length, value(headers, "x-error-code")];
  });
  equal(answers, [[false, "mesh.go.panic"], [true, "mesh.go.panic"], [false, "mesh.go.panic"], [true, undefined]]);
  equal(host.plugin("").started, false);
  equal(said(host).at(-1)[1], "coropanic: at most 4 configurations for each worker");
  host.end(plugins[0].id);
  equal(host.plugin("").started, true);
  equal(host.violations, []);
});

await test("a request too many passes as it is, and its number is free again later", async () => {
  const host = await load();
  const ids = Array.from({ length: 2049 }, () => host.begin());
  equal(host.logs.length, 1);
  equal(host.respond(ids[2048], failing([PANIC])).body.toString(), PANIC);
  ids.forEach((id) => host.end(id));
  equal(JSON.parse(host.exchange({ request: REQUEST, response: failing([PANIC]) }).body).error_code, "mesh.go.panic");
  equal(host.violations, []);
});

await test("callbacks for numbers that the filter does not know do nothing", async () => {
  const host = await load();
  equal(host.request(77, REQUEST), REQUEST);
  equal(host.respond(78, failing([PANIC])).body.toString(), PANIC);
  host.end(79);
  const orphan = host.begin(99); // of a plugin that is not there
  equal(host.request(orphan, REQUEST), REQUEST);
  equal(host.respond(orphan, failing([PANIC])).body.toString(), PANIC);
  host.end(orphan);
  equal(host.violations, []);
});

await test("whichever call the host refuses, the response goes on and nothing is violated", async () => {
  for (const name of ["proxy_get_header_map_pairs", "proxy_get_header_map_value", "proxy_replace_header_map_value",
    "proxy_remove_header_map_value", "proxy_get_buffer_bytes", "proxy_set_buffer_bytes", "random_get", "clock_time_get"]) {
    const host = await load();
    host.failing({ [name]: 10 });
    const { body } = host.exchange({ request: [[":authority", "orders"]], response: failing([PANIC]) });
    equal(body.length > 0, true, name);
    equal(host.violations, [], name);
    host.failing({});
    const after = host.exchange({ request: REQUEST, response: failing([PANIC]) });
    equal(JSON.parse(after.body).error_code, "mesh.go.panic", name);
  }
});

await test("headers that have no room leave the request as it is", async () => {
  const host = await load();
  const huge = [...REQUEST.slice(0, 3), ["cookie", "x".repeat(200000)], ["traceparent", "bad"]];
  const { request, body } = host.exchange({ request: huge, response: failing([PANIC]) });
  equal(request, huge);
  equal(JSON.parse(body).trace_id, undefined);
  equal(host.violations, []);
});

await test("pairs whose lengths lie are not read", async () => {
  const right = serialise(REQUEST);
  for (let i = 0; i < right.length; i++) {
    const cut = await load("", { pairs: () => right.subarray(0, i) });
    cut.exchange({ request: REQUEST, response: failing([PANIC]) });
    equal(cut.violations, [], `cut at ${i}`);
  }
  for (let at = 0; at < 4 + 8 * REQUEST.length; at += 4) {
    for (const lie of [0xffffffff, 0x7fffffff, 0x80000000, 1000, 0]) {
      const wrong = Buffer.from(right);
      wrong.writeUInt32LE(lie, at);
      const host = await load("", { pairs: () => wrong });
      host.exchange({ request: REQUEST, response: failing([PANIC]) });
      equal(host.violations.filter((text) => /memory/.test(text)), [], `${lie} at ${at}`);
    }
  }
});

finish("filter");
