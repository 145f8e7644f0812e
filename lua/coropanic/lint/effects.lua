--- What happens when a function is called: which calls it makes itself, through functions of the same file,
--- and through those of coropanic and Lua that call their argument in place.

local api = require "coropanic.lint.api"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local effects = {}
effects.__index = effects

---@param of table  # values of the file
function effects.new(of) return setmetatable({ values = of }, effects) end

local in_node

--- Visits a call, and what it calls in place. `at`: the node in the function where this began.
local function in_call(self, call, at, visit, seen)
  local answer = visit(call, at)
  if answer == "stop" then return true end
  if answer == "skip" then return false end
  local inner = self.values:inner_call(call)
  if inner and in_call(self, inner, at, visit, seen) then return true end
  local fn = values.function_of(call.target)
  if not fn or seen[fn] then return false end
  seen[fn] = true
  -- A literal that is an argument stands where it is called; so, nearly, does a function that has one use.
  local is_here = tree.is_inside(fn, at) or values.is_used_once(fn)
  return in_node(self, fn[2], not is_here and at or nil, visit, seen)
end

--- The call that a loop `for v in channel:iter() do` makes each time.
local function iteration(self, node)
  local source = values.bare(node[2][1])
  if not source or source.tag ~= "Invoke" and source.tag ~= "Call" then return nil end
  local call = self.values:call(source)
  local path = api.ITERATES[call.path]
  return path and { node = source, path = path, target = call.target, object = call.object, arguments = {} }
end

function in_node(self, node, at, visit, seen)
  if node.tag == "Function" then return false end
  for _, part in ipairs(node) do
    if type(part) == "table" and in_node(self, part, at, visit, seen) then return true end
  end
  if node.tag == "Call" or node.tag == "Invoke" then
    return in_call(self, self.values:call(node), at or node, visit, seen)
  elseif node.tag == "Forin" then
    local call = iteration(self, node)
    return call ~= nil and in_call(self, call, at or call.node, visit, seen)
  end
  return false
end

--- Calls `visit(call, at)` for each call that this part of a function makes when it runs. `at` is the node in
--- this part that makes it or leads to it. `visit` may return "stop", or "skip" what the call does inside.
--- Each function of the file is gone into once, so that the time is bounded by the file's length.
---@param node table
---@param visit fun(call: table, at: table): string?
function effects:each(node, visit) in_node(self, node, nil, visit, {}) end

--- The same for the function that a value is, or for the call of it.
---@param call table  # of values:call or values:inner_call
---@param visit fun(call: table, at: table): string?
function effects:each_of_call(call, visit) in_call(self, call, call.node, visit, {}) end

--- Whether the wait has a time-out of 0: then it does not wait.
local function does_not_wait(call, how)
  local seconds = how.seconds and values.bare(call.arguments[how.seconds])
  if call.path == "co.sleep" or call.path == "co.with_timeout" then return false end
  return seconds ~= nil and seconds.tag == "Number" and tonumber(seconds[1]) == 0
end

--- Whether a call may suspend the task by itself. Returns its entry in api.SUSPENDS.
---@return table?
function effects.suspends(call)
  local how = call.path and (api.SUSPENDS[call.path] or api.SOCKET_WAITS[call.path])
  if not how or does_not_wait(call, how) then return nil end
  return how
end

--- The first call that may suspend among those that this call makes; nil if none is known.
---@param call table
---@return table? call
---@return table? at  # of effects:each
function effects:suspension_of_call(call)
  local found, where
  self:each_of_call(call, function(inner, at)
    if not effects.suspends(inner) then return nil end
    found, where = inner, at
    return "stop"
  end)
  return found, where
end

--- The same for a part of a function.
function effects:suspension_in(node)
  local found, where
  self:each(node, function(call, at)
    if not effects.suspends(call) then return nil end
    found, where = call, at
    return "stop"
  end)
  return found, where
end

--- Whether a wait has an end by itself or by a time-out.
---@param call table  # of which effects.suspends is true
---@return boolean
function effects:is_bounded(call)
  local how = effects.suspends(call)
  local seconds = how.seconds and values.bare(call.arguments[how.seconds])
  if not seconds or seconds.tag == "Nil" then return how.at_most == true and not how.seconds end
  local value = self.values:of(seconds)
  return not (value and value.path == "math.huge")
end

--- The name of a function as messages have it: "sleep" of "co.sleep", "recv" of "channel:recv".
function effects.name(path) return path:match "[^.:]*$" end

return effects
