--- The values of OTLP's messages, in their JSON form: integers of 64 bits as digits, times in nanoseconds,
--- attributes as lists. https://opentelemetry.io/docs/specs/otlp/

local portable = require "coropanic.portable"
local valid = require("coropanic.text").valid

local values = {}

---@param integer integer
---@return string
function values.digits(integer) return ("%d"):format(integer) end

--- Any value as text that is UTF-8.
function values.text(value) return valid(tostring(value)) end

--- Nanoseconds since 1970, exact to a microsecond.
---@param seconds number  # since 1970
---@return integer
function values.nanoseconds(seconds) return math.floor(seconds * 1e6) * 1000 end

--- A double. If JSON has no number for it, or lua-cjson would round it, it becomes a string, as in protobuf's
--- JSON.
---@param value number
---@return number | string
function values.double(value)
  if value ~= value then return "NaN" end
  if value == math.huge then return "Infinity" end
  if value == -math.huge then return "-Infinity" end
  return tonumber(("%.14g"):format(value)) == value and value or ("%.17g"):format(value)
end

--- An AnyValue.
local function any(value)
  local kind = portable.math_type(value)
  if kind == "integer" then return { intValue = values.digits(value) } end
  if kind == "float" then return { doubleValue = values.double(value) } end
  if type(value) == "boolean" then return { boolValue = value } end
  if type(value) ~= "table" then return { stringValue = values.text(value) } end
  local items = {}
  for i, item in ipairs(value) do items[i] = any(item) end
  return { arrayValue = { values = #items > 0 and items or nil } }
end

--- KeyValues in the order of their keys; nil if there are none, because an empty table is no list in JSON.
---@param table_of table<string, any>
---@return table[]?
function values.attributes(table_of)
  local keys, list = {}, {}
  -- The empty name is not allowed.
  for key in pairs(table_of) do keys[#keys + 1] = key ~= "" and key or nil end
  table.sort(keys)
  for i, key in ipairs(keys) do list[i] = { key = values.text(key), value = any(table_of[key]) } end
  return #list > 0 and list or nil
end

return values
