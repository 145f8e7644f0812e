--- Writes families as text: in OpenMetrics 1.0, and in the older format of Prometheus, 0.0.4.

local has_sum = require("coropanic.metrics.family").has_sum
local portable = require "coropanic.portable"
local valid = require("coropanic.text").valid

local text = {}

local HELP_ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"' }

--- The line of a family's help, in which the special characters are escaped.
local function help(family, name, special)
  return ("# HELP %s %s"):format(name, (valid(family.help):gsub(special, HELP_ESCAPES)))
end

--- A number as both formats have it: the shortest text that reads as the same number.
local function number(value)
  if value ~= value then return "NaN" end
  if value == math.huge then return "+Inf" end
  if value == -math.huge then return "-Inf" end
  if portable.math_type(value) == "integer" then return ("%d"):format(value) end
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end

--- A bound of a bucket, which OpenMetrics wants with a fraction.
local function bound(value)
  local shown = number(value)
  return shown:find "^-?%d+$" and shown .. ".0" or shown
end

--- `name{labels} value`, with another label if there is one.
local function sample(name, labels, own, value)
  if own ~= "" then labels = labels == "" and own or labels .. "," .. own end
  if labels ~= "" then labels = "{" .. labels .. "}" end
  return name .. labels .. " " .. number(value)
end

local function exemplar_of(series, place)
  local e = series.exemplars and series.exemplars[place]
  if not e then return "" end
  local span = e.span_id and (',span_id="%s"'):format(e.span_id) or ""
  return (' # {trace_id="%s"%s} %s %.3f'):format(e.trace_id, span, number(e.value), e.time)
end

local SUFFIX = { counter = "_total", gauge = "", info = "_info" }

--- Adds the lines of a histogram's series. OpenMetrics has a sum and a count only if the sum never falls.
local function add_histogram(lines, family, series, is_openmetrics)
  local count = 0
  for i, upper in ipairs(family.bounds) do
    count = count + series.counts[i]
    local own = ('le="%s"'):format(bound(upper))
    local exemplar = is_openmetrics and exemplar_of(series, i) or ""
    lines[#lines + 1] = sample(family.name .. "_bucket", series.text, own, count) .. exemplar
  end
  if is_openmetrics and not has_sum(family, series) then return end
  lines[#lines + 1] = sample(family.name .. "_count", series.text, "", count)
  lines[#lines + 1] = sample(family.name .. "_sum", series.text, "", series.value)
end

local function add_series(lines, family, is_openmetrics)
  for _, series in ipairs(family:sorted()) do
    if family.kind == "histogram" then
      add_histogram(lines, family, series, is_openmetrics)
    else
      local name = family.name .. SUFFIX[family.kind]
      local exemplar = is_openmetrics and exemplar_of(series, 1) or ""
      lines[#lines + 1] = sample(name, series.text, "", series.value) .. exemplar
    end
  end
end

--- Writes the families in OpenMetrics 1.0.
---@param families coropanic.metric[]
---@return string
function text.openmetrics(families)
  local lines = {}
  for _, family in ipairs(families) do
    lines[#lines + 1] = ("# TYPE %s %s"):format(family.name, family.kind)
    if family.unit then lines[#lines + 1] = ("# UNIT %s %s"):format(family.name, family.unit) end
    if family.help then
      lines[#lines + 1] = help(family, family.name, '[\\\n"]')
    end
    add_series(lines, family, true)
  end
  lines[#lines + 1] = "# EOF\n"
  return table.concat(lines, "\n")
end

--- Writes the families in the text format 0.0.4, which has no exemplars, units and infos.
---@param families coropanic.metric[]
---@return string
function text.plain(families)
  local lines = {}
  for _, family in ipairs(families) do
    local name = family.name .. (SUFFIX[family.kind] or "")
    if family.help then
      lines[#lines + 1] = help(family, name, "[\\\n]")
    end
    lines[#lines + 1] = ("# TYPE %s %s"):format(name, family.kind == "info" and "gauge" or family.kind)
    add_series(lines, family, false)
  end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

return text
