--- Adds the trace and the task to the messages of a LuaLogging logger. Needs nothing of LuaLogging except the
--- logger. https://lunarmodules.github.io/lualogging/

local co = require "coropanic"

local logging = {}

--- Returns a value as logfmt writes it, quoted if needed.
local function quote(text)
  if text ~= "" and not text:find "[%s\"=%c]" then return text end
  return '"' .. text:gsub('[%c"\\]', function(c)
    return (c == '"' or c == "\\") and "\\" .. c or ("\\x%02X"):format(c:byte())
  end) .. '"'
end

--- The default format: adds the fields behind each line of the message.
---@param message string
---@param fields coropanic.trace.fields
---@return string
function logging.format(message, fields)
  local ids = (" trace_id=%s span_id=%s"):format(fields.trace_id, fields.span_id)
  if fields.task_id then
    ids = ("%s task_id=%d task=%s"):format(ids, fields.task_id, quote(fields.task))
  end
  local last = #message -- the end of the text; line ends follow
  while last > 0 and message:find("^[\r\n]", last) do last = last - 1 end
  local lines = message:sub(1, last):gsub("\r?\n", function(ending) return ids .. ending end)
  return lines .. ids .. message:sub(last + 1)
end

-- The functions `append` that wrap has made -> the format that each applies.
local formats = setmetatable({}, { __mode = "k" })

--- Makes the logger pass each message through `format`, with the fields of the code that logs. Returns the
--- logger.
---
--- A message is written unchanged if there are no fields, because no trace id can be made. So is a value
--- other than text that a message function returns. If the logger is wrapped already, `format` replaces its
--- format, unless it is nil.
---@param logger table  # from LuaLogging
---@param format (fun(message: string, fields: table): string)?
---@return table logger
function logging.wrap(logger, format)
  if type(logger) ~= "table" or type(logger.append) ~= "function" then
    error(("bad argument #1 to 'wrap' (logger of LuaLogging expected, got %s)"):format(type(logger)), 2)
  end
  if format ~= nil and type(format) ~= "function" then
    error(("bad argument #2 to 'wrap' (function expected, got %s)"):format(type(format)), 2)
  end
  local append = logger.append
  if formats[append] then
    formats[append] = format or formats[append]
    return logger
  end
  local function append_with_ids(self, level, message, ...)
    if type(message) == "string" or type(message) == "number" then
      local ok, fields = pcall(co.trace.fields)
      if ok then message = formats[append_with_ids](tostring(message), fields) end
    end
    return append(self, level, message, ...)
  end
  formats[append_with_ids] = format or logging.format
  logger.append = append_with_ids
  return logger
end

return logging
