--- Checks the options of coropanic.test, with errors like coropanic's own, at the caller's line.

local portable = require "coropanic.portable"

local options = {}

--- Levels of the stack from `complain` to the caller of the public function that checks its arguments.
local CALLER = 4

local function complain(name, position, message)
  error(("bad argument #%d to '%s' (%s)"):format(position, name, message), CALLER)
end

local function one_of(...)
  local allowed, quoted = {}, {}
  for i, word in ipairs { ... } do
    allowed[word], quoted[i] = true, ('"%s"'):format(word)
  end
  return { expected = table.concat(quoted, " or "), accepts = function(value) return allowed[value] end }
end

local KNOWN = {
  clock = one_of("virtual", "monotonic"),
  leftovers = one_of("fail", "ignore"),
  daemons = one_of("allow", "fail"),
  order = one_of("fail", "ignore"),
  seed = {
    expected = "integer",
    accepts = function(value) return portable.math_type(value) == "integer" end,
  },
  seeds = {
    expected = "integer from 1",
    accepts = function(value) return portable.math_type(value) == "integer" and value >= 1 end,
  },
  timeout = {
    expected = "seconds above 0",
    accepts = function(value) return type(value) == "number" and value > 0 end,
  },
}

local function shown(value)
  if type(value) == "string" then
    return ("%q"):format(value)
  end
  return type(value) == "number" and tostring(value) or type(value)
end

--- Raises unless `value`, argument `position` of the public function `name`, can be called.
function options.check_function(name, position, value)
  local meta = debug.getmetatable(value)
  if type(value) ~= "function" and not (meta and meta.__call) then
    local got = value == nil and "nil" or type(value)
    complain(name, position, "function expected, got " .. got)
  end
end

--- Raises unless `value` has the type `expected`.
function options.check_type(name, position, value, expected)
  if type(value) ~= expected then
    complain(name, position, ("%s expected, got %s"):format(expected, type(value)))
  end
end

--- Returns a copy of the options with the defaults filled in; nil counts as no options.
function options.check(name, position, given)
  if given ~= nil and type(given) ~= "table" then
    complain(name, position, "table expected, got " .. type(given))
  end
  local checked = { clock = "virtual", leftovers = "fail", daemons = "allow", order = "fail" }
  for key, value in pairs(given or {}) do
    local known = KNOWN[key]
    if not known then
      complain(name, position, ("unknown option '%s'"):format(tostring(key)))
    elseif not known.accepts(value) then
      complain(name, position, ("option '%s': %s expected, got %s"):format(key, known.expected, shown(value)))
    end
    checked[key] = value
  end
  return checked
end

--- Returns the seed in the environment variable COROPANIC_SEED.
local function seed_of_environment()
  local text = os.getenv "COROPANIC_SEED"
  if text == nil or text == "" then
    return nil
  end
  local seed = portable.tointeger(tonumber(text))
  return seed or error(("COROPANIC_SEED: integer expected, got %q"):format(text), 0)
end

--- Returns the seeds to run a test under: one `false` if it has none.
---@return (integer | false)[]
function options.seeds_of(checked)
  if not checked.seeds and not checked.seed then
    return { false }
  end
  local one = seed_of_environment() or checked.seed
  if one then
    return { one }
  end
  local seeds = {}
  for seed = 1, checked.seeds do
    seeds[seed] = seed
  end
  return seeds
end

return options
