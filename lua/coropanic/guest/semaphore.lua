--- A semaphore: a number of permits. A task takes one or several at once, first come, first served: a task
--- that waits for many permits is not overtaken by tasks that want few. The twin of sync/semaphore.h.

local args = require "coropanic.guest.args"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local lock_guard = require "coropanic.guest.lock_guard"
local object = require "coropanic.guest.object"
local waitlist = require "coropanic.guest.waitlist"

---@class coropanic.guest.semaphore
---@field tasks table    # see waitlist.lua; a task's `permits` are those that it wants, or was given
---@field total integer  # all permits
---@field free integer   # the permits that nobody has taken

local MAX_PERMITS = 2147483647

local floor = math.floor -- where Lua has integers, it makes one

local KIND = {}

function KIND.serve(s)
  local t = list.first(s.tasks)
  while t ~= nil and t.permits <= s.free do
    s.free = s.free - t.permits
    kernel.wake(t, "ready")
    t = list.first(s.tasks)
  end
end

local function release(s, permits)
  s.free = s.free + permits
  return KIND.serve(s)
end

function KIND.take_back(s, t) return release(s, t.permits) end

local function try_acquire(s, permits)
  if s.free < permits or list.first(s.tasks) ~= nil then return false end
  s.free = s.free - permits
  return true
end

local methods = {}
local SEMAPHORE = object.type("semaphore", methods)
local check = object.checker(SEMAPHORE)
local WAIT = waitlist.way "acquire"

function SEMAPHORE.__tostring(s) return ("semaphore (%d of %d free)"):format(s.free, s.total) end

--- The optional number of permits.
local function check_permits(permits, method)
  if permits == nil then return 1 end
  return floor(args.integer(permits, 1, method, "permits", 1, MAX_PERMITS))
end

--- The same; raises if the semaphore has fewer in all.
local function check_wanted(s, permits, method)
  permits = check_permits(permits, method)
  if permits <= s.total then return permits end
  return args.refuse(1, method, ("%d of %d permits wanted"):format(permits, s.total))
end

local function acquire(s, permits, seconds, method)
  seconds = args.timeout(seconds, 2, method)
  local t = waitlist.check(method)
  if try_acquire(s, permits) then return true end
  if seconds == 0 then return false end
  if t ~= nil then t.permits = permits end
  return (waitlist.wait(s, t, WAIT, seconds, method))
end

function methods.acquire(self, permits, seconds)
  local s = check(self, "acquire")
  return acquire(s, check_wanted(s, permits, "acquire"), seconds, "acquire")
end

--- A guard gives back no more than is taken: other code may have released permits that it did not hold.
local function release_guarded(s, permits) return release(s, math.min(permits, s.total - s.free)) end

function methods.guard(self, permits, seconds)
  local s = check(self, "guard")
  lock_guard.check "use acquire, and co.defer(s.release, s)"
  permits = check_wanted(s, permits, "guard")
  return lock_guard.new(acquire(s, permits, seconds, "guard"), s, release_guarded, permits)
end

function methods.try_acquire(self, permits)
  local s = check(self, "try_acquire")
  return try_acquire(s, check_wanted(s, permits, "try_acquire"))
end

function methods.release(self, permits)
  local s = check(self, "release")
  permits = check_permits(permits, "release")
  local taken = s.total - s.free
  if permits > taken then
    return kernel.raise("release of %d permits, but %d of %d are taken", permits, taken, s.total)
  end
  release(s, permits)
end

function methods.available(self) return check(self, "available").free end

function kernel.api.semaphore(...)
  local permits = floor(args.integer((...), 1, "semaphore", "permits", 0, MAX_PERMITS, select("#", ...)))
  return setmetatable({ tasks = list.new(), kind = KIND, total = permits, free = permits }, SEMAPHORE)
end
