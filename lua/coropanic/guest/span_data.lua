--- The table of a span, which listeners get when the span ends: docs/spans.md has its fields. The twin of
--- csrc/span/span_data.h.

local compat = require "coropanic.guest.compat"
local generator = require "coropanic.guest.generator"
local ids = require "coropanic.guest.ids"
local record = require "coropanic.guest.record"
local value_text = require "coropanic.guest.value_text"

local span_data = {}

--- Bounds of one span. Everything beyond a bound is counted.
local MAX_ATTRIBUTES, MAX_EVENTS, MAX_ITEMS = 128, 128, 128

local wall_ns = generator.wall_ns

--- The table of a span that begins now.
---@param of table  # its ids
---@param kind string
---@param t table?  # the task whose code it is
function span_data.new(name, of, kind, t)
  local trace_state = of.trace.state
  return {
    name = name,
    trace_id = ids.trace_id(of), trace_flags = ids.flags_text(of),
    span_id = of.span_id or nil, parent_span_id = ids.parent_span_id(of),
    trace_state = trace_state ~= "" and trace_state or nil,
    kind = kind, task = t and t.id or nil,
    start_time = wall_ns(), attributes = {}, events = {},
  }
end

-- Attributes and events ----------------------------------------------------------------------------------

local PRIMITIVE = { string = true, number = true, boolean = true }

local function count_fields(values)
  local count = 0
  for _ in next, values do count = count + 1 end
  return count
end

--- A copy of an array of primitives of one type; nil: it is none, or too long.
local function copy_array(values)
  local count = compat.rawlen(values)
  if count > MAX_ITEMS or count_fields(values) ~= count then return nil end
  local copy = {}
  for i = 1, count do
    local item = rawget(values, i)
    if not PRIMITIVE[type(item)] or type(item) ~= type(values[1]) then return nil end
    copy[i] = item
  end
  return copy
end

--- The value to keep of an attribute; nil: it is not valid.
local function attribute_value(key, value)
  if type(key) ~= "string" then return nil end
  if PRIMITIVE[type(value)] then return value end
  if type(value) == "table" then return copy_array(value) end
end

--- Copies attributes into the table of a span or event. Invalid ones, and those beyond the bound, are left
--- out and counted.
function span_data.set(owner, attributes)
  local target = owner.attributes
  local count = count_fields(target)
  for key, value in next, attributes do
    local kept = attribute_value(key, value)
    local is_new = kept ~= nil and rawget(target, key) == nil
    if kept == nil or is_new and count == MAX_ATTRIBUTES then
      owner.dropped_attributes = (owner.dropped_attributes or 0) + 1
    else
      if is_new then count = count + 1 end
      target[key] = kept
    end
  end
end

local function append_event(data, name, attributes)
  local event = { name = name, time = wall_ns(), attributes = {} }
  if attributes then span_data.set(event, attributes) end
  data.events[#data.events + 1] = event
  return event
end

--- Adds an event. Returns it; nil: the span has too many.
function span_data.add_event(data, name, attributes)
  if #data.events < MAX_EVENTS then return append_event(data, name, attributes) end
  data.dropped_events = (data.dropped_events or 0) + 1
end

-- The end ------------------------------------------------------------------------------------------------

--- The text of a value, whatever its __tostring does.
local function text_of(value)
  local text = value_text.find(value)
  return text
end

--- Adds an event for a raised value. There is always room for it, because people will look for it.
local function add_exception(data, raised)
  local attributes
  if record.test(raised) then
    attributes = {
      ["exception.type"] = raised.error_code, ["exception.message"] = raised.message,
      ["exception.stacktrace"] = tostring(raised),
    }
  else
    attributes = { ["exception.type"] = type(raised), ["exception.message"] = text_of(raised) }
  end
  data.status, data.status_message = "error", attributes["exception.message"]
  append_event(data, "exception", attributes)
end

--- Notes that the span ended now, and how.
---@param raised any  # nil: it returned
---@return boolean  # whether a panic ended it
function span_data.finish(data, raised)
  local r = record.test(raised)
  local has_panicked = r ~= nil and not r._exits
  if has_panicked or r == nil and raised ~= nil then add_exception(data, raised) end
  if r ~= nil and r._exits and r._source then data.attributes["coro.cancelled"] = true end
  data.end_time = wall_ns()
  return has_panicked
end

return span_data
