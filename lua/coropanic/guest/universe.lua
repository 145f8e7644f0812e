--- A universe: all that belongs to one program, or to one request in hosts that have several. The twin of
--- kernel/runtime.h. port.state() returns the present one.

local list = require "coropanic.guest.list"

local universe = {}

--- The kinds of events, in the order of the table in docs/running.md.
universe.KINDS = {
  "spawn", "start", "stop", "wake", "end", "panic", "recover", "unhandled", "cancel", "scope_open",
  "scope_close", "context_open", "context_end", "span_begin", "span_event", "span_end", "timer", "sleep",
  "awake", "overrun",
}

local WEAK = { __mode = "k" }

function universe.new()
  return {
    by = {},                                     -- thread -> coroutine, of live tasks and the main thread
    others = setmetatable({}, WEAK), -- the same for all others
    current = nil,                               -- the running task
    here = nil,                                  -- the coroutine whose code runs, if the port is not exact
    driving = false,                             -- the loop is running
    tasks = {},                                  -- id -> live task
    first = nil, last = nil,                     -- of the live tasks, in the order of their ids, by t.before
    live = 0, daemons = 0, services = 0,         -- counts of live tasks
    next_task_id = 0, next_record = 0, last_serial = 0,
    hooks = 0,            -- handlers, hooks and observers that are running
    finishing = false,    -- the run's own tasks have ended, and handlers get the panics that are left
    aftermath = 0,        -- for tasks that the running handler spawns; 0: none runs
    unhandled = "report", -- or "crash", "call"
    unhandled_fn = nil,
    on_panic = nil, on_start = nil,
    held = list.new(),    -- panics without an owner yet
    cancelled = 0, leaked = 0, afters = 0,       -- for co.stats
    counts = {            -- kind -> events told
      spawn = 0, start = 0, stop = 0, wake = 0, ["end"] = 0, panic = 0, recover = 0, unhandled = 0,
      cancel = 0, scope_open = 0, scope_close = 0, context_open = 0, context_end = 0, span_begin = 0,
      span_event = 0, span_end = 0, timer = 0, sleep = 0, awake = 0, overrun = 0,
    },
    wants = {},           -- kind -> true: a sink listens
    sinks = {},           -- see probe.lua
    muted = 0,            -- observers running now
    observers = {}, pending = {},
    askers = setmetatable({}, WEAK), -- task -> the task that has cancelled it
    main_task = nil, trace_context = nil, observer_sink = nil, listeners = nil,
    -- of hosts with a universe for each request
    unborn = nil, timers = nil, inline = false, driver = false, driver_waits = false, poked = false,
    ending = false, in_place = false, leaving = false,
  }
end

return universe
