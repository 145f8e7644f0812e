--- Converts spans, events and records to OTLP's messages, in their JSON form: ids in hex, enums as integers,
--- integers of 64 bits as strings of digits. https://opentelemetry.io/docs/specs/otlp/

local portable = require "coropanic.portable"
local values = require "coropanic.export.otlp.values"

local attributes, digits, text = values.attributes, values.digits, values.text

local model = {}

local KIND = { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 }

local STATUS_ERROR = 2

-- By the kind of a record: OpenTelemetry's severity number and text.
local SEVERITY = {
  panic = { 17, "ERROR" },
  error = { 17, "ERROR" },
  memory = { 21, "FATAL" },
  deadlock = { 21, "FATAL" },
  timeout = { 13, "WARN" },
  leaked = { 13, "WARN" },
  cancelled = { 9, "INFO" },
  goexit = { 9, "INFO" },
}

local INFO = SEVERITY.goexit

--- A span of co.trace.on_span as a Span.
---@param span table
---@param with_events boolean  # adds its events, a form that OpenTelemetry has deprecated
function model.span(span, with_events)
  local message = {
    traceId = span.trace_id,
    spanId = span.span_id,
    parentSpanId = span.parent_span_id,
    traceState = span.trace_state,
    flags = tonumber(span.trace_flags, 16),
    name = span.name ~= "" and text(span.name) or "?",
    kind = KIND[span.kind],
    startTimeUnixNano = digits(span.start_time),
    -- The machine's clock may have been set back.
    endTimeUnixNano = digits(math.max(span.start_time, span.end_time)),
    attributes = attributes(span.attributes),
    droppedAttributesCount = span.dropped_attributes,
    droppedEventsCount = span.dropped_events,
  }
  if span.status == "error" then
    message.status = { code = STATUS_ERROR, message = text(span.status_message) }
  end
  if with_events and #span.events > 0 then
    message.events = {}
    for i, event in ipairs(span.events) do
      message.events[i] = {
        timeUnixNano = digits(event.time),
        name = text(event.name),
        attributes = attributes(event.attributes),
        droppedAttributesCount = event.dropped_attributes,
      }
    end
  end
  return message
end

local function log_record(fields)
  return {
    timeUnixNano = digits(fields.time),
    observedTimeUnixNano = digits(math.max(fields.time, fields.observed)),
    severityNumber = fields.severity[1],
    severityText = fields.severity[2],
    eventName = text(fields.name),
    body = fields.body and { stringValue = text(fields.body) },
    flags = fields.flags,
    traceId = fields.of.trace_id,
    spanId = fields.of.span_id,
    attributes = attributes(fields.attributes),
    droppedAttributesCount = fields.dropped_attributes,
  }
end

--- An event of a span as a LogRecord.
---@param span table
---@param event table
---@param observed integer  # nanoseconds since 1970
function model.event(span, event, observed)
  local is_exception = event.name == "exception"
  return log_record {
    name = event.name, time = event.time, observed = observed, of = span,
    flags = tonumber(span.trace_flags, 16),
    severity = is_exception and SEVERITY.error or INFO,
    attributes = event.attributes, dropped_attributes = event.dropped_attributes,
  }
end

--- A panic's record as a LogRecord, by the semantic conventions for exceptions in logs.
---@param record table  # as record:to_table() makes it
---@param report string
---@param observed integer  # nanoseconds since 1970
function model.record(record, report, observed)
  local task = record.task
  local of_record = {
    ["exception.type"] = record.error_code,
    ["exception.message"] = record.message,
    ["exception.stacktrace"] = report,
    ["coro.kind"] = record.kind,
    ["coro.stack_hash"] = record.stack_hash,
  }
  if task then
    local ancestors = {}
    for i, ancestor in ipairs(task.ancestors or {}) do ancestors[i] = ancestor.name end
    of_record["coro.task.id"] = task.id
    of_record["coro.task.name"] = task.name
    of_record["coro.task.ancestors"] = ancestors
  end
  return log_record {
    name = "exception", observed = observed, of = record,
    time = portable.tointeger(tonumber(record.time)),
    flags = tonumber(record.trace_flags, 16), severity = SEVERITY[record.kind] or SEVERITY.error,
    body = record.message, attributes = of_record,
  }
end

-- By signal, the names of what stands around its items.
local REQUEST = {
  traces = { resources = "resourceSpans", scopes = "scopeSpans", items = "spans" },
  logs = { resources = "resourceLogs", scopes = "scopeLogs", items = "logRecords" },
  metrics = { resources = "resourceMetrics", scopes = "scopeMetrics", items = "metrics" },
}

--- A request for /v1/traces, /v1/logs or /v1/metrics.
---@param signal coropanic.export.otlp.signal
---@param items table[]
---@param resource table<string, any>  # attributes
---@param scope { name: string, version: string? }
function model.request(signal, items, resource, scope)
  local names = REQUEST[signal]
  local of_scope = { scope = scope, [names.items] = items }
  local of_resource = { resource = { attributes = attributes(resource) }, [names.scopes] = { of_scope } }
  return { [names.resources] = { of_resource } }
end

return model
