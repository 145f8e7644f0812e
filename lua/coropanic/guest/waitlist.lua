--- A waitlist: the tasks that wait for one object (a lock, a semaphore, a waitgroup, a once, an event), first
--- in, first out. The twin of sync/waitlist.h. The object has
---   tasks   the list of these tasks
---   kind    a constant table of functions of its type; any may be missing:
---             serve(object)         gives free locks or permits to the first tasks, as far as they go
---             take_back(object, t)  takes back what `serve` gave the task, which is unwound first
---
--- When a lock or permits become free, `serve` gives them to the first task before that task runs, so that no
--- other task can overtake it: a task that is woken with "ready" has them. A task that leaves the queue
--- unserved (time-out, cancellation, deadlock, ended from outside) lets `serve` serve those behind it.

local cancel = require "coropanic.guest.cancel"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"

local waitlist = {}

local first, wake = list.first, kernel.wake

function waitlist.serve(object)
  local serve = object.kind.serve
  if serve then serve(object) end
end

local function object_of(t) return t.waits_on end

--- A way to wait in a waitlist. The task's `waits_on` is the object.
---@param more? table  # further fields: see kernel.lua
function waitlist.way(name, more)
  local wait = { name = name, object = object_of, left_unserved = waitlist.serve }
  for key, value in pairs(more or {}) do wait[key] = value end
  return wait
end

--- Wakes all tasks in the queue.
function waitlist.wake_all(object, reason)
  local tasks = object.tasks
  local t = first(tasks)
  while t ~= nil do
    wake(t, reason)
    t = first(tasks)
  end
end

--- Call it first in an operation that may have to wait: inside a task it raises as every suspension point
--- does. Outside tasks it does nothing, because the operation works there if it does not have to wait.
---@return table? task
function waitlist.check(name)
  if kernel.current() ~= nil then return kernel.need(name) end
end

--- Parks the running task (nil: raises, for none can wait) in the queue of the object. Returns true if it was
--- served; false, and why, if it was not; raises, and gives back what the task was given meanwhile, if it was
--- cancelled.
---@param seconds? number  # nil: for ever
---@return boolean served, string reason
function waitlist.wait(object, t, wait, seconds, name)
  if t == nil then t = kernel.need(name) end
  list.append(object.tasks, t)
  local reason = kernel.park(t, wait, object, seconds)
  if reason == "ready" then
    if not kernel.needs_unwinding(t) then return true, reason end
    local take_back = object.kind.take_back
    if take_back and cancel.will_raise(t) then take_back(object, t) end
  end
  kernel.check_wake(t)
  return reason == "ready", reason
end

return waitlist
