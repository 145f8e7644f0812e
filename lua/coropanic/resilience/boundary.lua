--- An error boundary: a scope that gives up when its children time out one after another, undoes what was
--- done, and answers with a fallback.
---
--- What follows a trip, or a panic, runs in a deferred call, where no cancellation cuts it short:
--- compensations in reverse order, the recovery flow, the flush, and the fallback or the panic.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local outcomes = require "coropanic.resilience.outcomes"
local policy = require "coropanic.resilience.policy"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local boundary = policy.class "boundary"

local unpack = table.unpack or rawget(_G, "unpack")

local KNOWN = {
  name = options.STRING,
  trip = options.COUNT,
  on = options.one_of "timeout",
  within = options.DURATION,
  fallback = options.FUNCTION,
  recover = options.FUNCTION,
  flush = options.FUNCTION,
  flush_within = options.DELAY,
}

-- Children -----------------------------------------------------------------------------------------------

local function is_timeout(record)
  while record.cause do record = record.cause end
  return record.kind == "timeout"
end

-- Whether the running task is being unwound because of a deadline of its own.
local function has_expired() return co.ctx():err() == "context deadline exceeded" end

local function forget_old(times, now, within)
  while times[1] and now - times[1] > within do table.remove(times, 1) end
end

local function trip(run, record)
  run.record, run.has_tripped = record, true
  run.of.counts.trips = run.of.counts.trips + 1
  co.trace.event("boundary.tripped", { boundary = run.of.name })
  local message = ("boundary %q has tripped"):format(run.of.name)
  run.scope:cancel({ code = "BOUNDARY_TRIPPED", message = message, trace_id = record.trace_id }, "boundary")
end

local function note_timeout(run, record)
  local given, now = run.of.options, co.now()
  run.of.counts.timeouts = run.of.counts.timeouts + 1
  run.times[#run.times + 1] = now
  if given.within then forget_old(run.times, now, given.within) end
  if #run.times >= given.trip and not run.has_tripped then trip(run, record) end
end

-- Joins a child that ends by a time-out, so that its scope does not panic for it, and counts it. Another task
-- that joins or awaits the child gets its record too.
local function join_child(run, task, state)
  state.is_joined = true
  local _, record = task:join()
  if is_timeout(record) then note_timeout(run, record) end
end

local function have_joined(run)
  local state = { is_joined = false }
  run.scope:spawn_with({ name = "end of " .. co.current().name }, join_child, run, co.current(), state)
  return state
end

-- A child's call, which outcomes.call watches.
local child = {}
child.__index = child

function child:ended(outcome)
  if outcome == "ok" then
    self.run.times = {}
  elseif outcome == "cancelled" and has_expired() and not self.run.has_tripped then
    have_joined(self.run)
  end
end

local function after(run, ok, ...)
  if ok then return ... end
  if is_timeout((...)) then
    local state = have_joined(run)
    repeat co.yield() until state.is_joined
  end
  error(..., 0)
end

local function run_child(run, fn, ...)
  return after(run, co.pcall(outcomes.call, setmetatable({ run = run }, child), fn, ...))
end

-- What the boundary's function gets ----------------------------------------------------------------------

local handle = {}
handle.__index = handle
handle.__name = "coropanic.resilience.boundary.handle"

local function check_open(self, method)
  options.check_self(self, handle, method, "boundary")
  local run = self.run
  if run.has_ended then error(("calling '%s' on a boundary that has ended"):format(method), 3) end
  return run
end

--- Spawns `fn(...)` in the boundary's scope. Returns the task.
function handle:spawn(fn, ...)
  local run = check_open(self, "spawn")
  options.check_function("spawn", 1, fn)
  return run.scope:spawn(run_child, run, fn, ...)
end

--- The same with the options of co.spawn_with.
function handle:spawn_with(given, fn, ...)
  local run = check_open(self, "spawn_with")
  options.check_function("spawn_with", 2, fn)
  return run.scope:spawn_with(given, run_child, run, fn, ...)
end

-- Registers a compensation, and returns its arguments.
local function register(run, undo, ...)
  run.undo[#run.undo + 1] = { fn = undo, n = select("#", ...), ... }
  return ...
end

--- Calls `fn(...)` if the boundary trips, panics or is cancelled: the call registered last comes first.
function handle:compensate(fn, ...)
  local run = check_open(self, "compensate")
  options.check_function("compensate", 1, fn)
  register(run, fn, ...)
end

--- Calls `fn()`. Returns its results, which `undo(...)` will get as its compensation.
function handle:step(fn, undo)
  local run = check_open(self, "step")
  options.check_function("step", 1, fn)
  options.check_function("step", 2, undo)
  return register(run, undo, fn())
end

-- What follows a failure ---------------------------------------------------------------------------------

local function note_failure(run, record)
  if not run.record then
    run.record = record
  elseif not rawequal(run.record, record) then
    run.record:add_suppressed(record)
  end
end

-- Calls a part of the aftermath, whose panic keeps none of the others from running.
local function guarded(run, fn, ...)
  local results = { co.pcall(fn, ...) }
  if not results[1] then note_failure(run, results[2]) end
end

local function undo_one(run, undo)
  run.of.counts.compensations = run.of.counts.compensations + 1
  guarded(run, undo.fn, unpack(undo, 1, undo.n))
end

-- As deferred calls: even a co.goexit in one of them lets the others run.
local function defer_compensations(run)
  -- coropanic: ignore C103: they are to run when all are deferred, the last one first
  for _, undo in ipairs(run.undo) do co.defer(undo_one, run, undo) end
end

local function flush(run)
  local given = run.of.options
  local task = co.spawn_with({ name = ("flush of %s"):format(run.of.name) }, given.flush, run.record)
  local ok, record = task:join(given.flush_within)
  if ok == false and record then note_failure(run, record) end
end

local function aftermath(run)
  run.has_ended = true
  if run.has_succeeded then return end
  local given, was_unwound = run.of.options, not run.record
  co.call(defer_compensations, run)
  if was_unwound then
    if run.record then error(run.record, 0) end
    return
  end
  if given.recover then guarded(run, given.recover, run.record) end
  if given.flush then flush(run) end
  if not given.fallback then error(run.record, 0) end
  run.of.counts.fallbacks = run.of.counts.fallbacks + 1
  co.set_results(given.fallback(run.record))
end

local function finish(run, ok, ...)
  if not ok and not run.has_tripped then run.record = (...) end
  if ok and not run.has_tripped then
    run.has_succeeded = true
    run.of.counts.ok = run.of.counts.ok + 1
    return ...
  end
end

local function run_all(run, fn)
  co.defer(aftermath, run)
  return finish(run, co.pcall(co.scope, function(scope)
    run.scope = scope
    return fn(run.handle)
  end))
end

-- The policy ---------------------------------------------------------------------------------------------

local function run_boundary(self, fn)
  self.counts.runs = self.counts.runs + 1
  local run = {
    of = self, undo = {}, times = {}, has_tripped = false, has_ended = false, has_succeeded = false,
  }
  run.handle = setmetatable({ run = run }, handle)
  return co.call(run_all, run, fn)
end

local function check_time(run, ok, ...)
  if ok then return ... end
  if is_timeout((...)) then note_timeout(run, (...)) end
  error(..., 0)
end

--- Calls `fn(b)` in a scope, where `b` spawns children and registers compensations. Returns its results, or
--- the fallback's.
function boundary:run(fn)
  policy.check_self(self, boundary, "run")
  options.check_function("run", 1, fn)
  return run_boundary(self, fn)
end

--- Calls `fn(...)` in the boundary, as if it were its only child. Returns its results, or the fallback's.
function boundary:call(fn, ...)
  policy.check_call(self, boundary, fn)
  local args, n = { ... }, select("#", ...)
  return run_boundary(self, function(b)
    return check_time(b.run, co.pcall(co.call, fn, unpack(args, 1, n)))
  end)
end

--- Returns the counts since the boundary was made.
function boundary:stats() return policy.stats(self, boundary) end

---@class coropanic.resilience.boundary.options
---@field name? string
---@field trip? integer  # time-outs in a row that trip it; 3
---@field on? "timeout"  # what is counted
---@field within? number  # seconds: older time-outs do not count
---@field recover? async fun(record: coropanic.record)  # after the compensations
---@field flush? async fun(record: coropanic.record)  # after that, in a task of its own
---@field flush_within? number  # seconds that the flush is waited for; 1
---@field fallback? async fun(record: coropanic.record): ...  # what it returns is returned

--- Makes a boundary.
---@param given? coropanic.resilience.boundary.options
---@return table
function boundary.new(given)
  given = options.check("boundary", given, KNOWN)
  given.trip = given.trip or 3
  given.flush_within = given.flush_within or 1
  local counts = { runs = 0, ok = 0, timeouts = 0, trips = 0, compensations = 0, fallbacks = 0 }
  return policy.new(boundary, given, counts)
end

return boundary
