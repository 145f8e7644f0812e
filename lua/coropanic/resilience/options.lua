--- Checks the arguments of the constructors and methods of coropanic.resilience. Errors name the function,
--- the argument and what was expected, at the line of the public function's caller.

local options = {}

-- The files of the policies: errors are those of the code that calls them.
local OURS = debug.getinfo(1, "S").source:match "^(.*)options%.lua$"

--- The level, seen from the caller, of the innermost function that is not ours.
local function level_of_user()
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    local is_ours = info and (info.what == "tail" or info.source:sub(1, #OURS) == OURS)
    if not is_ours then return level - 1 end
    level = level + 1
  end
end

local function refuse(name, position, message, ...)
  error(("bad argument #%d to '%s' (%s)"):format(position, name, message:format(...)), level_of_user())
end

local function shown(value)
  if type(value) == "string" then return ("%q"):format(value) end
  return type(value) == "number" and tostring(value) or type(value)
end

local function is_integer(value) return value % 1 == 0 and value < math.huge end

local function number(expected, accepts)
  return {
    expected = expected,
    accepts = function(value) return type(value) == "number" and value == value and accepts(value) end,
  }
end

local function kind_of(expected)
  return { expected = expected, accepts = function(value) return type(value) == expected end }
end

--- Kinds of options: what is expected, in words, and whether a value is that.
options.COUNT = number("integer from 1", function(n) return n >= 1 and is_integer(n) end)
options.COUNT_OR_ZERO = number("integer from 0", function(n) return n >= 0 and is_integer(n) end)
options.DURATION = number("seconds above 0", function(n) return n > 0 end)
options.DELAY = number("seconds from 0", function(n) return n >= 0 end)
options.SHARE = number("number above 0, at most 1", function(n) return n > 0 and n <= 1 end)
options.FRACTION = number("number from 0 to 1", function(n) return n >= 0 and n <= 1 end)
options.RATIO = number("number from 0", function(n) return n >= 0 and n < math.huge end)
options.FACTOR = number("number from 1", function(n) return n >= 1 and n < math.huge end)
options.STRING = kind_of "string"
options.TABLE = kind_of "table"

--- Whether the value can be called.
function options.is_callable(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or (type(meta) == "table" and rawget(meta, "__call") ~= nil)
end
options.FUNCTION = { expected = "function", accepts = options.is_callable }

--- One of these words.
function options.one_of(...)
  local allowed, quoted = {}, {}
  for i, word in ipairs { ... } do allowed[word], quoted[i] = true, ('"%s"'):format(word) end
  return {
    expected = table.concat(quoted, " or "),
    accepts = function(value) return type(value) == "string" and allowed[value] end,
  }
end

--- A policy that is made by a constructor of the module.
---@param class table  # its metatable
function options.policy(class, expected)
  return { expected = expected, accepts = function(value) return debug.getmetatable(value) == class end }
end

local function check(name, position, where, given, known)
  local checked = {}
  if type(given) ~= "table" then refuse(name, position, "%stable expected, got %s", where, type(given)) end
  for key, value in pairs(given) do
    local option = known[key]
    if not option then refuse(name, position, "%sunknown option '%s'", where, tostring(key)) end
    if not option.accepts(value) then
      refuse(name, position, "%soption '%s': %s expected, got %s", where, key, option.expected, shown(value))
    end
    checked[key] = value
  end
  return checked
end

--- Returns a copy of the options of a public function.
---@param name string  # of the function
---@param given table?  # nil: none
---@param known table<string, table>  # kinds by name
---@param position integer?  # of the argument; 1
function options.check(name, given, known, position)
  return check(name, position or 1, "", given == nil and {} or given, known)
end

--- The same for a table inside the options: `where` says which, such as "child 2: ".
function options.check_part(name, where, given, known) return check(name, 1, where, given, known) end

--- Raises what is wrong with the options together.
function options.refuse(name, message, ...)
  refuse(name, 1, message, ...)
end

--- Raises unless the value, argument `position` of the public function `name`, can be called.
function options.check_function(name, position, value)
  if type(value) == "function" or options.is_callable(value) then return end
  refuse(name, position, "function expected, got %s", type(value))
end

--- Raises unless the value, argument `position` of the public function `name`, is of this kind.
function options.check_value(name, position, value, kind)
  if kind.accepts(value) then return end
  refuse(name, position, "%s expected, got %s", kind.expected, shown(value))
end

--- Raises unless the value is a policy, of this module or another.
function options.check_policy(name, position, value)
  local is_object = type(value) == "table" or type(value) == "userdata"
  if not is_object or not options.is_callable(value.call) or not options.is_callable(value.stats) then
    refuse(name, position, "policy expected, got %s", type(value))
  end
end

--- Raises unless a method was called on what it is a method of.
function options.check_self(self, class, method, what)
  if getmetatable(self) ~= class then
    local message = "calling '%s' on bad self (%s expected, got %s)"
    error(message:format(method, what, type(self)), level_of_user())
  end
end

return options
