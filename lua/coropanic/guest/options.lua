--- Options of more kinds than args.lua checks, with the error texts of csrc/lua/options.h.

local args = require "coropanic.guest.args"

local options = {}

--- Longer times are as good as for ever; these fit in any sum of milliseconds.
local MAX_SECONDS = 1e9

--- Raises that an option has another value than expected.
function options.refuse(value, arg, name, option, expected)
  args.refuse(arg, name, ("option '%s': %s expected, got %s"):format(option, expected, tostring(value)))
end

---@return integer
function options.integer(given, arg, name, option, low, high, fallback)
  local value = given[option]
  if value == nil then return fallback end
  local expected = ("integer from %.0f to %.0f"):format(low, high)
  if type(value) ~= "number" then args.option_error(value, arg, name, option, expected) end
  if value % 1 ~= 0 or value < low or value > high then options.refuse(value, arg, name, option, expected) end
  return value
end

--- An option in seconds, as whole milliseconds.
---@return integer
function options.milliseconds(given, arg, name, option, fallback_ms)
  local value = given[option]
  if value == nil then return fallback_ms end
  if type(value) ~= "number" then args.option_error(value, arg, name, option, "seconds") end
  if value < 0 or value ~= value then options.refuse(value, arg, name, option, "seconds from 0") end
  return math.floor(math.min(value, MAX_SECONDS) * 1000)
end

--- Returns the option, which is one of these words; the first if it is not given.
---@param words string[]
---@return string
function options.word(given, arg, name, option, words)
  local value = args.option(given, arg, name, option, "string")
  if value == nil then return words[1] end
  local quoted = {}
  for i, word in ipairs(words) do
    if value == word then return value end
    quoted[i] = ('"%s"'):format(word)
  end
  local last = table.remove(quoted)
  return options.refuse(value, arg, name, option, table.concat(quoted, ", ") .. " or " .. last)
end

return options
