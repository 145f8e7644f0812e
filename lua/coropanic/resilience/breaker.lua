--- A circuit breaker: calls a supplier only as long as its calls mostly succeed.
---
---            too many failures                    the time is over
---   closed ───────────────────▶ open ─────────────────────────────▶ half-open
---      ▲                          ▲                                    │   │
---      │                          └── a probe has failed, or hangs ────┘   │
---      └────────────────── `probes` of them have succeeded ────────────────┘
---
--- A probe takes a permit, which its own frame gives back however it ends. Every call knows the
--- generation of the state that gave it; each change of state begins another one, and outcomes of earlier
--- ones are counted but move nothing. A probe that ends without an outcome (ignored, cancelled) frees its
--- place, so no half-open state is a trap.
---
--- Source of the states: Nygard, Release It!; of the generations: gobreaker.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local outcomes = require "coropanic.resilience.outcomes"
local policy = require "coropanic.resilience.policy"
local refusal = require "coropanic.resilience.refusal"
local window = require "coropanic.resilience.window"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local pcall, call = co.pcall, co.call
local metatable_of = debug.getmetatable

local breaker = policy.class "breaker"

local KNOWN = {
  name = options.STRING,
  consecutive = options.COUNT,
  rate = options.SHARE,
  window = options.DURATION,
  minimum = options.COUNT,
  open_for = options.DURATION,
  max_open_for = options.DURATION,
  jitter = options.FRACTION,
  probes = options.COUNT,
  probe_timeout = options.DURATION,
  slow = options.DURATION,
  ignore = options.FUNCTION,
}

-- Changes of state ---------------------------------------------------------------------------------------

local function enter(self, state)
  local before = self.state
  self.state = state
  self.generation = self.generation + 1
  self.failures, self.successes, self.running = 0, 0, {}
  if self.recent then self.recent:clear() end
  self.transitions = self.transitions + 1
  co.trace.event("breaker." .. state, { breaker = self.name, before = before })
end

local function open(self, now, record)
  if record then
    self.opened_by, self.stack_hash = record.trace_id, record.stack_hash
  else
    self.opened_by, self.stack_hash = nil, nil
  end
  self.counts.opened = self.counts.opened + 1
  enter(self, "open")
  local spread = self.options.jitter
  self.opens_at = now + self.pause * (1 - spread + 2 * spread * math.random())
  self.pause = math.min(self.pause * 2, self.options.max_open_for)
end

local function close(self)
  self.pause = self.options.open_for
  self.opened_by, self.stack_hash, self.opens_at = nil, nil, nil
  enter(self, "closed")
end

-- Outcomes -----------------------------------------------------------------------------------------------

-- Whether the outcomes so far open the breaker.
local function has_too_many(self, now)
  local given = self.options
  if not self.recent then return self.failures >= given.consecutive end
  local failed = self.recent:count(now, "failed")
  local all = failed + self.recent:count(now, "ok")
  return all >= given.minimum and failed >= given.rate * all
end

local function settle_closed(self, now, outcome, record)
  if outcome ~= "ok" and outcome ~= "failed" then return end
  self.failures = outcome == "failed" and self.failures + 1 or 0
  if self.recent then self.recent:add(now, outcome) end
  if outcome == "failed" and has_too_many(self, now) then open(self, now, record) end
end

local function settle_probe(self, now, outcome, record)
  if outcome == "failed" then return open(self, now, record) end
  if outcome ~= "ok" then return end
  self.successes = self.successes + 1
  if self.successes >= self.options.probes then close(self) end
end

-- What the outcome of a call counts as, which began at `began`.
local function judge(self, began, now, outcome, record)
  local given = self.options
  if outcome == "failed" then return given.ignore and given.ignore(record) and "ignored" or "failed" end
  if outcome == "ok" and given.slow and now - began > given.slow then return "failed" end
  return outcome
end

-- Counts the outcome of a call that the state of this generation has let through.
local function settle(self, generation, began, outcome, record)
  local now = co.now()
  outcome = judge(self, began, now, outcome, record)
  self.counts[outcome] = self.counts[outcome] + 1
  if generation ~= self.generation then return end
  local settle_in = self.state == "half-open" and settle_probe or settle_closed
  settle_in(self, now, outcome, record)
end

-- While the breaker is closed, a call needs no permit: if it is unwound, it has changed nothing. Whether `fn`
-- can be called is looked at where it has not returned.
local function finish_closed(self, fn, generation, began, ok, ...)
  if ok and not began and generation == self.generation then -- nearly always
    local counts = self.counts
    counts.ok = counts.ok + 1
    self.failures = 0
    return ...
  end
  if not ok then options.check_function("call", 1, fn) end
  settle(self, generation, began, ok and "ok" or "failed", not ok and (...) or nil)
  if not ok then error(..., 0) end -- the same record
  return ...
end

-- A probe's permit, which outcomes.call watches.
local permit = {}
permit.__index = permit

function permit:ended(outcome, record)
  self.of.running[self] = nil
  settle(self.of, self.generation, self.began, outcome, record)
end

-- Admission ----------------------------------------------------------------------------------------------

-- The number of probes that run, and when the oldest of them counts as hanging.
local function count_probes(self)
  local running, soonest = 0, math.huge
  for probe in pairs(self.running) do
    running = running + 1
    soonest = math.min(soonest, probe.began + self.options.probe_timeout)
  end
  return running, soonest
end

-- What time does to the state: an open breaker lets probes through, and a probe that hangs has failed.
local function advance(self, now)
  if self.state == "open" and self.opens_at <= now then
    enter(self, "half-open")
  elseif self.state == "half-open" then
    local _, soonest = count_probes(self)
    if soonest <= now then
      self.counts.lost = self.counts.lost + 1
      open(self, now)
    end
  end
end

local function refuse(self, retry_after)
  self.counts.refused = self.counts.refused + 1
  return refusal.raise {
    code = "BREAKER_OPEN",
    message = ("breaker %q is %s"):format(self.name, self.state),
    breaker = self.name,
    retry_after = retry_after,
    opened_by = self.opened_by,
    stack_hash = self.stack_hash,
  }
end

-- Returns the permit of a probe; nil: the breaker is closed.
local function admit(self)
  local now = co.now()
  advance(self, now)
  if self.state == "closed" then return nil end
  if self.state == "isolated" then refuse(self, nil) end
  if self.state == "open" then refuse(self, self.opens_at - now) end
  local running, soonest = count_probes(self)
  if running + self.successes >= self.options.probes then refuse(self, soonest - now) end
  local made = setmetatable({ of = self, generation = self.generation, began = now }, permit)
  self.running[made] = true
  return made
end

-- The policy ---------------------------------------------------------------------------------------------

local function check(self, method) policy.check_self(self, breaker, method) end

--- Calls `fn(...)`, or raises a panic whose value has the code "BREAKER_OPEN".
function breaker:call(fn, ...)
  if metatable_of(self) ~= breaker then policy.check_self(self, breaker, "call") end
  if self.state ~= "closed" then
    options.check_function("call", 1, fn)
    local probe = admit(self)
    if probe then return outcomes.call(probe, fn, ...) end
  end
  return finish_closed(self, fn, self.generation, self.needs_clock and co.now(), pcall(call, fn, ...))
end

--- Refuses calls from now on, as after too many failures.
function breaker:open()
  check(self, "open")
  if self.state ~= "open" then open(self, co.now()) end
end

--- Lets all calls through from now on, as after successful probes.
function breaker:close()
  check(self, "close")
  if self.state ~= "closed" then close(self) end
end

--- Refuses calls until `breaker:close()` or `breaker:open()`, however much time passes.
function breaker:isolate()
  check(self, "isolate")
  if self.state == "isolated" then return end
  self.opened_by, self.stack_hash, self.opens_at = nil, nil, nil
  enter(self, "isolated")
end

--- Returns the state and the counts since the breaker was made.
function breaker:stats()
  check(self, "stats")
  local now = co.now()
  advance(self, now)
  local stats = policy.stats(self, breaker)
  stats.state, stats.failures, stats.transitions = self.state, self.failures, self.transitions
  stats.probes = self.state == "half-open" and count_probes(self) or 0
  stats.retry_after = self.state == "open" and self.opens_at - now or nil
  stats.opened_by, stats.stack_hash = self.opened_by, self.stack_hash
  return stats
end

local function check_together(given)
  if given.rate and given.consecutive then
    options.refuse("breaker", "options 'rate' and 'consecutive' exclude each other")
  end
  for _, name in ipairs { "window", "minimum" } do
    if given[name] and not given.rate then options.refuse("breaker", "option '%s' needs 'rate'", name) end
  end
end

---@class coropanic.resilience.breaker.options
---@field name? string
---@field consecutive? integer  # failures one after another that open it; 5
---@field rate? number  # or the part of failures among the window's calls: above 0, at most 1
---@field window? number  # seconds; 30
---@field minimum? integer  # calls within the window, below which it stays closed; 20
---@field open_for? number  # seconds until the first probe; 5; twice as long after each probe that has failed
---@field max_open_for? number  # seconds; 60
---@field jitter? number  # 0 to 1: the part by which these times vary; 0.2
---@field probes? integer  # that must succeed before it closes; 1
---@field probe_timeout? number  # seconds after which a probe has failed, though it still runs; 30
---@field slow? number  # seconds: calls that take longer count as failures
---@field ignore? fun(record: coropanic.record): any  # whether a failure is none of the supplier's

--- Makes a breaker.
---@param given? coropanic.resilience.breaker.options
---@return table
function breaker.new(given)
  given = options.check("breaker", given, KNOWN)
  check_together(given)
  if not given.rate then given.consecutive = given.consecutive or 5 end
  given.minimum = given.minimum or 20
  given.open_for = given.open_for or 5
  given.max_open_for = math.max(given.max_open_for or 60, given.open_for)
  given.jitter = given.jitter or 0.2
  given.probes = given.probes or 1
  given.probe_timeout = given.probe_timeout or 30
  local counts = { ok = 0, failed = 0, ignored = 0, cancelled = 0, lost = 0, refused = 0, opened = 0 }
  return policy.new(breaker, given, counts, {
    state = "closed",
    needs_clock = given.rate ~= nil or given.slow ~= nil,
    generation = 1,
    failures = 0, -- one after another, in the present state
    successes = 0, -- of probes
    running = {}, -- permit of a probe -> true
    recent = given.rate and window.new(given.window or 30, { "ok", "failed" }) or nil,
    pause = given.open_for,
    transitions = 0,
  })
end

return breaker
