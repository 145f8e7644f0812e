--- An event: a flag that tasks wait for. The twin of csrc/lua/lib_sync.c's.

local args = require "coropanic.guest.args"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local object = require "coropanic.guest.object"
local waitlist = require "coropanic.guest.waitlist"

local methods = {}
local EVENT = object.type("event", methods)
local check = object.checker(EVENT)
local WAIT, KIND = waitlist.way "wait", {}

function EVENT.__tostring(e) return e.has_come and "event (set)" or "event (not set)" end

function methods.set(self)
  local e = check(self, "set")
  e.has_come = true
  waitlist.wake_all(e, "ready")
end

function methods.clear(self) check(self, "clear").has_come = false end

function methods.is_set(self) return check(self, "is_set").has_come end

function methods.wait(self, seconds)
  local e = check(self, "wait")
  seconds = args.timeout(seconds, 1, "wait")
  local t = waitlist.check "wait"
  if e.has_come or seconds == 0 then return e.has_come end
  return (waitlist.wait(e, t, WAIT, seconds, "wait"))
end

function kernel.api.event()
  return setmetatable({ tasks = list.new(), kind = KIND, has_come = false }, EVENT)
end
