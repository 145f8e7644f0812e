--- A universe: all that belongs to one program, or to one request in hosts that have several. The twin of
--- kernel/runtime.h. port.state() returns the present one.

local compat = require "coropanic.guest.compat"
local list = require "coropanic.guest.list"

local universe = {}

--- The kinds of events, in the order of the table in docs/running.md.
universe.KINDS = {
  "spawn", "start", "stop", "wake", "end", "panic", "recover", "unhandled", "cancel", "scope_open",
  "scope_close", "context_open", "context_end", "span_begin", "span_event", "span_end", "timer", "sleep",
  "awake", "overrun", "leaked", "warning",
}

local WEAK = { __mode = "k" }
local new_table = compat.new_table

--- A universe as it begins: `false` stands where a value, or nil, is set at once (see compat.new_table).
local function blank()
  return {
    by = false,           -- thread -> coroutine, of live tasks and the main thread
    others = false,       -- the same for all others
    current = false,      -- the running task
    here = false,         -- the coroutine whose code runs, if the port is not exact
    driving = false,      -- the loop is running
    tasks = false,        -- id -> live task
    first = false, last = false, -- of the live tasks, in the order of their ids, by t.before
    live = 0, daemons = 0, services = 0, -- counts of live tasks
    next_task_id = 0, next_record = 0, last_serial = 0,
    hooks = 0,            -- handlers, hooks and observers that are running
    finishing = false,    -- the run's own tasks have ended, and handlers get the panics that are left
    aftermath = 0,        -- for tasks that the running handler spawns; 0: none runs
    unhandled = "report", -- or "crash", "call"
    unhandled_fn = false,
    on_panic = false, on_start = false,
    held = false,         -- panics without an owner yet
    cancelled = 0, leaked = 0, afters = 0, -- for co.stats
    counts = false,       -- kind -> events told
    wants = false,        -- kind -> true: a sink listens
    sinks = false,        -- see probe.lua
    muted = 0,            -- observers running now
    observers = false, pending = false,
    askers = false,       -- task -> the task that has cancelled it; nil: nobody has
    main_task = false, trace_context = false, observer_sink = false, listeners = false,
    -- of hosts with a universe for each request
    unborn = false, timers = false, inline = false, driver = false, driver_waits = false, poked = false,
    ending = false, in_place = false, leaving = false,
  }
end

local function no_counts()
  return {
    spawn = 0, start = 0, stop = 0, wake = 0, ["end"] = 0, panic = 0, recover = 0, unhandled = 0,
    cancel = 0, scope_open = 0, scope_close = 0, context_open = 0, context_end = 0, span_begin = 0,
    span_event = 0, span_end = 0, timer = 0, sleep = 0, awake = 0, overrun = 0, leaked = 0,
  }
end

function universe.new()
  local u = blank()
  u.by, u.others, u.tasks = new_table(0, 4), setmetatable({}, WEAK), new_table(4, 0)
  u.current, u.here, u.first, u.last = nil, nil, nil, nil
  u.unhandled_fn, u.on_panic, u.on_start, u.askers = nil, nil, nil, nil
  u.held, u.counts, u.wants = list.new(), no_counts(), {}
  u.sinks, u.observers, u.pending = {}, {}, {}
  u.main_task, u.trace_context, u.observer_sink, u.listeners = nil, nil, nil, nil
  u.unborn, u.timers = nil, nil
  return u
end

return universe
