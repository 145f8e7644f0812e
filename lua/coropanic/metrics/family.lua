--- A family of metrics: its series, at most MAX_SERIES of them, and their exemplars.

local co = require "coropanic"
local valid = require("coropanic.text").valid

local has_socket, socket = pcall(require, "socket")

local family = {}

--- The most series of one family. What is counted for more goes to one series whose labels are all "other".
family.MAX_SERIES = 1000

--- An exemplar is replaced after so many seconds at the earliest.
family.EXEMPLAR_SECONDS = 1

local OTHER = "other"

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ['"'] = '\\"' }

--- A text as it stands in a label's quotes.
function family.escape(value) return (valid(value):gsub('[\\\n"]', ESCAPES)) end

local dropped = 0

--- Returns how often something was counted in a series "other".
function family.dropped() return dropped end

--- Seconds since 1970.
local now = has_socket and socket.gettime or os.time

---@class coropanic.metric
---@field name string  # of the family
---@field kind string
---@field help string?
---@field unit string?
---@field labels string[]
---@field bounds number[]?  # of a histogram's buckets; the last one is infinite
---@field began number  # seconds since 1970: since then it counts
local Family = {}
Family.__index = Family
Family.__name = "coropanic.metric"

function Family:__tostring() return ("%s %s"):format(self.kind, self.name) end

---@param fields table  # name, kind, help, unit, labels, bounds
function family.new(fields)
  fields.series, fields.count = {}, 0
  fields.began = now()
  fields.known = {}
  for _, label in ipairs(fields.labels) do fields.known[label] = true end
  return setmetatable(fields, Family)
end

local function refuse(level, message, ...) error(message:format(...), level + 1) end

--- The value of a label as text.
local function value_of(method, label, value)
  local kind = type(value)
  if kind == "nil" then refuse(5, "bad argument #2 to '%s' (label '%s' is missing)", method, label) end
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    local message = "bad argument #2 to '%s' (label '%s': string, number or boolean expected, got %s)"
    refuse(5, message, method, label, kind)
  end
  return family.escape(tostring(value))
end

--- The labels as they stand in the text: `a="x",b="y"`. The same text has the same labels.
local function text_of(self, method, given)
  if given == nil and #self.labels == 0 then return "" end
  if type(given) ~= "table" then
    refuse(4, "bad argument #2 to '%s' (table of labels expected, got %s)", method, type(given))
  end
  local parts = {}
  for i, label in ipairs(self.labels) do
    parts[i] = ('%s="%s"'):format(label, value_of(method, label, given[label]))
  end
  for label in pairs(given) do
    if not self.known[label] then
      refuse(4, "bad argument #2 to '%s' (unknown label '%s')", method, tostring(label))
    end
  end
  return table.concat(parts, ",")
end

local UNESCAPES = { n = "\n" }

--- Returns the labels that stand in a series' text.
---@param text string
---@return table<string, string>
function family.labels_of(text)
  local labels = {}
  -- Without what is escaped, a quote ends a value.
  local encoded = text:gsub("\\(.)", function(c) return ("\\%03d"):format(c:byte()) end)
  for label, value in encoded:gmatch '([%w_]+)="([^"]*)"' do
    labels[label] = value:gsub("\\(%d%d%d)", function(code)
      local c = string.char(tonumber(code))
      return UNESCAPES[c] or c
    end)
  end
  return labels
end

--- Whether a series of a histogram has a sum: not if it has counted a value below 0, or is made for such,
--- because a sum may only grow.
---@param histogram coropanic.metric
---@param series table
function family.has_sum(histogram, series) return histogram.bounds[1] >= 0 and not series.has_fallen end

local function other_text(self)
  local parts = {}
  for i, label in ipairs(self.labels) do parts[i] = ('%s="%s"'):format(label, OTHER) end
  return table.concat(parts, ",")
end

local function new_series(self, text)
  local series = { text = text, value = 0 }
  if self.kind == "histogram" then
    series.counts = {}
    for i = 1, #self.bounds do series.counts[i] = 0 end
  end
  self.series[text] = series
  return series
end

--- Returns the series of a text; beyond MAX_SERIES that of the others.
function Family:at(text)
  local series = self.series[text]
  if series then return series end
  if self.count >= family.MAX_SERIES then
    dropped = dropped + 1
    text = other_text(self)
    return self.series[text] or new_series(self, text)
  end
  self.count = self.count + 1
  return new_series(self, text)
end

--- Returns the series with these labels, and checks the metric and the value for a method.
local function series_for(self, kinds, method, value, labels)
  if getmetatable(self) ~= Family or not kinds[self.kind] then
    local got = getmetatable(self) == Family and self.kind or type(self)
    refuse(3, "calling '%s' on a bad self (%s expected, got %s)", method, kinds.expected, got)
  end
  if type(value) ~= "number" then
    refuse(3, "bad argument #1 to '%s' (number expected, got %s)", method, type(value))
  end
  return self:at(text_of(self, method, labels))
end

--- Makes a trace the exemplar of `place` in the series, if it is sampled, unless the last one is too new.
---@param trace table?  # trace_id, span_id, sampled; nil: the running code's
function family.note_exemplar(series, place, value, trace)
  local exemplars = series.exemplars
  local last = exemplars and exemplars[place]
  local at = now()
  if last and at - last.time < family.EXEMPLAR_SECONDS and at >= last.time then return end
  trace = trace or co.trace.current()
  if not trace or not trace.sampled then return end
  if not exemplars then
    exemplars = {}
    series.exemplars = exemplars
  end
  exemplars[place] = { trace_id = trace.trace_id, span_id = trace.span_id, value = value, time = at }
end

local COUNTS = { counter = true, gauge = true, expected = "counter or gauge" }
local GAUGE = { gauge = true, expected = "gauge" }
local HISTOGRAM = { histogram = true, expected = "histogram" }
local SET = { gauge = true, expected = "gauge or info" }

--- Adds to a counter or gauge.
---@param value number?  # default: 1; a counter's only grows
---@param labels table<string, string | number | boolean>?  # one for each label of the metric
function Family:inc(value, labels)
  if value == nil then value = 1 end
  local series = series_for(self, COUNTS, "inc", value, labels)
  if self.kind == "counter" then
    if value ~= value or value < 0 or value == math.huge then
      refuse(2, "bad argument #1 to 'inc' (a counter only grows, got %s)", tostring(value))
    end
    family.note_exemplar(series, 1, value)
  end
  series.value = series.value + value
end

--- Subtracts from a gauge.
---@param value number?  # default: 1
---@param labels table<string, string | number | boolean>?
function Family:dec(value, labels)
  if value == nil then value = 1 end
  local series = series_for(self, GAUGE, "dec", value, labels)
  series.value = series.value - value
end

--- Sets a gauge; of an info, the labels: `info:set(labels)`.
---@param value number | table<string, string | number | boolean>
---@param labels table<string, string | number | boolean>?
function Family:set(value, labels)
  if getmetatable(self) ~= Family or self.kind ~= "info" then
    series_for(self, SET, "set", value, labels).value = value
    return
  end
  local text = text_of(self, "set", value)
  self.series, self.count = {}, 0
  self:at(text).value = 1
end

--- Returns the number of the first bucket whose bound is not below the value. (A binary search.)
local function bucket_of(bounds, value)
  local low, high = 1, #bounds
  while low < high do
    local middle = math.floor((low + high) / 2)
    if value <= bounds[middle] then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

--- Adds a value to a histogram.
---@param value number  # not NaN
---@param labels table<string, string | number | boolean>?
function Family:observe(value, labels)
  local series = series_for(self, HISTOGRAM, "observe", value, labels)
  if value ~= value then refuse(2, "bad argument #1 to 'observe' (a number expected, got %s)", "NaN") end
  local bucket = bucket_of(self.bounds, value)
  series.counts[bucket] = series.counts[bucket] + 1
  series.value = series.value + value
  if value < 0 then series.has_fallen = true end
  family.note_exemplar(series, bucket, value)
end

--- Returns the family's series, in the order of their labels.
function Family:sorted()
  local list = {}
  for _, series in pairs(self.series) do list[#list + 1] = series end
  table.sort(list, function(a, b) return a.text < b.text end)
  return list
end

return family
