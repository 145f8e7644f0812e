--- The text of a raised value. The value is the user's, and its __tostring may do anything; this file catches
--- that. The twin of kernel/value_text.h.

local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local text = require "coropanic.guest.text"

local value_text = {}

local type, rawget, tostring, pcall = type, rawget, tostring, compat.pcall

value_text.MAX = 4096
value_text.FAILED = "panic while printing panic value: "

value_text.type_of = kernel.type_name

--- The table's own field if its value is a number that is not NaN, or a string that is not empty.
function value_text.field(value, name)
  local field = rawget(value, name)
  local kind = type(field)
  if kind == "number" and field == field or kind == "string" and field ~= "" then return field end
end

--- The table's own fields as a text, "code: message".
local function table_text(value)
  local code = value_text.field(value, "code")
  local message = value_text.field(value, "message") or value_text.field(value, "msg")
  if code ~= nil and message ~= nil then return code .. ": " .. message end
  if code ~= nil then return tostring(code) end
  if message ~= nil then return tostring(message) end
  return kernel.type_name(value)
end

--- Raises the errors of __tostring.
local function describe(value)
  local record = require "coropanic.guest.record"
  if record.test(value) then return (value_text.message(value)) end
  local meta = compat.getmetatable(value)
  local to_string = type(meta) == "table" and rawget(meta, "__tostring")
  if to_string then
    local result = to_string(value)
    if type(result) ~= "string" and type(result) ~= "number" then
      kernel.raise("__tostring returned a %s instead of a string", type(result))
    end
    return tostring(result)
  end
  if type(value) == "table" then return table_text(value) end
  return kernel.type_name(value)
end

local SCALARS = { ["nil"] = true, boolean = true, number = true, string = true }

--- A __tostring must not suspend: in some Luas it could. It is counted within the protected call, for which a
--- stack that is full may have no room.
local function run_describe(u, r, value)
  u.hooks = u.hooks + 1
  if r then r._message = "running" end
  return describe(value)
end

--- The text of a value, and whether its __tostring has failed: then the text says why.
---@param r? table  # the record whose value it is
local function find(value, r)
  if SCALARS[type(value)] then return tostring(value), false end
  local u = port.state()
  local hooks = u.hooks
  local ok, result = pcall(run_describe, u, r, value)
  u.hooks = hooks
  if r then r._message = false end
  if ok then return result, false end
  local record = require "coropanic.guest.record"
  local raised = record.test(result)
  if raised then result = raised._value end
  if SCALARS[type(result)] then return tostring(result), true end
  return ("(error object is a %s value)"):format(type(result)), true
end

--- A text cut to value_text.MAX bytes, and how many were left out.
local function cut(whole)
  local kept = text.cut(whole, value_text.MAX)
  return whole:sub(1, kept), #whole - kept
end

local OF_NIL = { panic = "panic called with nil argument (recover's second result tells)" }

--- The message of a record whose value is nil; nil: that of nil.
local function message_of_nil(r)
  if r._kind == "goexit" or r._kind == "cancelled" or r._kind == "timeout" then return r._kind end
  return OF_NIL[r._kind]
end

--- The message of a record, the text of its value: text, bytes left out, whether its __tostring has failed.
--- The record keeps it. While a __tostring runs, and asks for the message again, that is the value's type.
function value_text.find_message(r)
  local known = r._message
  if known == "running" then return type(r._value), 0, false end
  if known then return known.text, known.left_out, known.failed end
  local value = r._value
  local whole, failed = nil, false
  if value == nil then whole = message_of_nil(r) end
  if whole == nil then
    whole, failed = find(value, r)
  end
  local kept, left_out = cut(whole)
  if failed then kept = value_text.FAILED .. kept end
  r._message = { text = kept, left_out = left_out, failed = failed }
  return kept, left_out, failed
end

--- The same as one string.
function value_text.message(r)
  local kept, left_out, failed = value_text.find_message(r)
  if left_out > 0 then kept = ("%s... (%d bytes left out)"):format(kept, left_out) end
  return kept, not failed
end

--- The text of any value: text, bytes left out, whether its __tostring has failed.
function value_text.find(value)
  local whole, failed = find(value)
  local kept, left_out = cut(whole)
  return kept, left_out, failed
end

return value_text
