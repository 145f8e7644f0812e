--- A mutex: a lock that one task holds at a time. It is also the writers' side of an rwmutex. The twin of
--- sync/mutex.h, with the API of csrc/lua/lib_lock.c.
---
--- The mutex knows its owner while it is locked, even after the owner has ended. If the owner ends without
--- unlocking it, the mutex stays locked for ever, and every task that locks it gets an error that says so. If
--- a waiter gets the lock and then ends before it runs, the lock goes to the next waiter.

local deadlock = require "coropanic.guest.deadlock"
local args = require "coropanic.guest.args"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local lock_guard = require "coropanic.guest.lock_guard"
local object = require "coropanic.guest.object"
local task = require "coropanic.guest.task"
local waitlist = require "coropanic.guest.waitlist"

local mutex = {}

local current, ended, wake = kernel.current, kernel.ended, kernel.wake

---@class coropanic.guest.mutex
---@field tasks table      # see waitlist.lua
---@field kind table       # `name` besides
---@field is_locked boolean
---@field holder table|false # the task that holds the lock, which may have ended; false: the main program, or
---                           # nobody
---@field taken_at any     # where the lock was taken: what kernel.site has returned, or a text
---@field accepted boolean # the owner has run since it got the lock
---@field exit table|false # task.on_end's, of the owner
---@field on_end fun()      # called when the owner has ended
---@field readers integer   # of an rwmutex: its readers

-- Texts and errors ---------------------------------------------------------------------------------------

local function owner_text(m)
  if not m.holder then return "the main program" end
  return ('task %d "%s"'):format(m.holder.id, kernel.name_of(m.holder))
end

--- `file.lua:12`
local function place_text(m)
  local place = m.taken_at
  if type(place) == "table" then place = kernel.site_text(place) end
  return place or "?"
end

--- `mutex (held by task 2 "a", taken at file.lua:12)`, or `mutex (unlocked)`.
function mutex.text(m)
  local name = m.kind.name
  if not m.is_locked then return name .. " (unlocked)" end
  return ("%s (held by %s, taken at %s)"):format(name, owner_text(m), place_text(m))
end

--- Whether the owner has ended without unlocking the mutex.
function mutex.is_abandoned(m)
  return m.is_locked and m.holder and ended(m.holder)
end

function mutex.raise_abandoned(m)
  return kernel.raise_kind("panic", ("%s is held by %s, which has ended (taken at %s)"):format(
    m.kind.name, owner_text(m), place_text(m)))
end

--- Raises if the running task can never get the lock, because it holds it itself or the owner has ended.
local function check_hope(m)
  local holder = m.holder
  if not holder then return end
  if ended(holder) then return mutex.raise_abandoned(m) end
  if holder ~= current() then return end
  return kernel.raise_kind("deadlock",
    ("%s is already held by this task (taken at %s)"):format(m.kind.name, place_text(m)))
end

-- Taking -------------------------------------------------------------------------------------------------

--- The owner has ended. If it had accepted the lock, the mutex is abandoned; if not, the lock goes on.
local function owner_ended(m)
  m.exit = false
  if m.accepted then
    waitlist.wake_all(m, "abandoned")
  else
    mutex.release(m)
  end
end

--- Gives the lock, which is free, to the task (nil: the main program).
function mutex.give(m, t, place)
  m.is_locked, m.accepted, m.holder, m.taken_at = true, false, t or false, place or false
  if t ~= nil then m.exit = task.on_end(t, m.on_end) end
end

--- Locks the mutex for the running code. Returns false if it is locked.
function mutex.try_lock(m)
  if m.is_locked then return false end
  mutex.give(m, current(), kernel.site(1))
  m.accepted = true
  return true
end

-- Giving -------------------------------------------------------------------------------------------------

--- Frees the lock and gives it to the next waiter.
function mutex.release(m)
  if m.exit then task.off_end(m.exit) end
  m.is_locked, m.holder, m.exit = false, false, false
  waitlist.serve(m)
end

--- Unlocks the mutex; raises unless the running code is its owner.
function mutex.unlock(m)
  if not m.is_locked then return kernel.raise("unlock of unlocked %s", m.kind.name) end
  if m.holder ~= (current() or false) then
    local name = m.kind.name
    return kernel.raise("unlock of a %s that %s holds (taken at %s)", name, owner_text(m), place_text(m))
  end
  return mutex.release(m)
end

--- Gives the lock to the waiting task, which goes on.
function mutex.give_to_waiter(m, t)
  mutex.give(m, t, kernel.where_of(t))
  wake(t, "ready")
end

-- Waiting ------------------------------------------------------------------------------------------------

--- The tasks that can end a wait for the lock.
function mutex.blockers(m)
  local holder = m.holder
  if not holder or ended(holder) then return {} end
  return { holder }
end

--- A way to wait for a lock that begins with a mutex; it has a function `try(lock)` besides.
function mutex.way(name, try, reads)
  return waitlist.way(name, { blockers = mutex.blockers, try = try, reads = reads })
end

--- Takes the lock, or waits for it. Returns whether it was taken.
---@param wait table  # mutex.way
---@param seconds any  # the time-out, an argument of the method
function mutex.take(m, wait, seconds, method)
  seconds = args.timeout(seconds, 1, method)
  local t = waitlist.check(method)
  check_hope(m)
  if wait.try(m) then return true end
  if seconds == 0 then return false end
  if t ~= nil and seconds == nil then deadlock.check(t, wait, m) end
  local taken, reason = waitlist.wait(m, t, wait, seconds, method)
  if reason == "abandoned" then return mutex.raise_abandoned(m) end
  if taken and not wait.reads then m.accepted = true end
  return taken
end

--- Takes the lock if it is free, and returns whether it was.
function mutex.take_now(m, wait)
  if mutex.is_abandoned(m) then return mutex.raise_abandoned(m) end
  return wait.try(m)
end

--- Makes a new object of a type that begins with a mutex.
function mutex.new(meta, kind)
  local m = {
    tasks = list.new(), kind = kind, is_locked = false, accepted = false, holder = false, taken_at = false,
    exit = false, readers = 0,
  }
  m.on_end = function() return owner_ended(m) end
  return setmetatable(m, meta)
end

-- co.mutex -----------------------------------------------------------------------------------------------

local KIND = { name = "mutex" }

function KIND.serve(m)
  if m.is_locked then return end
  local t = list.first(m.tasks)
  if t ~= nil then mutex.give_to_waiter(m, t) end
end

function KIND.take_back(m) mutex.release(m) end

local methods = {}
mutex.TYPE = object.type("mutex", methods, { __tostring = mutex.text })
local check = object.checker(mutex.TYPE)
local WAIT = mutex.way("lock", mutex.try_lock)

function methods.lock(self, seconds) return mutex.take(check(self, "lock"), WAIT, seconds, "lock") end

function methods.guard(self, seconds)
  local m = check(self, "guard")
  lock_guard.check "use lock, and co.defer(m.unlock, m)"
  return lock_guard.new(mutex.take(m, WAIT, seconds, "guard"), m, mutex.unlock)
end

function methods.try_lock(self) return mutex.take_now(check(self, "try_lock"), WAIT) end

function methods.unlock(self) mutex.unlock(check(self, "unlock")) end

function methods.locked(self) return check(self, "locked").is_locked end

function methods.owner(self)
  local holder = check(self, "owner").holder
  return holder and kernel.handle(holder) or nil
end

function kernel.api.mutex() return mutex.new(mutex.TYPE, KIND) end

return mutex
