--- Policies around policies, and the one that bounds a call's time.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local policy = require "coropanic.resilience.policy"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local compose = {}

-- Time-outs ----------------------------------------------------------------------------------------------

local timeout = policy.class "timeout"

local function in_time(self, ok, ...)
  if ok then
    self.counts.ok = self.counts.ok + 1
    return ...
  end
  self.counts.timed_out = self.counts.timed_out + 1
  co.panic((...))
end

--- Calls `fn(...)`, as co.with_timeout does; panics with its record, of kind "timeout", when the time is
--- over.
function timeout:call(fn, ...)
  policy.check_call(self, timeout, fn)
  return in_time(self, co.with_timeout(self.seconds, fn, ...))
end

--- Returns the counts since the policy was made.
function timeout:stats() return policy.stats(self, timeout) end

--- Makes a policy that bounds the time of a call.
---@param seconds number
---@return table
function compose.timeout(seconds)
  options.check_value("timeout", 1, seconds, options.DELAY)
  return setmetatable({
    seconds = seconds,
    name = ("timeout %g s"):format(seconds),
    counts = { ok = 0, timed_out = 0 },
  }, timeout)
end

-- Policies around policies -------------------------------------------------------------------------------

local composed = {}
composed.__index = composed
composed.__name = "coropanic.resilience.composed"

local function call_from(policies, i, fn, ...)
  local outer = policies[i]
  if outer == nil then return fn(...) end
  return outer:call(call_from, policies, i + 1, fn, ...)
end

--- Calls `fn(...)` inside all of the policies.
function composed:call(fn, ...)
  options.check_self(self, composed, "call", "composed policy")
  options.check_function("call", 1, fn)
  return call_from(self.policies, 1, fn, ...)
end

--- Returns the figures of each policy, the outermost first.
function composed:stats()
  options.check_self(self, composed, "stats", "composed policy")
  local stats = {}
  for i, one in ipairs(self.policies) do stats[i] = one:stats() end
  return stats
end

--- Returns a policy that is the first around the second, and so on.
---@param ... table  # policies: whatever has the methods `call` and `stats`
---@return table
function compose.compose(...)
  local policies = { ... }
  for i = 1, math.max(select("#", ...), 1) do options.check_policy("compose", i, (select(i, ...))) end
  return setmetatable({ policies = policies }, composed)
end

return compose
