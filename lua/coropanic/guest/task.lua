--- Tasks: how they begin, run and end. The twin of kernel/task.h and task_run.h.

local cancel = require "coropanic.guest.cancel"
local compat = require "coropanic.guest.compat"
local frame_stacks = require "coropanic.guest.frame_stacks"
local frames = require "coropanic.guest.frames"
local handler = require "coropanic.guest.handler"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local record = require "coropanic.guest.record"
local unhandled = require "coropanic.guest.unhandled"
local unwind = require "coropanic.guest.unwind"

local task = {}

local state, running, select, unpack = port.state, compat.running, select, compat.unpack
local protected, message_handler = unwind.protected, unwind.handler

-- Spawning -----------------------------------------------------------------------------------------------

--- Cuts the line of ancestors after the nearest ones, so that a task that spawns its successor for ever does
--- not keep them all.
local function trim_ancestors(t)
  local last = t
  for _ = 1, record.MAX_ANCESTORS do
    last = last.parent
    if last == nil then return end
  end
  if kernel.ended(last) then last.parent = nil end
end

--- A task as it begins: `false` stands where a value, or nil, is set at once (see compat.new_table).
local function blank_task()
  return {
    id = 0, universe = false, parent = false, generation = 0,
    status = "ready",        -- "running", "waiting", "done", "panicked", "cancelled", "exited"
    site = false,            -- where it was spawned: kernel.spawned_at
    wait = false,            -- the way of its wait, or of its last one
    waits_on = false,        -- while it waits: the task, lock, ... that it waits for
    wake = "ready",          -- why it was woken
    timed = false,           -- the wait has a deadline
    joiners = false,         -- a list of the tasks that wait in join or await of this one
    entry = false,           -- its outermost cancel scope
    asked = 0,               -- how many of its cancel scopes were asked to end and wait to be raised
    raises = 0,              -- raises of an exit in a row, without a suspension
    coroutine = false,       -- its own
    top = false,             -- the coroutine in which its code may suspend: its own, or one inside it
    started = false,
    fn = false, n = 0, a = false, b = false, -- its function and arguments; then its results
    outcome = false,         -- how its body has left it: its next status
    next = false, prev = false, list = false, -- as a waiter
    before = false, after = false,            -- among the live tasks
    handle = false,
    semaphore = false, parked = false,        -- of the hosts that suspend by semaphores
    -- Few tasks have the others:
    --   name, attributes         that were given; kernel.name_of makes a name
    --   daemon, service, muted, silent, leaked
    --   aftermath                the handlers that have led to it
    --   given                    for the waker: what the task has got
    --   rest                     more arguments or results than two
    --   record                   once it has ended otherwise than by returning
    --   exits                    a list of calls to make at its end: task.on_end
    --   member                   of a scope or context; its `heir` gets its panic
    --   owner, comers, held      of its panic: unhandled.lua
    --   forced                   parked for good, with this record: must be unwound from outside
  }
end

local function set_options(t, options)
  if options.name and options.name ~= "" then t.name = options.name end
  if options.attributes then t.attributes = options.attributes end
  if options.service then t.service = true end
  if options.daemon or options.service then t.daemon = true end
end

--- Whether events about the task are told to nobody, and whether it has no spans.
local function set_hearing(u, t, parent, options)
  local spans = options and options.spans
  if spans == "muted" or (spans ~= "yes" and probe.is_muted(u, parent)) then t.muted = true end
  if t.service or spans == "no" or (spans == nil and parent ~= nil and parent.silent) then t.silent = true end
end

local function new_task(u, options)
  local id = u.next_task_id + 1
  u.next_task_id = id
  local parent = u.current
  local t = blank_task()
  t.id, t.universe, t.parent, t.wait = id, u, parent, kernel.NO_WAIT
  t.site, t.waits_on, t.joiners, t.outcome, t.handle, t.semaphore = nil, nil, nil, nil, nil, nil
  t.fn, t.a, t.b, t.next, t.prev, t.list, t.before, t.after = nil, nil, nil, nil, nil, nil, nil, nil
  if parent ~= nil then
    t.generation = parent.generation + 1
    if t.generation % record.MAX_ANCESTORS == 0 then trim_ancestors(t) end
  end
  t.entry = cancel.new_entry(t)
  local c = { thread = false, frames = false, task = false, outer = false, state = "active", context = false }
  c.thread, c.frames, c.task, c.outer, c.context = nil, nil, t, nil, nil
  t.coroutine, t.top = c, c
  if options then set_options(t, options) end
  set_hearing(u, t, parent, options)
  local aftermath = u.aftermath
  if aftermath == 0 then aftermath = parent and parent.aftermath end
  if aftermath then t.aftermath = aftermath end
  return t
end

local function link(u, t)
  local last = u.last
  t.before = last
  if last then last.after = t else u.first = t end
  u.last = t
  u.tasks[t.id] = t
  u.live = u.live + 1
  if t.daemon then u.daemons = u.daemons + 1 end
  if t.service then u.services = u.services + 1 end
end

local function unlink(u, t)
  local before, after = t.before, t.after
  if before then before.after = after else u.first = after end
  if after then after.before = before else u.last = before end
  t.before, t.after = nil, nil
  u.tasks[t.id] = nil
  u.live = u.live - 1
  if t.daemon then u.daemons = u.daemons - 1 end
  if t.service then u.services = u.services - 1 end
end

--- Makes the new task a member of the scope and context around it; set by scope.lua. May raise.
---@type fun(u, t, options)|nil
task.become_member = nil

--- Begins the span of a new task while a listener of spans is set; set by span.lua.
---@type fun(u, t)|nil
task.begin_span = nil

--- Makes a task of a function and its arguments, ready to run, and returns it (not its handle).
---@param options? table  # as of spawn_with; and scope, spans, joined(t); direct: the caller's caller is a
---  script. nil: it is
function task.spawn(u, options, fn, ...)
  if port.check_spawn then port.check_spawn(u) end
  local t = new_task(u, options)
  ids.inherit(t, u.current, options and options.detached_trace, options and options.trace)
  if task.become_member then task.become_member(u, t, options) end
  if task.begin_span and probe.hears_spans(u) then task.begin_span(u, t) end
  t.site = kernel.site(3, options == nil or options.direct) -- the caller of the API
  local n = select("#", ...)
  t.fn, t.n = fn, n
  if n > 2 then
    t.rest = { ... }
  elseif n > 0 then
    t.a, t.b = ...
  end
  link(u, t)
  if options and options.joined then options.joined(t) end
  u.counts.spawn = u.counts.spawn + 1
  port.spawn(t, task.run, t)
  if u.wants.spawn then
    probe.tell(u, { kind = "spawn", calls = true, task = t, object = kernel.handle(t) })
  end
  return t
end

-- Running ------------------------------------------------------------------------------------------------

local function status_of(r)
  if not r._exits then return "panicked" end
  return r._kind == "goexit" and "exited" or "cancelled"
end

local function set_record(t, r)
  t.outcome, t.record = status_of(r), r
end

--- Stores how the task's code has ended.
local function set_outcome(t, how, ...)
  if how ~= "returning" then return set_record(t, (...)) end
  t.outcome = "done"
  local n = select("#", ...)
  t.n = n
  if n <= 2 then
    t.a, t.b = ...
  else
    t.rest = { ... }
  end
end

local function after_body(t, ok, ...)
  local s = t.coroutine.frames
  if s == nil or s.depth == 0 then
    if ok then return set_outcome(t, "returning", ...) end
    return set_record(t, unwind.settle((...)))
  end
  return set_outcome(t, unwind.finish_body(s, 1, ok, ...))
end

local function enter(u, t)
  local c = t.coroutine
  c.thread = running() or compat.MAIN
  u.by[c.thread] = c
  u.current, u.here = t, c
  t.status = "running"
end

--- The body of the host's coroutine. When it has returned, the host calls task.finish(t), outside the
--- coroutine if it can.
function task.run(t)
  local u = t.universe
  enter(u, t)
  t.started = true
  if t.entry.state == "asked" then
    set_record(t, cancel.make_record(t.entry))
    return
  end
  handler.run_start(u)
  local fn, n, a, b, rest = t.fn, t.n, t.a, t.b, t.rest
  t.fn, t.n, t.a, t.b = nil, 0, nil, nil
  if rest then t.rest = nil end
  if n == 0 then return after_body(t, protected(fn, message_handler)) end
  if n == 1 then return after_body(t, protected(fn, message_handler, a)) end
  if n == 2 then return after_body(t, protected(fn, message_handler, a, b)) end
  return after_body(t, protected(fn, message_handler, unpack(rest, 1, n)))
end

--- Takes the task out of the coroutines inside its own, which are lost.
local function lose_coroutines(t)
  local c = t.coroutine
  while t.top ~= c do
    local inner = t.top
    t.top, inner.outer, inner.state = inner.outer, nil, "lost"
  end
end

--- Ends the coroutines inside the task's own, in which it is parked for good, innermost first: the deferred
--- calls of their frames run, and can not suspend.
---@param r table  # the record of the task's exit
function task.end_inner(u, t, r)
  local c = t.top
  while c ~= t.coroutine do
    local s = c.frames
    if compat.close then compat.pcall(compat.close, c.thread) end
    if s ~= nil and s.depth > 0 then
      local thread = compat.create(unwind.close_frames)
      u.others[thread] = c
      local around = u.here
      u.here = c
      compat.resume(thread, s, r)
      u.here = around
    end
    c = c.outer
  end
end

--- Closes the task's coroutine, which does not run, where it is.
local function close_thread(u, t)
  lose_coroutines(t)
  local c = t.coroutine
  local thread, s = c.thread, c.frames
  if thread == nil then return end
  u.by[thread], c.thread = nil, nil
  if compat.close and compat.status(thread) == "suspended" then
    if s then s.resetting = true end
    compat.pcall(compat.close, thread)
    if s then s.resetting = false end
  end
end

--- Runs the deferred calls of a task whose coroutine was lost, in another one: the body of that.
local function run_epilogue(t)
  local u = t.universe
  enter(u, t)
  return set_outcome(t, unwind.drive(t.coroutine.frames, 1))
end

--- Begins run_epilogue.
local function begin_epilogue(t)
  if t.status == "waiting" then kernel.leave_unserved(t) end
  t.status, t.wait = "ready", kernel.NO_WAIT
  port.spawn(t, run_epilogue, t)
end

--- Takes the task's coroutine away and ends the task with the record: at once, or after the deferred calls
--- of its open frames, which `prepare(s, r)` makes run.
local function end_without_coroutine(u, t, r, prepare)
  close_thread(u, t)
  local s = t.coroutine.frames
  if s == nil or s.depth == 0 then
    set_record(t, r)
    return task.finish(t)
  end
  prepare(s, r)
  begin_epilogue(t)
end

--- The task's coroutine can not go on: it yielded by itself, was resumed by other code, or died. Ends the
--- task with the record; open frames lose their bodies and only run their deferred calls.
function task.lose(u, t, r) return end_without_coroutine(u, t, r, frames.exit) end

local function panic_in_frames(s, r)
  frames.begin_exit(s, r, 1)
  frames.unwind(s, r, "panicking")
end

--- The same if the call in which the task waits will never go on: the call panics with the record. If that is
--- recovered there is no body to return to; then the other frames exit.
function task.give_up(u, t, r) return end_without_coroutine(u, t, r, panic_in_frames) end

--- Ends the task as it is, without running its deferred calls.
function task.abandon(u, t, r)
  close_thread(u, t)
  t.outcome, t.record = "panicked", r
  return task.finish(t)
end

-- The end ------------------------------------------------------------------------------------------------

--- Makes `fn(t)` run when the live task ends, the newest first. Returns what task.off_end takes.
function task.on_end(t, fn)
  if t.exits == nil then t.exits = list.new() end
  local exit = { fn = fn }
  list.prepend(t.exits, exit)
  return exit
end

--- Takes it out again; harmless if it has run.
task.off_end = list.remove

local function run_exits(t)
  while t.exits do
    local exit = list.take_first(t.exits)
    if exit == nil then return end
    exit.fn(t)
  end
end

--- Leaves its scope and context; set by scope.lua.
---@type fun(u, t)|nil
task.leave_member = nil

--- Takes the task out of everything that runs; only its account is left.
local function retire(u, t)
  local c = t.coroutine
  if c.thread then u.by[c.thread] = nil end
  unlink(u, t)
  if t.member and task.leave_member then task.leave_member(u, t) end
  cancel.close(t.entry)
  lose_coroutines(t)
  frame_stacks.release(c)
  c.thread = nil
  ids.clear(c.context)
end

--- Wakes the tasks that join or await the task. Returns their number.
local function wake_joiners(t)
  local count = 0
  local joiners = t.joiners
  while joiners and joiners.next ~= joiners do
    kernel.wake(joiners.next, "ready")
    count = count + 1
  end
  return count
end

--- Ends the task as its body has left it; every way to end goes through this.
function task.finish(t)
  local u = t.universe
  if u.current == t then u.current = nil end
  local status = t.outcome
  local heir = t.member and t.member.heir
  local comers = wake_joiners(t)
  kernel.leave_unserved(t)
  retire(u, t)
  t.status = status
  if status ~= "done" then t.record._status = status end
  if status == "cancelled" then u.cancelled = u.cancelled + 1 end
  run_exits(t)
  if status == "panicked" then unhandled.pass_on(u, t, heir, comers) end
  if heir then heir:told() end
  u.counts["end"] = u.counts["end"] + 1
  if u.wants["end"] then
    probe.tell(u, { kind = "end", calls = true, task = t, object = kernel.handle(t), extra = status })
  end
end

--- The task's results.
function task.results(t)
  local n = t.n
  if n == 0 then return end
  if n == 1 then return t.a end
  if n == 2 then return t.a, t.b end
  return unpack(t.rest, 1, n)
end

--- A list for the tasks that join or await the task.
function task.joiners(t)
  local joiners = t.joiners
  if joiners == nil then
    joiners = list.new()
    t.joiners = joiners
  end
  return joiners
end

task.state = state
return task
