"use strict";
// A collector for the specs: OTLP over HTTP, each message held against OpenTelemetry's official definitions, as its
// JavaScript SDK compiles them. usage: node receiver.js PORT NODE_MODULES
//
//   POST /sessions          a JSON array of answers -> the name of a session; the last answer holds for ever
//   POST /NAME/v1/traces    and /NAME/v1/logs, /NAME/v1/metrics: as a collector
//   GET  /NAME              what came: [{ path, contentType, headers, problems, message }]; problems is empty if
//                           the message is valid, message has OTLP's JSON form
//
// An answer: { status, headers, partial (the partialSuccess), text (in the place of a message), hangUp, never }.

const assert = require("node:assert");
const http = require("node:http");
const path = require("node:path");

const [port, modules] = process.argv.slice(2);
const SDK = "@opentelemetry/otlp-transformer/build/src/generated/root.js";
const { collector } = require(path.resolve(modules, SDK)).opentelemetry.proto;

const SIGNALS = {
  "/v1/traces": { Request: collector.trace.v1.ExportTraceServiceRequest, Response: collector.trace.v1.ExportTraceServiceResponse },
  "/v1/logs": { Request: collector.logs.v1.ExportLogsServiceRequest, Response: collector.logs.v1.ExportLogsServiceResponse },
  "/v1/metrics": { Request: collector.metrics.v1.ExportMetricsServiceRequest, Response: collector.metrics.v1.ExportMetricsServiceResponse },
};

const ID_BYTES = { traceId: 16, spanId: 8, parentSpanId: 8 };

/** A copy of `value` in which `change(key, value)` stands for each field. */
function map(value, change) {
  if (Array.isArray(value)) return value.map((item) => map(item, change));
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  const copy = {};
  for (const [key, field] of Object.entries(value)) copy[key] = map(change(key, field), change);
  return copy;
}

// OTLP's JSON is protobuf's but for ids, which are hex. Protobuf's takes digits for any double.
const fromJson = (key, value) => (key in ID_BYTES && /^([0-9a-f]{2})*$/.test(value) ? Buffer.from(value, "hex") : value);
const toJson = (key, value) => (ArrayBuffer.isView(value) ? Buffer.from(value).toString("hex") : value);
const DOUBLES = new Set(["doubleValue", "asDouble", "sum", "explicitBounds"]);
const finite = (value) => (typeof value === "string" && Number.isFinite(Number(value)) ? Number(value) : value);
const asNumber = (key, value) => {
  if (!DOUBLES.has(key)) return value;
  return Array.isArray(value) ? value.map(finite) : finite(value);
};

/** The JSON form of a message of the definitions: only what they know is in it. */
function jsonOf(Type, message) {
  return map(Type.toObject(message, { longs: String, json: true, bytes: undefined }), toJson);
}

/** What the definitions do not say, but the specification does. */
function checkMeaning(request, problems) {
  map(request, (key, value) => {
    if (key in ID_BYTES && (value.length !== 2 * ID_BYTES[key] || /^0*$/.test(value))) problems.push(`${key} ${value}`);
    if (key === "attributes") {
      const names = value.map((attribute) => attribute.key);
      if (names.includes("") || new Set(names).size !== names.length) problems.push(`names of attributes: ${names}`);
    }
    return value;
  });
  for (const of of request.resourceSpans ?? []) {
    for (const span of of.scopeSpans.flatMap((scoped) => scoped.spans)) {
      if (!span.traceId || !span.spanId || !span.name) problems.push("a span without traceId, spanId or name");
      if (!(span.kind >= 1 && span.kind <= 5)) problems.push(`kind ${span.kind}`);
      if (BigInt(span.startTimeUnixNano) > BigInt(span.endTimeUnixNano)) problems.push("a span ends before it starts");
    }
  }
  for (const of of request.resourceLogs ?? []) {
    for (const log of of.scopeLogs.flatMap((scoped) => scoped.logRecords)) {
      if (!(log.severityNumber >= 1 && log.severityNumber <= 24)) problems.push(`severityNumber ${log.severityNumber}`);
      if (BigInt(log.observedTimeUnixNano) < BigInt(log.timeUnixNano)) problems.push("observed before it was");
    }
  }
  for (const of of request.resourceMetrics ?? []) {
    checkMetrics(of.scopeMetrics.flatMap((scoped) => scoped.metrics), problems);
  }
}

/** The same, of metrics: opentelemetry/proto/metrics/v1/metrics.proto says it in comments. */
function checkMetrics(metrics, problems) {
  for (const metric of metrics) {
    const { name, gauge, sum, histogram } = metric;
    if (!name) problems.push("a metric without a name");
    const points = (gauge ?? sum ?? histogram).dataPoints ?? [];
    if (points.length === 0) problems.push(`${name}: no points`);
    if (!gauge && (sum ?? histogram).aggregationTemporality !== 2) problems.push(`${name}: not cumulative`);
    const labels = points.map((point) => JSON.stringify(point.attributes));
    if (new Set(labels).size !== labels.length) problems.push(`${name}: a series is there twice`);
    for (const point of points) {
      const { startTimeUnixNano, timeUnixNano, bucketCounts, explicitBounds = [], count } = point;
      if (!(BigInt(startTimeUnixNano) <= BigInt(timeUnixNano))) problems.push(`${name}: times`);
      if (sum?.isMonotonic && Number(point.asInt ?? point.asDouble) < 0) problems.push(`${name}: below 0`);
      if (!histogram) continue;
      if (bucketCounts.length !== explicitBounds.length + 1) problems.push(`${name}: ${bucketCounts.length} buckets`);
      if (bucketCounts.reduce((a, b) => a + BigInt(b), 0n) !== BigInt(count)) problems.push(`${name}: count`);
      if (explicitBounds.some((bound, i) => i > 0 && !(bound > explicitBounds[i - 1]))) problems.push(`${name}: bounds`);
    }
  }
}

function readJson(Request, body, problems) {
  const given = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  const message = jsonOf(Request, Request.fromObject(map(given, fromJson)));
  try {
    assert.deepStrictEqual(map(given, asNumber), message);
  } catch (error) {
    problems.push(`not as in the definitions: ${error.message}`);
  }
  return message;
}

function readProtobuf(Request, body, problems) {
  const message = Request.decode(body);
  const wrong = Request.verify(message);
  if (wrong !== null) problems.push(wrong);
  // Unknown fields and text that is no UTF-8 do not come back.
  if (!body.equals(Request.encode(message).finish())) problems.push("not as in the definitions");
  return jsonOf(Request, message);
}

const READERS = { "application/json": readJson, "application/x-protobuf": readProtobuf };

const sessions = new Map();

function reply(response, status, headers, body) {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** Takes one request of a session and answers as the session's next answer says. */
function collect(session, signalPath, request, body, response) {
  const { Request, Response } = SIGNALS[signalPath];
  const contentType = request.headers["content-type"];
  const problems = [];
  let message = null;
  try {
    message = READERS[contentType](Request, body, problems);
    checkMeaning(message, problems);
  } catch (error) {
    problems.push(String(error));
  }
  const answer = session.answers[Math.min(session.received.length, session.answers.length - 1)];
  session.received.push({ path: signalPath, contentType, headers: request.headers, problems, message });
  if (answer.never) return;
  if (answer.hangUp) {
    request.socket.destroy();
    return;
  }
  if (answer.text !== undefined || (answer.status ?? 200) !== 200) {
    reply(response, answer.status ?? 200, answer.headers ?? {}, answer.text ?? "");
    return;
  }
  const result = Response.fromObject(answer.partial ? { partialSuccess: answer.partial } : {});
  const encoded = contentType === "application/json" ? JSON.stringify(jsonOf(Response, result)) : Response.encode(result).finish();
  reply(response, 200, { ...answer.headers, "content-type": contentType }, encoded);
}

function route(request, body, response) {
  if (request.method === "POST" && request.url === "/sessions") {
    const name = String(sessions.size + 1);
    sessions.set(name, { answers: JSON.parse(body), received: [] });
    reply(response, 200, {}, name);
    return;
  }
  const [, name, signalPath] = request.url.match(/^\/(\d+)(\/v1\/\w+)?$/) ?? [];
  const session = sessions.get(name);
  if (!session) {
    reply(response, 404, {}, "");
  } else if (signalPath === undefined) {
    reply(response, 200, { "content-type": "application/json" }, JSON.stringify(session.received));
  } else {
    collect(session, signalPath, request, body, response);
  }
}

http
  .createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => route(request, Buffer.concat(chunks), response));
  })
  .listen(Number(port), "127.0.0.1");
