--- Tries again what has failed, later and later.
---
--- Source of the decorrelated jitter: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

local co = require "coropanic"
local budget = require "coropanic.resilience.budget"
local options = require "coropanic.resilience.options"
local policy = require "coropanic.resilience.policy"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local retry = policy.class "retry"

local unpack = table.unpack or rawget(_G, "unpack")

local KNOWN = {
  name = options.STRING,
  attempts = options.COUNT,
  base = options.DELAY,
  max = options.DELAY,
  jitter = options.one_of("decorrelated", "full", "none"),
  budget = budget.OPTION,
  on = options.FUNCTION,
}

local function between(low, high) return low + (high - low) * math.random() end

-- The delay before the attempt after `attempt`, the last one's being `last`.
local DELAYS = {
  decorrelated = function(given, last) return between(given.base, math.max(given.base, last * 3)) end,
  full = function(given, _, attempt) return between(0, given.base * 2 ^ (attempt - 1)) end,
  none = function(given, _, attempt) return given.base * 2 ^ (attempt - 1) end,
}

-- How long the one who has failed asks to be left alone.
local function asked_delay(record)
  local value = record.value
  local seconds = type(value) == "table" and rawget(value, "retry_after")
  return type(seconds) == "number" and seconds > 0 and seconds or 0
end

local function next_delay(given, last, attempt, record)
  local delay = math.min(DELAYS[given.jitter](given, last, attempt), given.max)
  return math.max(delay, asked_delay(record))
end

-- A breaker's refusal is no failure of the supplier's; to ask again at once would only be refused again.
local function may_retry(given, record)
  if record.error_code == "BREAKER_OPEN" then return false end
  return not given.on or (given.on(record) and true or false)
end

-- Whether the caller would have no time left.
local function is_too_late(delay)
  local deadline = co.ctx():deadline()
  return deadline ~= nil and co.now() + delay >= deadline
end

local function keep(earlier, record)
  for _, other in ipairs(earlier) do
    if rawequal(other, record) then return end
  end
  earlier[#earlier + 1] = record
end

local function give_up(self, earlier, record)
  self.counts.failed = self.counts.failed + 1
  for _, other in ipairs(earlier) do
    if not rawequal(other, record) then record:add_suppressed(other) end
  end
  error(record, 0)
end

-- Whether another attempt may follow; if so, waits until its time has come.
local function wait(self, state, attempt, record)
  local given = self.options
  if attempt >= given.attempts or not may_retry(given, record) then return false end
  local delay = next_delay(given, state.delay, attempt, record)
  if is_too_late(delay) then return false end
  if given.budget and not given.budget:take() then
    self.counts.denied = self.counts.denied + 1
    return false
  end
  state.delay = math.max(delay, given.base)
  co.sleep(delay)
  return true
end

local attempt

local function judge(self, state, number, ok, ...)
  if ok then
    self.counts.ok = self.counts.ok + 1
    return ...
  end
  local record = (...)
  if not wait(self, state, number, record) then return give_up(self, state.earlier, record) end
  keep(state.earlier, record)
  self.counts.retries = self.counts.retries + 1
  return attempt(self, state, number + 1)
end

function attempt(self, state, number)
  return judge(self, state, number, co.pcall(co.call, state.fn, unpack(state, 1, state.n)))
end

--- Calls `fn(...)`, again if it panics. Raises the last attempt's record, with those before it in
--- `suppressed`.
function retry:call(fn, ...)
  policy.check_call(self, retry, fn)
  self.counts.calls = self.counts.calls + 1
  local state = { fn = fn, n = select("#", ...), earlier = {}, delay = self.options.base, ... }
  return budget.count_call(self.options.budget, attempt, self, state, 1)
end

--- Returns the counts since the policy was made.
function retry:stats() return policy.stats(self, retry) end

---@class coropanic.resilience.retry.options
---@field name? string
---@field attempts? integer  # the first one included; 3
---@field base? number  # seconds before the second attempt, at least or at most, as the jitter says; 0.05
---@field max? number  # seconds between two attempts at most; 2
---@field jitter? "decorrelated" | "full" | "none"  # "decorrelated"
---@field budget? table  # of resilience.budget
---@field on? fun(record: coropanic.record): any  # whether to try again

--- Makes a policy.
---@param given? coropanic.resilience.retry.options
---@return table
function retry.new(given)
  given = options.check("retry", given, KNOWN)
  given.attempts = given.attempts or 3
  given.base = given.base or 0.05
  given.max = given.max or math.max(2, given.base)
  if given.max < given.base then options.refuse("retry", "option 'max': at least 'base' expected") end
  given.jitter = given.jitter or "decorrelated"
  return policy.new(retry, given, { calls = 0, ok = 0, failed = 0, retries = 0, denied = 0 })
end

return retry
