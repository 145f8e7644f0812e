--- Sends spans, panics and metrics to a collector by OTLP over HTTP, in JSON or protobuf. A daemon task sends
--- them in batches, from bounded queues. The loop is never blocked, and lost items are counted.

local co = require "coropanic"
local exporter = require "coropanic.export.otlp.exporter"
local portable = require "coropanic.portable"

local otlp = {}

-- Option -> its type and its default.
local OPTIONS = {
  endpoint = { "string", "http://127.0.0.1:4318" },
  protocol = { "string", "http/json" },
  headers = { "table", {} },
  resource = { "table", {} }, -- attributes: ["service.name"] = ...
  scope = { "table", { name = "coropanic" } },
  span_events = { "boolean", false }, -- exceptions and events go into their spans, instead of logs
  metrics = { "boolean", false }, -- exports those of coropanic.metrics, too
  metrics_period = { "number", 60 }, -- seconds from one reading of all metrics to the next
  max_queue = { "integer", 2048 }, -- spans in the queue, and as many logs
  max_batch = { "integer", 512 },
  schedule_delay = { "number", 5 }, -- seconds between two batches, if none is full
  timeout = { "number", 10 }, -- seconds for one attempt
  max_elapsed = { "number", 60 }, -- seconds during which a batch is tried again
}

-- By protocol; the names are those of OTEL_EXPORTER_OTLP_PROTOCOL.
local CODECS = {
  ["http/json"] = "coropanic.export.otlp.json",
  ["http/protobuf"] = "coropanic.export.otlp.protobuf",
}

-- The attributes of every resource, by OpenTelemetry's semantic conventions.
local RESOURCE = {
  ["service.name"] = "unknown_service",
  ["telemetry.sdk.name"] = "coropanic",
  ["telemetry.sdk.language"] = "lua",
}

local function refuse(message, ...) error("bad argument #1 to 'start' (" .. message:format(...) .. ")", 5) end

local function check_names_and_types(given)
  if type(given) ~= "table" then refuse("table expected, got %s", type(given)) end
  for name, value in pairs(given) do
    local option = OPTIONS[name]
    if not option then refuse("unknown option '%s'", tostring(name)) end
    if type(value) ~= option[1] and portable.math_type(value) ~= option[1] then
      refuse("option '%s': %s expected, got %s", name, option[1], type(value))
    end
  end
end

--- Raises unless all names are strings, and all values are allowed in an attribute.
local function check_attributes(option, attributes)
  for name, value in pairs(attributes) do
    if type(name) ~= "string" then refuse("option '%s': names that are strings expected", option) end
    if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
      refuse("option '%s': string, number or boolean expected for '%s', got %s", option, name, type(value))
    end
  end
end

local function with_defaults(given)
  local options = {}
  for name, option in pairs(OPTIONS) do
    local value = given[name]
    if value == nil then value = option[2] end
    if (option[1] == "number" or option[1] == "integer") and (value <= 0 or value ~= value) then
      refuse("option '%s': %s above 0 expected, got %s", name, option[1], value)
    end
    options[name] = value
  end
  options.resource = {}
  for _, attributes in ipairs { RESOURCE, given.resource or {} } do
    for name, value in pairs(attributes) do options.resource[name] = value end
  end
  return options
end

local function check_scope(scope)
  for name, value in pairs(scope) do
    if (name ~= "name" and name ~= "version") or type(value) ~= "string" then
      refuse "option 'scope': { name = string, version = string } expected"
    end
  end
end

local function check_endpoint(endpoint)
  local authority = endpoint:match "^http://([^/?#]+)[^?#]*$"
  if not authority or authority:find "@" then refuse "option 'endpoint': http://host:port expected" end
  return (endpoint:gsub("/+$", ""))
end

local function load_codec(protocol)
  local name = CODECS[protocol]
  if not name then refuse [[option 'protocol': "http/json" or "http/protobuf" expected]] end
  local ok, codec = pcall(require, name)
  if not ok then
    refuse("option 'protocol': %s needs the module %s: %s", protocol, name, codec:match "^[^\n]*")
  end
  return codec
end

local function check_options(given)
  check_names_and_types(given)
  local options = with_defaults(given)
  check_attributes("resource", options.resource)
  check_attributes("headers", options.headers)
  check_scope(options.scope)
  options.endpoint = check_endpoint(options.endpoint)
  options.codec = load_codec(options.protocol)
  return options
end

---@class coropanic.export.otlp.options
---@field endpoint? string  # "http://host:port"; "/v1/traces", "/v1/logs" or "/v1/metrics" is added
---@field protocol? "http/json" | "http/protobuf"  # default: "http/json"
---@field headers? table<string, string | number | boolean>  # of each request
---@field resource? table<string, string | number | boolean>  # attributes: ["service.name"], ...
---@field scope? { name: string, version: string? }
---@field span_events? boolean  # exceptions and events go into their spans, instead of logs
---@field metrics? boolean  # exports those of coropanic.metrics, too; default: false
---@field metrics_period? number  # seconds from one reading of all metrics to the next; default: 60
---@field max_queue? integer  # spans in the queue, and as many logs; default: 2048
---@field max_batch? integer  # items of one request; default: 512
---@field schedule_delay? number  # seconds between two batches, if none is full; default: 5
---@field timeout? number  # seconds for one attempt; default: 10
---@field max_elapsed? number  # seconds during which a batch is tried again; default: 60

--- Call it in a task: exports each span that ends and each panic from now on, until the run ends, and metrics
--- if they are asked for.
---@param options coropanic.export.otlp.options?
---@return coropanic.export.otlp.exporter
function otlp.start(options)
  options = check_options(options or {})
  if not co.current() then error("otlp.start outside a task: a task sends what is exported", 2) end
  return exporter.start(options)
end

return otlp
