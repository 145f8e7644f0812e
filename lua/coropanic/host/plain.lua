--- The plain host: a loop in Lua, for interpreters that have none. Tasks are coroutines, which yield to the
--- loop with a value of its own. See guest/port.lua for what a host is. This file has the ready queue, the
--- timers and the clock; plain/run.lua has co.run and co.step, and plain/clock.lua asks the operating system.
--- Hosts with a loop of their own (luv.lua, love.lua) build on this one.

local compat = require "coropanic.guest.compat"
local clock = require "coropanic.host.plain.clock"
local heap = require "coropanic.host.plain.heap"
local universe = require "coropanic.guest.universe"

local plain = { name = "plain" }

local create, resume, yield, status = compat.create, compat.resume, compat.yield, compat.status

local u = universe.new()

--- The loop, as plain/run.lua drives it.
local loop = {
  universe = u,
  timers = heap.new(),
  virtual = nil,    -- the virtual clock's time; nil: the clock is the machine's
  shuffled = false, -- ready tasks run in random order
  order = 1,        -- state of the random numbers for that
  batch = 0,        -- turns left before a run looks at the clock
}
plain.loop = loop

function plain.state() return u end
plain.running = compat.running
plain.wall, plain.random = clock.wall, clock.random

function plain.now() return loop.virtual or clock.now() end

-- Hosts that build on this one put functions of theirs in place of these:

--- Waits for so many seconds, nil: for ever, or until a task is ready.
plain.sleep = clock.sleep

--- Lets the host look at its own events, between two batches of turns in co.run.
function plain.look() end

--- Whether anything but our timers may make a task ready.
function plain.may_be_woken() return false end

--- A task has become ready, or a timer was started, while our loop does not run.
function plain.stir() end

-- The ready queue ----------------------------------------------------------------------------------------

local ready, first, last = {}, 1, 0

function plain.ready() return last - first + 1 end

local function enqueue(t)
  last = last + 1
  ready[last] = t
  if not u.driving then plain.stir() end
end

local function take_first()
  local t = ready[first]
  ready[first] = nil
  first = first + 1
  if first > last then first, last = 1, 0 end
  return t
end

--- A number from 0 to n - 1, of a generator whose products are exact in a double: Park and Miller, "minimal
--- standard" (CACM 31, 1988).
function plain.order(n)
  loop.order = (loop.order * 48271) % 2147483647
  return loop.order % n
end

--- In seeded order a task is taken from so many at the head of the queue.
local SHUFFLE_WINDOW = 64

local function take_ready()
  if not loop.shuffled then return take_first() end
  local at = first + plain.order(math.min(last - first + 1, SHUFFLE_WINDOW))
  ready[first], ready[at] = ready[at], ready[first]
  return take_first()
end

--- Takes a task out of the queue.
function loop.take_off(t)
  for i = first, last do
    if ready[i] == t then
      table.remove(ready, i) -- moves those behind it
      last = last - 1
      break
    end
  end
  if first > last then first, last = 1, 0 end
end

--- Calls `visit` for each ready task until that returns true.
function loop.each_ready(visit)
  for i = first, last do
    if visit(ready[i]) then return true end
  end
  return false
end

-- Timers -------------------------------------------------------------------------------------------------

function plain.start_timer(seconds, fn)
  local timer = { fn = fn }
  heap.add(loop.timers, timer, plain.now() + seconds)
  if not u.driving then plain.stir() end
  return timer
end

function plain.stop_timer(timer) heap.remove(loop.timers, timer) end

--- Calls what is due.
function loop.fire_timers()
  local timers = loop.timers
  local now = plain.now()
  while true do
    local timer = heap.first(timers)
    if timer == nil or timer.at > now then return end
    heap.remove(timers, timer)
    if timer.task then u.fire(timer.task) else timer.fn() end
  end
end

-- Tasks --------------------------------------------------------------------------------------------------

--- What a parked task yields.
local TAG = {}
plain.TAG = TAG

local REFUSAL = "this coroutine belongs to a task of coropanic: only its scheduler may resume or close it"

function plain.spawn(t, body)
  t.body, t.going = body, false
  enqueue(t)
end

function plain.park(t, seconds)
  if seconds then
    local timer = t.timer
    if timer == nil then
      timer = { task = t }
      t.timer = timer
    end
    heap.add(loop.timers, timer, plain.now() + seconds)
  end
  t.trying = nil
  plain.switch_out(t)
end

--- Yields to the loop, which resumes the task.
function plain.switch_out(t)
  yield(TAG)
  while not t.going do yield(nil, REFUSAL) end -- somebody else has resumed it
  t.going = false
end

--- Lua 5.1: yields to the loop, which resumes the task at once. An error if the running code can not yield.
if not compat.yields_in_pcall then plain.try = plain.switch_out end

function plain.wake(t)
  local timer = t.timer
  if timer and timer.index then heap.remove(loop.timers, timer) end
  enqueue(t)
end

--- A task has come back from its coroutine.
local function after_switch(t, thread, around, ok, tag)
  while t.trying and status(thread) == "suspended" do
    t.going, u.here = true, t.top
    ok, tag = resume(thread)
  end
  u.current, u.here = nil, around
  if status(thread) == "dead" then
    if t.outcome then return u.ended(t) end
    return u.lost(t, tag, thread, not ok)
  end
  if t.forced then return u.forced(t) end
  if t.status == "running" or tag ~= TAG then return u.lost(t, nil, thread, false) end
end

--- Runs the next ready task until it parks or ends. Returns the task.
function loop.switch()
  local t = take_ready()
  local body, around = t.body, u.here
  if not body or t.entry.state ~= "asked" then -- it does not start if it was cancelled before
    u.counts.start = u.counts.start + 1
    if u.wants.start then u.tell_start(t) end
  end
  if body then
    t.body = nil
    local thread = create(body)
    t.thread = thread
    after_switch(t, thread, around, resume(thread, t))
  else
    t.going = true
    u.here = t.top
    local thread = t.thread
    after_switch(t, thread, around, resume(thread))
  end
  if u.wants.stop and (t.status == "waiting" or t.status == "ready") then u.tell_stop(t) end
  return t
end

compat.interpreted(plain.park, after_switch, loop.switch)

function plain.open(kernel) require("coropanic.host.plain.run").open(kernel, plain, loop) end

return plain
