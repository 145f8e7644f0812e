--- A readers-writer lock: many readers or one writer at a time, first come, first served. A waiting writer
--- keeps later readers waiting behind it. The writer is the owner of a mutex; readers are only counted, as in
--- Go. The twin of sync/rwmutex.h, with the API of csrc/lua/lib_lock.c.

local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local lock_guard = require "coropanic.guest.lock_guard"
local mutex = require "coropanic.guest.mutex"
local object = require "coropanic.guest.object"
local waitlist = require "coropanic.guest.waitlist"

---@class coropanic.guest.rwmutex : coropanic.guest.mutex
---@field readers integer

local function try_lock(rw)
  return rw.readers == 0 and mutex.try_lock(rw)
end

local function try_read_lock(rw)
  if rw.is_locked or list.first(rw.tasks) ~= nil then return false end
  rw.readers = rw.readers + 1
  return true
end

local function end_reading(rw)
  rw.readers = rw.readers - 1
  waitlist.serve(rw)
end

local function read_unlock(rw)
  if rw.readers == 0 then return kernel.raise "runlock of unlocked rwmutex" end
  return end_reading(rw)
end

local KIND = { name = "rwmutex" }

function KIND.serve(rw)
  local t = list.first(rw.tasks)
  while t ~= nil and not rw.is_locked do
    if t.wait.reads then
      rw.readers = rw.readers + 1
      kernel.wake(t, "ready")
    elseif rw.readers == 0 then
      mutex.give_to_waiter(rw, t)
    else
      return
    end
    t = list.first(rw.tasks)
  end
end

function KIND.take_back(rw, t)
  if t.wait.reads then return end_reading(rw) end
  return mutex.release(rw)
end

local function text(rw)
  if rw.readers == 0 then return mutex.text(rw) end
  return ("rwmutex (%d reader%s)"):format(rw.readers, rw.readers == 1 and "" or "s")
end

local methods = {}
local RWMUTEX = object.type("rwmutex", methods, { __tostring = text })
local check = object.checker(RWMUTEX)
local READ = mutex.way("read lock", try_read_lock, true)
local WRITE = mutex.way("write lock", try_lock)

function methods.lock(self, seconds) return mutex.take(check(self, "lock"), WRITE, seconds, "lock") end

function methods.rlock(self, seconds) return mutex.take(check(self, "rlock"), READ, seconds, "rlock") end

function methods.guard(self, seconds)
  local rw = check(self, "guard")
  lock_guard.check "use lock, and co.defer(rw.unlock, rw)"
  return lock_guard.new(mutex.take(rw, WRITE, seconds, "guard"), rw, mutex.unlock)
end

function methods.rguard(self, seconds)
  local rw = check(self, "rguard")
  lock_guard.check "use rlock, and co.defer(rw.runlock, rw)"
  return lock_guard.new(mutex.take(rw, READ, seconds, "rguard"), rw, read_unlock)
end

function methods.try_lock(self) return mutex.take_now(check(self, "try_lock"), WRITE) end
function methods.try_rlock(self) return mutex.take_now(check(self, "try_rlock"), READ) end
function methods.unlock(self) mutex.unlock(check(self, "unlock")) end
function methods.runlock(self) read_unlock(check(self, "runlock")) end

function kernel.api.rwmutex() return mutex.new(RWMUTEX, KIND) end
