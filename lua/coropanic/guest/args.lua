--- Checks of arguments, with the texts of kernel/args.h and lua/options.h.

local kernel = require "coropanic.guest.kernel"

local args = {}

local type, tostring = type, tostring

local function refuse(arg, name, message)
  kernel.raise("bad argument #%d to '%s' (%s)", arg, name, message)
end
args.refuse = refuse

--- A name for the value that an argument is; `count`: how many arguments were given.
local function got(value, arg, count)
  if value == nil and count and count < arg then return "no value" end
  return kernel.type_name(value)
end

function args.type_error(value, arg, name, expected, count)
  refuse(arg, name, ("%s expected, got %s"):format(expected, got(value, arg, count)))
end
local type_error = args.type_error

--- Raises unless the argument can be called.
function args.callable(value, arg, name, count)
  if type(value) == "function" then return value end
  local meta = require("coropanic.guest.compat").getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__call") ~= nil then return value end
  type_error(value, arg, name, "function", count)
end

--- An integer from `low` to `high`.
function args.integer(value, arg, name, what, low, high, count)
  local expected = ("%s: integer from %.0f to %.0f"):format(what, low, high)
  if type(value) ~= "number" then type_error(value, arg, name, expected, count) end
  if value % 1 ~= 0 or value < low or value > high then
    refuse(arg, name, ("%s expected, got %s"):format(expected, tostring(value)))
  end
  return value
end
kernel.check_integer = args.integer

--- Seconds, which may be negative.
function args.time(value, arg, name, count)
  if type(value) ~= "number" then type_error(value, arg, name, "number", count) end
  if value ~= value then refuse(arg, name, "seconds expected, got NaN") end
  return value
end

function args.seconds(value, arg, name, count)
  args.time(value, arg, name, count)
  if value < 0 then refuse(arg, name, "seconds expected, got a negative number") end
  return value
end

--- Seconds, or nil for ever.
function args.timeout(value, arg, name)
  if value == nil then return nil end
  return args.seconds(value, arg, name)
end

--- Raises that a method's self is not what it must be.
function args.refuse_self(value, type_name, method, count)
  kernel.raise("calling '%s' on bad self (%s expected, got %s)", method, type_name, got(value, 1, count))
end

-- Options ------------------------------------------------------------------------------------------------

--- Raises unless the argument is a table with these names alone as keys.
function args.options(value, arg, name, names, count)
  if type(value) ~= "table" then type_error(value, arg, name, "table", count) end
  for key in next, value do
    if type(key) ~= "string" or not names[key] then
      refuse(arg, name, ("unknown option '%s'"):format(tostring(key)))
    end
  end
  return value
end

function args.option_error(value, arg, name, option, expected)
  refuse(arg, name, ("option '%s': %s expected, got %s"):format(option, expected, type(value)))
end

--- An option of a type, or nil.
function args.option(options, arg, name, option, kind)
  local value = options[option]
  if value ~= nil and type(value) ~= kind then args.option_error(value, arg, name, option, kind) end
  return value
end

return args
