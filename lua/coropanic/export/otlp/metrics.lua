--- Converts the metrics of coropanic.metrics to OTLP's messages, in their JSON form. One item of a batch is a
--- point: what one series showed when all metrics were read.

local family = require "coropanic.metrics.family"
local metrics = require "coropanic.metrics"
local portable = require "coropanic.portable"
local values = require "coropanic.export.otlp.values"

local points = {}

local CUMULATIVE = 2 -- OTLP's AggregationTemporality

-- OpenTelemetry writes units by UCUM.
local UNITS = { seconds = "s", bytes = "By", ratio = "1", celsius = "Cel", meters = "m", volts = "V",
  amperes = "A", joules = "J", grams = "g" }

---@class coropanic.export.otlp.point
---@field family coropanic.metric
---@field text string  # the series' labels
---@field time integer  # nanoseconds since 1970
---@field value number
---@field counts integer[]?  # of a histogram's buckets
---@field has_sum boolean?  # of a histogram
---@field exemplars table?  # by bucket

--- Reads all metrics. The points are copies, because counting goes on while they are sent.
---@param time integer  # nanoseconds since 1970
---@return coropanic.export.otlp.point[]
function points.read(time)
  local list = {}
  for _, of in ipairs(metrics.families()) do
    for text, series in pairs(of.series) do
      local point = { family = of, text = text, time = time, value = series.value }
      if series.counts then
        point.counts = portable.move(series.counts, 1, #series.counts, 1, {})
        point.has_sum = family.has_sum(of, series)
      end
      if series.exemplars then
        point.exemplars = {}
        for place, exemplar in pairs(series.exemplars) do point.exemplars[place] = exemplar end
      end
      list[#list + 1] = point
    end
  end
  return list
end

--- Sets the field for a number, which is one of two by its type.
local function set_number(message, value)
  if portable.math_type(value) == "integer" then
    message.asInt = values.digits(value)
  else
    message.asDouble = values.double(value)
  end
  return message
end

local function exemplars_of(point)
  local list = {}
  for place = 1, point.counts and #point.counts or 1 do
    local exemplar = point.exemplars and point.exemplars[place]
    if exemplar then
      list[#list + 1] = set_number({
        timeUnixNano = values.digits(values.nanoseconds(exemplar.time)),
        traceId = exemplar.trace_id,
        spanId = exemplar.span_id,
      }, exemplar.value)
    end
  end
  return #list > 0 and list or nil
end

--- What a number's and a histogram's point have in common.
local function new_point(point)
  local began = values.nanoseconds(point.family.began)
  return {
    attributes = values.attributes(family.labels_of(point.text)),
    -- The machine's clock may have been set back.
    startTimeUnixNano = values.digits(math.min(began, point.time)),
    timeUnixNano = values.digits(point.time),
    exemplars = exemplars_of(point),
  }
end

local function number_point(point) return set_number(new_point(point), point.value) end

local function histogram_point(point)
  local bounds, message = point.family.bounds, new_point(point)
  message.bucketCounts, message.explicitBounds = {}, {}
  local count = 0
  for i, in_bucket in ipairs(point.counts) do
    count = count + in_bucket
    message.bucketCounts[i] = values.digits(in_bucket)
    -- The last bucket has no bound.
    if i < #bounds then message.explicitBounds[i] = values.double(bounds[i]) end
  end
  message.count = values.digits(count)
  if #bounds == 1 then message.explicitBounds = nil end -- an empty table is no list in JSON
  if point.has_sum then message.sum = values.double(point.value) end
  return message
end

--- By kind: the field of OTLP's Metric, what is in it besides the points, and what makes a point.
local FORMS = {
  counter = { "sum", { aggregationTemporality = CUMULATIVE, isMonotonic = true }, number_point },
  gauge = { "gauge", {}, number_point },
  histogram = { "histogram", { aggregationTemporality = CUMULATIVE }, histogram_point },
  -- By OpenTelemetry's rules for Prometheus and OpenMetrics.
  info = { "sum", { aggregationTemporality = CUMULATIVE, isMonotonic = false }, number_point },
}

--- A Metric without points.
local function new_metric(of)
  local field, fixed = FORMS[of.kind][1], FORMS[of.kind][2]
  local data = { dataPoints = {} }
  for name, value in pairs(fixed) do data[name] = value end
  return {
    name = of.kind == "info" and of.name .. "_info" or of.name,
    description = of.help and values.text(of.help),
    unit = of.unit and (UNITS[of.unit] or of.unit),
    [field] = data,
  }, data.dataPoints
end

--- The Metrics of a batch of points; points of one family that follow each other are in one of them.
---@param batch coropanic.export.otlp.point[]
---@return table[]
function points.metrics(batch)
  local list, last, data_points = {}, nil, nil
  for _, point in ipairs(batch) do
    local of = point.family
    if of ~= last then
      last = of
      list[#list + 1], data_points = new_metric(of)
    end
    data_points[#data_points + 1] = FORMS[of.kind][3](point)
  end
  return list
end

return points
