--- Metrics for Prometheus and OpenMetrics: counters, gauges, histograms and infos of the program, and those
--- of the runtime and of policies. Counters and histograms have the traces that were counted last as
--- exemplars.

local accept = require "coropanic.metrics.accept"
local family = require "coropanic.metrics.family"
local names = require "coropanic.metrics.names"
local policies = require "coropanic.metrics.policies"
local runtime = require "coropanic.metrics.runtime"
local text = require "coropanic.metrics.text"

local metrics = {}

--- The most families, the most labels of one, and the most buckets of a histogram.
local MAX_FAMILIES, MAX_LABELS, MAX_BUCKETS = 1000, 32, 200

-- Seconds, from a fast answer to a slow one: the buckets of Prometheus' own clients.
local DEFAULT_BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

local OPTIONS = {
  counter = { help = "string", unit = "string", labels = "table" },
  gauge = { help = "string", unit = "string", labels = "table" },
  info = { help = "string", labels = "table" },
  histogram = { help = "string", unit = "string", labels = "table", buckets = "table" },
}

local families = {} ---@type table<string, coropanic.metric>
local is_built_in = {} ---@type table<string, true>  # names of families
local owners = {} ---@type table<string, string>  # the name of a sample -> that of its family
local count = 0

local function refuse(kind, arg, message, ...)
  error(("bad argument #%d to '%s' (%s)"):format(arg, kind, message:format(...)), 4)
end

local function check_options(kind, options)
  if type(options) ~= "table" then refuse(kind, 2, "table expected, got %s", type(options)) end
  for name, value in pairs(options) do
    local wanted = OPTIONS[kind][name]
    if not wanted then refuse(kind, 2, "unknown option '%s'", tostring(name)) end
    if type(value) ~= wanted then
      refuse(kind, 2, "option '%s': %s expected, got %s", name, wanted, type(value))
    end
  end
end

--- Returns a copy of the labels, which are checked.
local function check_labels(kind, given)
  local labels, seen = {}, {}
  for i, label in ipairs(given or {}) do
    local refusal = names.label_refusal(kind, label)
    if refusal then refuse(kind, 2, "option 'labels': %s", refusal) end
    if seen[label] then refuse(kind, 2, "option 'labels': %q is there twice", label) end
    if i > MAX_LABELS then refuse(kind, 2, "option 'labels': at most %d expected", MAX_LABELS) end
    labels[i], seen[label] = label, true
  end
  return labels
end

--- Returns the bounds of the buckets, the last one infinite.
local function check_buckets(kind, given)
  local bounds, last = {}, -math.huge
  for i, upper in ipairs(given or DEFAULT_BUCKETS) do
    if type(upper) ~= "number" or upper ~= upper or upper <= last then
      refuse(kind, 2, "option 'buckets': rising numbers expected, got %s", tostring(upper))
    end
    if i > MAX_BUCKETS then refuse(kind, 2, "option 'buckets': at most %d expected", MAX_BUCKETS) end
    bounds[i], last = upper, upper
  end
  if last ~= math.huge then bounds[#bounds + 1] = math.huge end
  return bounds
end

local function same_list(a, b)
  if #a ~= #b then return false end
  for i, value in ipairs(a) do
    if value ~= b[i] then return false end
  end
  return true
end

--- Whether a family is as one that is asked for again, perhaps by a module that was loaded again.
local function is_same(known, fields)
  return known.kind == fields.kind and known.unit == fields.unit and same_list(known.labels, fields.labels)
    and same_list(known.bounds or {}, fields.bounds or {})
end

local function register(fields)
  local known = families[fields.name]
  if known and not is_built_in[fields.name] and is_same(known, fields) then return known end
  for _, sample in ipairs(names.samples(fields.kind, fields.name)) do
    if owners[sample] then
      refuse(fields.kind, 1, "%q is a name of the metric '%s' already", sample, owners[sample])
    end
  end
  if count >= MAX_FAMILIES then refuse(fields.kind, 1, "more than %d metrics", MAX_FAMILIES) end
  local made = family.new(fields)
  if #fields.labels == 0 then made:at "" end
  families[fields.name] = made
  count = count + 1
  for _, sample in ipairs(names.samples(fields.kind, fields.name)) do owners[sample] = fields.name end
  return made
end

local function make(kind, name, options)
  if type(name) ~= "string" then refuse(kind, 1, "string expected, got %s", type(name)) end
  if options == nil then options = {} end
  check_options(kind, options)
  name = names.family(kind, name)
  local refusal = names.refusal(kind, name, options.unit)
  if refusal then refuse(kind, 1, "%s", refusal) end
  return register {
    kind = kind,
    name = name,
    help = options.help,
    unit = options.unit ~= "" and options.unit or nil,
    labels = check_labels(kind, options.labels),
    bounds = kind == "histogram" and check_buckets(kind, options.buckets) or nil,
  }
end

for _, module in ipairs { runtime, policies } do
  for name, built_in in pairs(module.families) do
    families[name], is_built_in[name] = built_in, true
    for _, sample in ipairs(names.samples(built_in.kind, name)) do owners[sample] = name end
  end
end

---@class coropanic.metrics.options
---@field help string?
---@field unit string?  # the name must end with it: "seconds" for "request_seconds"
---@field labels string[]?  # their names

--- Makes a counter, or returns the one that there is with this name and these options.
---@param name string  # "_total" is added to it if it does not end so
---@param options coropanic.metrics.options?
---@return coropanic.metric
function metrics.counter(name, options) return (make("counter", name, options)) end

--- Makes a gauge, or returns the one that there is.
---@param name string
---@param options coropanic.metrics.options?
---@return coropanic.metric
function metrics.gauge(name, options) return (make("gauge", name, options)) end

---@class coropanic.metrics.histogram_options: coropanic.metrics.options
---@field buckets number[]?  # their upper bounds, rising

--- Makes a histogram, or returns the one that there is.
---@param name string
---@param options coropanic.metrics.histogram_options?
---@return coropanic.metric
function metrics.histogram(name, options) return (make("histogram", name, options)) end

--- Makes an info: labels with a constant value, such as a version.
---@param name string  # "_info" is added to it if it does not end so
---@param options { help: string?, labels: string[]? }?
---@return coropanic.metric
function metrics.info(name, options) return (make("info", name, options)) end

-- Those of policies are not shown while there are none.
local function is_shown(each) return not each.is_optional or next(each.series) ~= nil end

--- Returns all metrics, by their names, those of the runtime and of policies brought up to date: for
--- exporters.
---@return coropanic.metric[]
function metrics.families()
  runtime.refresh()
  policies.refresh()
  local list = {}
  for _, each in pairs(families) do
    if is_shown(each) then list[#list + 1] = each end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- Writes all metrics in the form that the client prefers.
---@param header string?  # "Accept" of the request
---@return string body
---@return string content_type
function metrics.expose(header)
  if header ~= nil and type(header) ~= "string" then
    error(("bad argument #1 to 'expose' (string or nil expected, got %s)"):format(type(header)), 2)
  end
  local form, content_type = accept.choose(header)
  local write = form == "openmetrics" and text.openmetrics or text.plain
  return write(metrics.families()), content_type
end

return metrics
