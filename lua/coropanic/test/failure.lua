--- Converts the panic of a failed run to a failure of the test framework. A framework recognizes its own
--- failures by their type or text, so these stay as they are. Any other panic becomes its report, which names
--- the task.

local failure = {}

--- The types with which busted marks its tables.
local BUSTED_TYPES = { failure = true, pending = true }

local function busted_type(value)
  local meta = type(value) == "table" and debug.getmetatable(value)
  return meta and BUSTED_TYPES[meta.__type] and meta.__type
end

--- luaunit's failures are strings with a mark behind the position; strings with these two marks are not
--- failures.
local function has_luaunit_mark(value, mark)
  return type(value) == "string" and value:find("LuaUnit test " .. mark .. ":", 1, true) ~= nil
end

--- Whether the value comes from luaunit's `success`, so that the test has passed.
function failure.is_pass(value)
  return has_luaunit_mark(value, "SUCCESS")
end

--- Whether the value comes from busted's `pending` or luaunit's `skip`.
function failure.is_skip(value)
  return busted_type(value) == "pending" or has_luaunit_mark(value, "SKIP")
end

--- Removes luaunit's marks from a report: luaunit removes only the first one, and those of the causes would
--- be left.
local function without_marks(report) return (report:gsub("LuaUnit test FAILURE: ", "")) end

--- Returns the report of a record behind the full text of its value, which frameworks read.
local function report_of(record)
  local report = tostring(record)
  local prefix = record.kind == "warning" and "warning: " or "panic: "
  local head = prefix .. record.message:gsub("\n([^\n])", "\n\t%1") -- as reports indent it
  local text = type(record.value) == "string" and record.value or record.message
  if report:sub(1, #head) == head then
    return text .. without_marks(report:sub(#head + 1))
  end
  return text .. "\n" .. without_marks(report)
end

--- Returns a text that begins with a position, as frameworks expect it: `place`, unless it has one already.
function failure.at(place, text)
  return text:find "^[^\n]-:%d+: " and text or ("%s: %s"):format(place, text)
end

--- Returns a copy of one of busted's tables with another message.
local function with_message(value, message)
  local copy = {}
  for key, field in pairs(value) do
    copy[key] = field
  end
  copy.message = message
  return setmetatable(copy, debug.getmetatable(value))
end

--- Returns the value to raise for the record of a panic.
---@param place string  # "file.lua:12", of the test
function failure.of(record, place)
  local value = record.value
  if busted_type(value) == "pending" and type(value.message) == "string" then
    -- busted would look for the position on the stack, and find us.
    return with_message(value, failure.at(place, value.message))
  elseif busted_type(value) or failure.is_pass(value) or failure.is_skip(value) then
    return value
  end
  return failure.at(place, report_of(record))
end

--- Returns the text of a failure.
function failure.text(value)
  return type(value) == "string" and value or tostring(value.message)
end

--- Returns the same failure with lines added to its text; its type stays.
---@param notes string[]
function failure.annotated(value, notes)
  if #notes == 0 or failure.is_skip(value) then
    return value
  end
  local added = "\n" .. table.concat(notes, "\n")
  if type(value) == "string" then
    return value .. added
  end
  return with_message(value, failure.text(value) .. added)
end

return failure
