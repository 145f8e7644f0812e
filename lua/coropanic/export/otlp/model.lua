--- What the runtime tells, as the messages of OTLP, in the names of its JSON form: ids in hex, enums as
--- integers, integers of 64 bits as strings of digits. https://opentelemetry.io/docs/specs/otlp/

local model = {}

local KIND = { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 }

local STATUS_ERROR = 2

local FLAG_SAMPLED = 1

-- By the kind of a record: OpenTelemetry's severity number and text.
local SEVERITY = {
  panic = { 17, "ERROR" },
  error = { 17, "ERROR" },
  memory = { 21, "FATAL" },
  deadlock = { 21, "FATAL" },
  timeout = { 13, "WARN" },
  cancelled = { 9, "INFO" },
  goexit = { 9, "INFO" },
}

local function digits(integer) return ("%d"):format(integer) end

local NOT_FINITE = { [1 / 0] = "Infinity", [-1 / 0] = "-Infinity" }

--- An AnyValue.
local function any(value)
  local kind = math.type(value)
  if kind == "integer" then return { intValue = digits(value) } end
  if kind == "float" then return { doubleValue = value ~= value and "NaN" or NOT_FINITE[value] or value } end
  if type(value) == "boolean" then return { boolValue = value } end
  if type(value) ~= "table" then return { stringValue = tostring(value) } end
  local values = {}
  for i, item in ipairs(value) do values[i] = any(item) end
  return { arrayValue = { values = #values > 0 and values or nil } }
end

--- KeyValues in the order of their keys; nil if there are none, since an empty table is no list in JSON.
local function attributes(table_of)
  local keys, list = {}, {}
  for key in pairs(table_of) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = { key = key, value = any(table_of[key]) } end
  return #list > 0 and list or nil
end

--- A span of co.trace.on_span as a Span.
---@param span table
---@param with_events boolean  # as events of the span, which OpenTelemetry has deprecated
function model.span(span, with_events)
  local message = {
    traceId = span.trace_id,
    spanId = span.span_id,
    parentSpanId = span.parent_span_id,
    traceState = span.trace_state,
    flags = FLAG_SAMPLED,
    name = span.name,
    kind = KIND[span.kind],
    startTimeUnixNano = digits(span.start_time),
    endTimeUnixNano = digits(span.end_time),
    attributes = attributes(span.attributes),
    droppedAttributesCount = span.dropped_attributes,
  }
  if span.status == "error" then message.status = { code = STATUS_ERROR, message = span.status_message } end
  if with_events and #span.events > 0 then
    message.events = {}
    for i, event in ipairs(span.events) do
      message.events[i] = {
        timeUnixNano = digits(event.time),
        name = event.name,
        attributes = attributes(event.attributes),
        droppedAttributesCount = event.dropped_attributes,
      }
    end
    message.droppedEventsCount = span.dropped_events
  end
  return message
end

--- An event of a span as a LogRecord.
function model.event(span, event, observed)
  return {
    timeUnixNano = digits(event.time),
    observedTimeUnixNano = digits(observed),
    severityNumber = SEVERITY.goexit[1],
    severityText = SEVERITY.goexit[2],
    eventName = event.name,
    flags = FLAG_SAMPLED,
    traceId = span.trace_id,
    spanId = span.span_id,
    attributes = attributes(event.attributes),
  }
end

--- A panic's record as a LogRecord, by the semantic conventions for exceptions in logs.
---@param record table  # as record:to_table() makes it
---@param text string  # the report
---@param observed integer  # nanoseconds since 1970
function model.record(record, text, observed)
  local task = record.task
  local values = {
    ["exception.type"] = record.error_code,
    ["exception.message"] = record.message,
    ["exception.stacktrace"] = text,
    ["coro.kind"] = record.kind,
    ["coro.stack_hash"] = record.stack_hash,
  }
  if task then
    local ancestors = {}
    for i, ancestor in ipairs(task.ancestors or {}) do ancestors[i] = ancestor.name end
    values["coro.task.id"] = task.id
    values["coro.task.name"] = task.name
    values["coro.task.ancestors"] = ancestors
  end
  local severity = SEVERITY[record.kind] or SEVERITY.error
  return {
    timeUnixNano = record.time,
    observedTimeUnixNano = digits(observed),
    severityNumber = severity[1],
    severityText = severity[2],
    eventName = "exception",
    body = { stringValue = record.message },
    flags = FLAG_SAMPLED,
    traceId = record.trace_id,
    spanId = record.span_id,
    attributes = attributes(values),
  }
end

--- A request for /v1/traces or /v1/logs.
---@param signal "traces" | "logs"
---@param items table[]
---@param resource table<string, any>  # attributes
---@param scope { name: string, version: string? }
function model.request(signal, items, resource, scope)
  local is_logs = signal == "logs"
  local scoped = { scope = scope, [is_logs and "logRecords" or "spans"] = items }
  local of_resource = { resource = { attributes = attributes(resource) } }
  of_resource[is_logs and "scopeLogs" or "scopeSpans"] = { scoped }
  return { [is_logs and "resourceLogs" or "resourceSpans"] = { of_resource } }
end

return model
