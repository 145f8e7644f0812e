--- A waitgroup as in Go: a counter, and tasks that wait until it is 0. A task that the waitgroup spawns is
--- counted from its spawn to its end, however it ends. The twin of sync/waitgroup.h.

local args = require "coropanic.guest.args"
local handler = require "coropanic.guest.handler"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local object = require "coropanic.guest.object"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local task = require "coropanic.guest.task"
local waitlist = require "coropanic.guest.waitlist"

--- The largest count. Go's has 32 bits too.
local MAX_COUNT = 2147483647

local NEGATIVE = "sync: negative WaitGroup counter"

local methods = {}
local WAITGROUP = object.type("waitgroup", methods)
local check = object.checker(WAITGROUP)
local WAIT, KIND = waitlist.way "wait", {}

function WAITGROUP.__tostring(wg) return ("waitgroup (%d to wait for)"):format(wg.count) end

--- Raises unless the counter can change by `delta`.
local function check_change(wg, delta)
  local count = wg.count + delta
  if count >= 0 and count <= MAX_COUNT then return end
  return kernel.raise_kind("panic", delta < 0 and NEGATIVE or "sync: WaitGroup counter too large")
end

local function change(wg, delta)
  wg.count = wg.count + delta
  if wg.count == 0 then waitlist.wake_all(wg, "ready") end
end

function methods.add(self, delta)
  local wg = check(self, "add")
  delta = delta == nil and 1 or math.floor(args.integer(delta, 1, "add", "n", -MAX_COUNT, MAX_COUNT))
  check_change(wg, delta)
  change(wg, delta)
end

function methods.done(self)
  local wg = check(self, "done")
  check_change(wg, -1)
  change(wg, -1)
end

function methods.wait(self, seconds)
  local wg = check(self, "wait")
  seconds = args.timeout(seconds, 1, "wait")
  local t = waitlist.check "wait"
  if wg.count == 0 then return true end
  if seconds == 0 then return false end
  return (waitlist.wait(wg, t, WAIT, seconds, "wait"))
end

--- A member has ended. If a script has called `done` for it too, the counter would become negative. There is
--- no code to raise that in, so it is reported.
local function member_ended(wg, u)
  if wg.count > 0 then return change(wg, -1) end
  handler.report(u, record.make(u, NEGATIVE, "panic"))
end

--- Counts a new task until its end.
local function join(wg, t)
  task.on_end(t, function() return member_ended(wg, t.universe) end)
  change(wg, 1)
end

function methods.spawn(self, ...)
  local wg = check(self, "spawn")
  args.callable((...), 1, "spawn", select("#", ...))
  check_change(wg, 1)
  local function joined(t) return join(wg, t) end
  return kernel.handle(task.spawn(port.state(), { joined = joined }, ...))
end

function kernel.api.waitgroup()
  return setmetatable({ tasks = list.new(), kind = KIND, count = 0 }, WAITGROUP)
end
