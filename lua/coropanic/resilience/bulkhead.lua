--- A bulkhead: so many calls at a time, so many that wait for their turn, and no more.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local outcomes = require "coropanic.resilience.outcomes"
local policy = require "coropanic.resilience.policy"
local refusal = require "coropanic.resilience.refusal"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local bulkhead = policy.class "bulkhead"

local KNOWN = {
  name = options.STRING,
  permits = options.COUNT,
  queue = options.COUNT_OR_ZERO,
  queue_time = options.DELAY,
}

local function refuse(self, why)
  self.counts.refused = self.counts.refused + 1
  return refusal.raise {
    code = "BULKHEAD_FULL",
    message = ("bulkhead %q is full: %s"):format(self.name, why),
    bulkhead = self.name,
  }
end

local function left_queue(self) self.waiting = self.waiting - 1 end

local function queue(self)
  self.waiting = self.waiting + 1
  co.defer(left_queue, self)
  return self.semaphore:acquire(1, self.options.queue_time)
end

local function enter(self)
  if self.semaphore:try_acquire() then return end
  if self.waiting >= self.options.queue then refuse(self, "too many calls wait") end
  if not co.call(queue, self) then refuse(self, "the call has waited too long") end
end

local permit = {}
permit.__index = permit

function permit:ended(outcome)
  local of = self.of
  of.semaphore:release()
  of.counts[outcome] = of.counts[outcome] + 1
end

--- Calls `fn(...)` when there is room, or raises a panic whose value has the code "BULKHEAD_FULL".
function bulkhead:call(fn, ...)
  policy.check_call(self, bulkhead, fn)
  enter(self)
  return outcomes.call(setmetatable({ of = self }, permit), fn, ...)
end

--- Returns what runs and waits now, and the counts since the bulkhead was made.
function bulkhead:stats()
  local stats = policy.stats(self, bulkhead)
  stats.running, stats.waiting = self.options.permits - self.semaphore:available(), self.waiting
  return stats
end

---@class coropanic.resilience.bulkhead.options
---@field name? string
---@field permits integer  # calls at a time
---@field queue? integer  # calls that may wait; 0
---@field queue_time? number  # seconds that one may wait; for ever

--- Makes a bulkhead.
---@param given coropanic.resilience.bulkhead.options
---@return table
function bulkhead.new(given)
  given = options.check("bulkhead", given, KNOWN)
  if not given.permits then
    options.refuse("bulkhead", "option 'permits': integer from 1 expected, got nil")
  end
  given.queue = given.queue or 0
  local counts = { ok = 0, failed = 0, cancelled = 0, refused = 0 }
  return policy.new(bulkhead, given, counts, { semaphore = co.semaphore(given.permits), waiting = 0 })
end

return bulkhead
