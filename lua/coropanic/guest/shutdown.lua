--- The records of deadlocks, and the ways to end the tasks that a run leaves. The twin of loop/shutdown.h.

local cancel = require "coropanic.guest.cancel"
local kernel = require "coropanic.guest.kernel"
local record = require "coropanic.guest.record"
local task = require "coropanic.guest.task"

local shutdown = {}

local GIVEN_UP = "given up: still asleep after every attempt to end it"

--- Counts a task that is asleep for ever: only once.
local function note_leak(u, t)
  if t.leaked then return end
  t.leaked = true
  u.leaked = u.leaked + 1
end

--- A record that says why the run can't go on, with the list of the waiting tasks.
function shutdown.deadlock_record(u, message)
  local all = kernel.each(u)
  for _, t in ipairs(all) do note_leak(u, t) end
  local r = record.raise(u, message, "deadlock", 2)
  local parked = {}
  for i = 1, math.min(#all, record.MAX_PARKED) do parked[i] = kernel.describe_wait(all[i]) end
  if #all > #parked then parked.omitted = #all - #parked end
  r._parked = parked
  return r
end

function shutdown.cancel_all(u)
  for _, t in ipairs(kernel.each(u)) do cancel.ask(t.entry, nil, "shutdown") end
end

--- All but services, and the tasks of handlers at the end of the run.
function shutdown.cancel_others(u)
  for _, t in ipairs(kernel.each(u)) do
    local is_last = t.service or (t.aftermath ~= nil and not t.daemon)
    if not is_last then cancel.ask(t.entry, nil, "shutdown") end
  end
end

--- Whether a deadline ends the task's wait: that of any cancel scope around it, the task's entry included.
local function has_time_out(t)
  local c = cancel.innermost(t)
  while c ~= nil and not c.has_deadline do c = c.outer end
  return c ~= nil or t.entry.has_deadline
end

--- Whether the task waits, and no time-out ends that.
function shutdown.waits_for_ever(t) return t.status == "waiting" and not t.timed and not has_time_out(t) end

--- Whether any task but the services may go on by itself.
function shutdown.others_may_go_on(u)
  for _, t in ipairs(kernel.each(u)) do
    if not t.service and not (shutdown.waits_for_ever(t) and not t.wait.from_outside) then return true end
  end
  return false
end

function shutdown.wake_all(u)
  for _, t in ipairs(kernel.each(u)) do
    note_leak(u, t)
    if t.status == "waiting" then kernel.wake(t, "deadlock") end
  end
end

--- The call in which the task waits will never go on. The task's other deferred calls run, so that it may
--- park again.
function shutdown.give_up_all(u, take_off)
  for _, t in ipairs(kernel.each(u)) do
    if t.started and not kernel.ended(t) then
      if t.status == "waiting" then kernel.wake(t, "cancelled") end
      take_off(t)
      u.current = t
      local r = record.make(u, GIVEN_UP, "deadlock", t.coroutine.thread)
      u.current = nil
      task.give_up(u, t, r)
    end
  end
end

--- Ends the tasks as they are, without running their deferred calls.
function shutdown.abandon_all(u, take_off)
  for _, t in ipairs(kernel.each(u)) do
    if not kernel.ended(t) then
      if t.status == "ready" then take_off(t) end
      u.current = t
      local r = record.make(u, GIVEN_UP, "deadlock", t.coroutine.thread)
      u.current = nil
      task.abandon(u, t, r)
    end
  end
end

--- How often a task that is stuck in its deferred calls is woken, then cut short, before it is ended as it
--- is.
shutdown.ROUNDS = 64

--- The deferred calls of all tasks that are left are stuck: acts harder in later rounds.
---@param round integer  # from 0
---@param take_off fun(t)  # takes a ready task out of the host's queue
function shutdown.end_stuck(u, round, take_off)
  if round < shutdown.ROUNDS then
    shutdown.wake_all(u)
  elseif round < 2 * shutdown.ROUNDS then
    shutdown.give_up_all(u, take_off)
  else
    shutdown.abandon_all(u, take_off)
  end
end

return shutdown
