--- Asks once more when an answer takes long, and takes the one that comes first.
---
--- Source: Dean and Barroso, "The Tail at Scale", Communications of the ACM, 2013.

local co = require "coropanic"
local budget = require "coropanic.resilience.budget"
local options = require "coropanic.resilience.options"
local policy = require "coropanic.resilience.policy"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local hedge = policy.class "hedge"

local unpack = table.unpack or rawget(_G, "unpack")

local KNOWN = {
  name = options.STRING,
  after = options.DELAY,
  quantile = options.SHARE,
  max = options.COUNT,
  budget = budget.OPTION,
}

-- The durations of the last calls, from which a quantile is taken; of too few there is none.
local KEPT, LEAST = 128, 16

local DEFAULT_AFTER = 0.05

local function note_duration(self, seconds)
  self.next_kept = self.next_kept % KEPT + 1
  self.durations[self.next_kept] = seconds
end

-- How long to wait before one more attempt.
local function patience(self)
  local given = self.options
  local known = #self.durations
  if not given.quantile or known < LEAST then return given.after or DEFAULT_AFTER end
  local sorted = {}
  for i, seconds in ipairs(self.durations) do sorted[i] = seconds end
  table.sort(sorted)
  return sorted[math.max(math.ceil(given.quantile * known), 1)]
end

-- Attempts -----------------------------------------------------------------------------------------------

local function note(race, number, began, ok, ...)
  race.running = race.running - 1
  if ok then
    if not race.winner then
      race.winner, race.results, race.n = number, { ... }, select("#", ...)
      note_duration(race.of, co.now() - began)
    end
  else
    race.records[#race.records + 1] = (...)
  end
  race.ended:release()
end

local function attempt(race, number)
  local shared = race.of.options.budget
  if shared then shared:join() end
  local began = co.now()
  note(race, number, began, co.pcall(co.call, race.fn, unpack(race.args, 1, race.args.n)))
end

-- An attempt that was unwound has no result; the race must hear of it all the same.
local function unwound(race, number)
  if race.tasks[number] then
    race.tasks[number] = false
    race.running = race.running - 1
    race.ended:release()
  end
end

local function run_attempt(race, number)
  co.defer(unwound, race, number)
  attempt(race, number)
  race.tasks[number] = false
end

local function start(race)
  local number = #race.tasks + 1
  race.running = race.running + 1
  race.tasks[number] = race.scope:spawn_with({ name = ("attempt %d of %s"):format(number, race.of.name) },
    run_attempt, race, number)
end

local function may_start(race)
  local given = race.of.options
  if #race.tasks >= given.max then return false end
  if given.budget and not given.budget:take() then
    race.of.counts.denied = race.of.counts.denied + 1
    race.is_denied = true
    return false
  end
  race.of.counts.hedges = race.of.counts.hedges + 1
  return true
end

local function run_race(race)
  start(race)
  while not race.winner and race.running > 0 do
    local may_hedge = not race.is_denied and #race.tasks < race.of.options.max
    local has_ended = race.ended:acquire(1, may_hedge and patience(race.of) or nil)
    if not has_ended and may_start(race) then start(race) end
  end
  for _, task in ipairs(race.tasks) do
    if task then task:cancel({ code = "HEDGE_LOST" }, "hedge") end
  end
end

-- The policy ---------------------------------------------------------------------------------------------

local function finish(race)
  local counts = race.of.counts
  if race.winner then
    counts.ok = counts.ok + 1
    if race.winner > 1 then counts.won = counts.won + 1 end
    return unpack(race.results, 1, race.n)
  end
  local records = race.records
  local last = records[#records]
  counts.failed = counts.failed + 1
  if not last then return co.goexit() end -- every attempt has ended its task: so does the call
  local _, mine = co.pcall(error, last, 0) -- of this task, caused by that of the attempt
  for i = 1, #records - 1 do mine:add_suppressed(records[i]) end
  error(mine, 0)
end

-- Counts the attempts beyond the first that have not given the answer, whichever way the call ends.
local function count_lost(race)
  local counts = race.of.counts
  counts.lost = counts.lost + math.max(#race.tasks - 1, 0)
  if race.winner and race.winner > 1 then counts.lost = counts.lost - 1 end
end

local function run_in_scope(race)
  co.defer(count_lost, race)
  co.scope(function(scope)
    race.scope = scope
    run_race(race)
  end)
end

local function call(self, fn, args)
  local slots = co.semaphore(self.options.max)
  slots:acquire(self.options.max)
  local race = {
    of = self, fn = fn, args = args, ended = slots, tasks = {}, records = {}, running = 0, winner = nil,
  }
  co.call(run_in_scope, race)
  return finish(race)
end

--- Calls `fn(...)` in a task; in others too, as long as none has returned. Returns what the first one
--- returns; the others are cancelled, and have ended by then. Panics if all of them do, with the last one's
--- record.
function hedge:call(fn, ...)
  policy.check_call(self, hedge, fn)
  self.counts.calls = self.counts.calls + 1
  local args = { n = select("#", ...), ... }
  return budget.count_call(self.options.budget, call, self, fn, args)
end

--- Returns the counts since the policy was made, and after how many seconds it hedges now.
function hedge:stats()
  local stats = policy.stats(self, hedge)
  stats.after = patience(self)
  return stats
end

---@class coropanic.resilience.hedge.options
---@field name? string
---@field after? number  # seconds before one more attempt; 0.05
---@field quantile? number  # or the quantile of the last 128 durations, above 0, at most 1
---@field max? integer  # attempts at most, the first one included; 2
---@field budget? table  # of resilience.budget

--- Makes a policy.
---@param given? coropanic.resilience.hedge.options
---@return table
function hedge.new(given)
  given = options.check("hedge", given, KNOWN)
  if given.after and given.quantile then
    options.refuse("hedge", "options 'after' and 'quantile' exclude each other")
  end
  given.max = given.max or 2
  local counts = { calls = 0, ok = 0, failed = 0, hedges = 0, won = 0, lost = 0, denied = 0 }
  return policy.new(hedge, given, counts, { durations = {}, next_kept = 0 })
end

return hedge
