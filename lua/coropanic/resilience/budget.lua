--- A budget for attempts beyond the first, shared by retries and hedges: within the window there are no more
--- of them than a part of the calls, so that a supplier that is down gets little more load than one that
--- works.
---
--- Calls fill it, not time: a program without calls saves nothing up. A call that goes through several
--- policies with the same budget counts once.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local policy = require "coropanic.resilience.policy"
local window = require "coropanic.resilience.window"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local budget = policy.class "budget"

local KNOWN = {
  name = options.STRING,
  ratio = options.RATIO,
  minimum = options.COUNT_OR_ZERO,
  window = options.DURATION,
}

--- For the option `budget` of other policies.
budget.OPTION = options.policy(budget, "budget")

---@class coropanic.resilience.budget.options
---@field name? string  # by which metrics and the Trace Explorer show it
---@field ratio? number  # extra attempts for each call; 0.1
---@field minimum? integer  # extra attempts within the window in any case; 10
---@field window? number  # seconds; 10

--- Makes a budget.
---@param given? coropanic.resilience.budget.options
---@return table
function budget.new(given)
  given = options.check("budget", given, KNOWN)
  return policy.new(budget, given, { calls = 0, extra = 0, denied = 0 }, {
    ratio = given.ratio or 0.1,
    minimum = given.minimum or 10,
    recent = window.new(given.window or 10, { "calls", "extra" }),
    inside = co.task_local(false), -- whether the running task's call was counted
  })
end

-- Counts a call, unless it is a part of one that was counted. Returns whether it has counted it: then leave
-- must follow.
local function enter(self)
  if self.inside:get() then return false end
  self.inside:set(true)
  self.counts.calls = self.counts.calls + 1
  self.recent:add(co.now(), "calls")
  return true
end

local function leave(self) self.inside:set(false) end

local function call_inside(self, fn, ...)
  co.defer(leave, self)
  return fn(...)
end

--- Calls `fn(...)`, and counts that as a call of the budget.
---@param self table?  # nil: there is no budget
function budget.count_call(self, fn, ...)
  if self and enter(self) then return co.call(call_inside, self, fn, ...) end
  return fn(...)
end

--- Makes the running task a part of a call that was counted in another task.
function budget:join() self.inside:set(true) end

--- Asks for one more attempt. Returns whether it may begin.
---@return boolean
function budget:take()
  policy.check_self(self, budget, "take")
  local now = co.now()
  local allowed = math.max(self.minimum, self.ratio * self.recent:count(now, "calls"))
  if self.recent:count(now, "extra") + 1 > allowed then
    self.counts.denied = self.counts.denied + 1
    return false
  end
  self.counts.extra = self.counts.extra + 1
  self.recent:add(now, "extra")
  return true
end

--- Returns the counts since the budget was made, and its name, if it was given one.
function budget:stats()
  local stats = policy.stats(self, budget)
  stats.name = self.options.name
  return stats
end

return budget
