--- co.condition: a task that holds a mutex waits for a change of the data that the mutex guards. The twin of
--- csrc/lua/lib_condition.c. Model: Go's sync.Cond.

local args = require "coropanic.guest.args"
local cancel = require "coropanic.guest.cancel"
local compat = require "coropanic.guest.compat"
local deadlock = require "coropanic.guest.deadlock"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local mutex = require "coropanic.guest.mutex"
local object = require "coropanic.guest.object"
local waitlist = require "coropanic.guest.waitlist"

---@class coropanic.guest.condition
---@field tasks table  # see waitlist.lua: those that wait for a signal, without the mutex. After the signal a
---                    # task waits for the mutex, in the mutex's own waitlist
---@field mutex table

local methods = {}
local CONDITION = object.type("condition", methods)
local check = object.checker(CONDITION)
local KIND = {}

function CONDITION.__tostring(c)
  local waiting = 0
  local t = list.first(c.tasks)
  while t ~= nil do
    waiting = waiting + 1
    t = list.after(c.tasks, t)
  end
  return ("condition (%d waiting) of %s"):format(waiting, mutex.text(c.mutex))
end

local function wake_first(c)
  local t = list.first(c.tasks)
  if t ~= nil then kernel.wake(t, "ready") end
end

-- Waiting ------------------------------------------------------------------------------------------------

local WAIT = waitlist.way "wait"

--- The wait for the mutex, in the mutex's waitlist, at the end of `wait`.
local RELOCK = waitlist.way("lock", { blockers = mutex.blockers })

--- The task will not return normally although a signal may have ended its wait: the next one gets that.
local function pass_on(c, reason)
  if reason == "ready" then wake_first(c) end
end

--- The task has the mutex again; its wait ended for `reason`. Returns whether there was a signal, or raises.
local function leave(c, t, reason)
  if cancel.will_raise(t) then pass_on(c, reason) end
  t.wake = reason
  kernel.check_wake(t)
  return reason == "ready"
end

--- The same if the task can not get the mutex any more because its owner has ended.
local function leave_abandoned(c, t, reason)
  pass_on(c, reason)
  t.wake = reason
  kernel.check_wake(t)
  return mutex.raise_abandoned(c.mutex)
end

--- Locks the mutex again after the wait for a signal. A cancellation does not end this wait, so that the
--- task's deferred calls find the mutex locked; it is raised when the task has the mutex.
local function relock(c, t, reason)
  local m = c.mutex
  while true do
    if m.is_locked and m.holder == t then -- the former owner has handed it over
      m.accepted = true
      return leave(c, t, reason)
    end
    if mutex.try_lock(m) then return leave(c, t, reason) end
    if mutex.is_abandoned(m) then return leave_abandoned(c, t, reason) end
    local cycle = deadlock.find(t, RELOCK, m)
    if cycle ~= nil then
      pass_on(c, reason)
      return error(cycle, 0)
    end
    list.append(m.tasks, t)
    kernel.park(t, RELOCK, m)
  end
end

function methods.wait(self, seconds)
  local c = check(self, "wait")
  seconds = args.timeout(seconds, 1, "wait")
  local t = waitlist.check "wait"
  local m = c.mutex
  if not m.is_locked or m.holder ~= (t or false) then
    return kernel.raise("'wait' on a condition whose mutex this task does not hold: %s", mutex.text(m))
  end
  if seconds == 0 then return false end
  if t == nil then t = kernel.need "wait" end
  mutex.unlock(m)
  list.append(c.tasks, t)
  return relock(c, t, kernel.park(t, WAIT, c, seconds))
end

function methods.signal(self) wake_first(check(self, "signal")) end

function methods.broadcast(self) waitlist.wake_all(check(self, "broadcast"), "ready") end

function kernel.api.condition(...)
  local m = ...
  if compat.getmetatable(m) ~= mutex.TYPE then
    args.type_error(m, 1, "condition", "mutex", select("#", ...))
  end
  return setmetatable({ tasks = list.new(), kind = KIND, mutex = m }, CONDITION)
end
