--- How the command's arguments are read, and what is said of wrong ones.

local usage = {}

--- The exit status of a command that was called wrongly.
usage.STATUS = 1

local Failure = {}

--- Ends the command with a message and its usage.
function usage.fail(format, ...)
  error(setmetatable({ problem = format:format(...) }, Failure), 0)
end

--- Whether `fail` has raised this value.
function usage.is_failure(value) return getmetatable(value) == Failure end

--- A message handler for xpcall that adds a traceback to errors which are not `fail`'s.
function usage.handler(value)
  return usage.is_failure(value) and value or debug.traceback(tostring(value), 2)
end

--- What the values of options may be: functions that return the value, or nil and what was expected.
local READERS = {}

function READERS.integer(text) return math.tointeger(tonumber(text)), "an integer" end

function READERS.count(text)
  local count = math.tointeger(tonumber(text))
  return count and count >= 1 and count or nil, "an integer from 1"
end

--- Returns the text if it is one of these words.
local function word_of(text, words)
  for _, word in ipairs(words) do
    if word == text then return word end
  end
  return nil, table.concat(words, ", ")
end

--- Reads `--name value`, `--name=value` and `--flag`, from arg[first] to the first argument that is no option
--- or to `--`.
---@param arg table<integer, string>
---@param first integer
---@param known table<string, "flag" | "integer" | "count" | string[]>  # by name, without dashes; words
---@return table<string, any> options  # by name
---@return integer next  # the index of the first argument after them
function usage.options(arg, first, known)
  local options, index = {}, first
  while arg[index] and arg[index]:find "^%-." do
    if arg[index] == "--" then
      return options, index + 1
    end
    local name, text = arg[index]:match "^%-%-([^=]+)=?(.*)$"
    local kind = known[name]
    local has_text = name ~= nil and arg[index]:find("=", 1, true) ~= nil
    if not kind then
      usage.fail("unknown option '%s'", arg[index])
    elseif kind == "flag" then
      if has_text then
        usage.fail("option '--%s' takes no value", name)
      end
      options[name] = true
    else
      if not has_text then
        index = index + 1
        text = arg[index]
      end
      local read = type(kind) == "table" and word_of or READERS[kind]
      local value, expected = read(text, kind)
      if value == nil then
        local got = text and ("'%s'"):format(text) or "nothing"
        usage.fail("option '--%s': %s expected, got %s", name, expected, got)
      end
      options[name] = value
    end
    index = index + 1
  end
  return options, index
end

return usage
