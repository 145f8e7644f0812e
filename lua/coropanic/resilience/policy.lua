--- What all policies have: a name, options, and counts of what they have seen.

local options = require "coropanic.resilience.options"
local registry = require "coropanic.resilience.registry"

local policy = {}

local made = {} ---@type table<string, integer>  # how many of each kind

--- Makes the class of a kind of policies.
---@param kind string  # "breaker"
function policy.class(kind)
  local class = { kind = kind, __name = "coropanic.resilience." .. kind }
  class.__index = class
  return class
end

--- Makes an object of the class. With an option `name`, metrics and the Trace Explorer show it.
---@param given table  # its options, checked
---@param counts table<string, integer>
---@param fields table?  # what else it has
function policy.new(class, given, counts, fields)
  made[class.kind] = (made[class.kind] or 0) + 1
  local self = fields or {}
  self.options, self.counts = given, counts
  self.name = given.name or ("%s %d"):format(class.kind, made[class.kind])
  setmetatable(self, class)
  if given.name then registry.add(class.kind, self) end
  return self
end

--- Raises unless a method was called on an object of the class.
function policy.check_self(self, class, method) options.check_self(self, class, method, class.kind) end

--- The same for `policy:call(fn, ...)`; raises also unless `fn` can be called.
function policy.check_call(self, class, fn)
  policy.check_self(self, class, "call")
  options.check_function("call", 1, fn)
end

--- Implements `stats`: returns a table of the name and the counts.
function policy.stats(self, class)
  policy.check_self(self, class, "stats")
  local stats = { name = self.name }
  for name, count in pairs(self.counts) do stats[name] = count end
  return stats
end

return policy
