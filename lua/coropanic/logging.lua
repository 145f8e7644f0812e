--- Adds the trace and the task to what a logger of LuaLogging writes. Needs nothing of LuaLogging but the
--- logger that it is given. https://lunarmodules.github.io/lualogging/

local co = require "coropanic"

local logging = {}

--- A value as logfmt has it: quoted if need be.
local function quote(text)
  if text ~= "" and not text:find "[%s\"=%c]" then return text end
  return '"' .. text:gsub('[%c"\\]', function(c)
    return (c == '"' or c == "\\") and "\\" .. c or ("\\x%02X"):format(c:byte())
  end) .. '"'
end

--- A message with the fields behind each of its lines, as it is if nobody says otherwise.
---@param message string
---@param fields coropanic.trace.fields
---@return string
function logging.format(message, fields)
  local ids = (" trace_id=%s span_id=%s"):format(fields.trace_id, fields.span_id)
  if fields.task_id then
    ids = ("%s task_id=%d task=%s"):format(ids, fields.task_id, quote(fields.task))
  end
  local last = #message -- of the text; what follows are line ends
  while last > 0 and message:find("^[\r\n]", last) do last = last - 1 end
  local lines = message:sub(1, last):gsub("\r?\n", function(ending) return ids .. ending end)
  return lines .. ids .. message:sub(last + 1)
end

-- The functions `append` that wrap has made, with the form that each gives a message.
local formats = setmetatable({}, { __mode = "k" })

--- Makes the logger write each message through `format`, with the fields of the code that logs. Returns it.
--- Where there are none, since no trace id can be made, the message is written as it is; and so is what a
--- function that makes the message has returned instead of text. A logger that is wrapped already takes the
--- format, if there is one, and is else as it was.
---@param logger table  # of LuaLogging
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
