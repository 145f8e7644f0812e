-- cqueues: tasks are wrapped in a controller, and wait for each other by conditions. What it has no type for
-- (channels, a mutex) is written with conditions as its manual shows.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local measure = require "peers.measure"
local promise = require "cqueues.promise"

local workloads = {}

-- Runs `fn` in a controller of its own, with all that it wraps there, and returns what it does.
local function run(fn)
  local controller = cqueues.new()
  local result
  controller:wrap(function() result = fn(controller) end)
  assert(controller:loop())
  return result
end

-- Tasks take turns in the order in which they have left `enter(i)`; `open` is called once all have begun.
local function switch(n, enter, open)
  local rounds = measure.rounds(n, 400000)
  local sleep = cqueues.sleep
  local count = 0
  local result = run(function(controller)
    local begun = 0
    local function task(i)
      begun = begun + 1
      enter(i)
      sleep(0)
      for _ = 1, rounds do sleep(0) end
      count = count + 1
    end
    for i = 1, n - 1 do controller:wrap(task, i) end
    while begun < n - 1 do sleep(0) end
    open()
    sleep(0)
    local watch = measure.watch()
    watch.start()
    for _ = 1, rounds do sleep(0) end
    watch.stop()
    return watch.result(n * rounds)
  end)
  measure.expect("tasks that came through", count, n - 1)
  return result
end

local function nothing() end

workloads["switch"] = function(n) return switch(n, nothing, nothing) end

-- Each is woken by a condition of its own.
workloads["switch/random"] = function(n)
  local conditions = {}
  for i = 1, n - 1 do conditions[i] = condition.new() end
  local function enter(i) conditions[i]:wait() end
  local function open()
    for _, each in ipairs(measure.shuffle(table.move(conditions, 1, n - 1, 1, {}))) do each:signal() end
  end
  return switch(n, enter, open)
end

local GENERATION = 100

local function generations(controller, n, task)
  for _ = 1, n // GENERATION do
    for _ = 1, GENERATION do controller:wrap(task) end
    cqueues.sleep(0)
  end
end

workloads["spawn"] = function(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function()
    run(function(controller) generations(controller, n, task) end)
  end)
  measure.expect("tasks that ended", ended, 2 * n)
  return result
end

-- Parks n tasks, and has them leave once `use` has returned.
local function with_parked(n, before, use)
  local begun, ended = 0, 0
  run(function(controller)
    local leave = condition.new()
    local function task()
      begun = begun + 1
      leave:wait()
      ended = ended + 1
    end
    before()
    for _ = 1, n do controller:wrap(task) end
    while begun < n do cqueues.sleep(0) end
    use(controller)
    leave:signal()
  end)
  measure.expect("tasks that ended", ended, n)
end

workloads["spawn/cold"] = function(n)
  local watch = measure.watch()
  with_parked(n, watch.start, watch.stop)
  return watch.result(n)
end

workloads["spawn/parked"] = function(n)
  local watch = measure.watch()
  local ended = 0
  local function task() ended = ended + 1 end
  with_parked(n, nothing, function(controller)
    watch.start()
    generations(controller, measure.CHURN, task)
    watch.stop()
  end)
  measure.expect("tasks that ended", ended, measure.CHURN)
  return watch.result(measure.CHURN)
end

local function skynet(first, size)
  if size == 1 then return first end
  local part, children, sum = size // 10, {}, 0
  for i = 1, 10 do children[i] = promise.new(skynet, first + (i - 1) * part, part) end
  for i = 1, 10 do sum = sum + children[i]:get() end
  return sum
end

function workloads.skynet(n)
  local sum
  local watch = measure.watch()
  watch.start()
  run(function() sum = promise.new(skynet, 0, n):get() end)
  watch.stop()
  measure.expect("sum", sum, n * (n - 1) // 2)
  return watch.result(n)
end

-- A channel of conditions and a ring of values. A sender waits while it is full; `capacity` 0 hands over: the
-- sender then waits until its value was taken.
local channel = {}
channel.__index = channel

local function new_channel(capacity)
  return setmetatable({
    capacity = math.max(capacity, 1),
    hands_over = capacity == 0,
    first = 1,
    last = 0,
    filled = condition.new(),
    emptied = condition.new(),
  }, channel)
end

function channel:send(value)
  while self.last - self.first + 1 >= self.capacity do self.emptied:wait() end
  self.last = self.last + 1
  local place = self.last
  self[place] = value
  self.filled:signal()
  if self.hands_over then
    while self.first <= place do self.emptied:wait() end
  end
end

function channel:take()
  local place = self.first
  local value = self[place]
  self[place] = nil
  self.first = place + 1
  self.emptied:signal()
  return value
end

function channel:recv()
  while self.last < self.first do self.filled:wait() end
  return self:take()
end

function workloads.chan_unbuffered(n)
  local sum
  local result = measure.time(n, function()
    run(function(controller)
      local there, back = new_channel(0), new_channel(0)
      controller:wrap(function()
        for _ = 1, n do back:send(there:recv()) end
      end)
      sum = 0
      for i = 1, n do
        there:send(i)
        sum = sum + back:recv()
      end
    end)
  end)
  measure.expect("sum", sum, n * (n + 1) // 2)
  return result
end

function workloads.chan_buffered(n)
  local sum
  local result = measure.time(n, function()
    run(function(controller)
      local ch = new_channel(measure.CAPACITY)
      controller:wrap(function()
        for i = 1, n do ch:send(i) end
      end)
      sum = 0
      for _ = 1, n do sum = sum + ch:recv() end
    end)
  end)
  measure.expect("sum", sum, n * (n + 1) // 2)
  return result
end

-- Room for one value, so that a sender need not wait for a receiver that does.
local function wake(n, arrange)
  local rounds = measure.rounds(n, measure.WAKES)
  local received = 0
  local watch = measure.watch()
  run(function(controller)
    local channels = {}
    local waiting = 0
    local function task(ch)
      waiting = waiting + 1
      for _ = 1, rounds do
        ch:recv()
        received = received + 1
      end
    end
    for i = 1, n do
      channels[i] = new_channel(1)
      controller:wrap(task, channels[i])
    end
    while waiting < n do cqueues.sleep(0) end
    arrange(channels)
    watch.start()
    for round = 1, rounds do
      for i = 1, n do channels[i]:send(i) end
      while received < round * n do cqueues.sleep(0) end
    end
    watch.stop()
  end)
  measure.expect("values received", received, rounds * n)
  return watch.result(rounds * n)
end

workloads["wake"] = function(n) return wake(n, nothing) end

workloads["wake/random"] = function(n) return wake(n, measure.shuffle) end

function workloads.select8(n)
  local sum
  local each = n // 8
  local result = measure.time(each * 8, function()
    run(function(controller)
      local chans, filled = {}, {}
      for i = 1, 8 do
        local ch = new_channel(0)
        chans[i], filled[i] = ch, ch.filled
        controller:wrap(function()
          for k = 1, each do ch:send(k) end
        end)
      end
      local taken = 0
      sum = 0
      while taken < each * 8 do
        local before = taken
        for i = 1, 8 do
          local ch = chans[i]
          if ch.last >= ch.first then
            sum = sum + ch:take()
            taken = taken + 1
          end
        end
        if taken == before then cqueues.poll(table.unpack(filled)) end
      end
    end)
  end)
  measure.expect("sum", sum, 8 * (each * (each + 1) // 2))
  return result
end

function workloads.mutex(n)
  local times = measure.rounds(n, 100000)
  local count
  local result = measure.time(n * times, function()
    count = 0
    run(function(controller)
      local free = condition.new()
      local locked = false
      for _ = 1, n do
        controller:wrap(function()
          for _ = 1, times do
            while locked do free:wait() end
            locked = true
            local before = count
            cqueues.sleep(0)
            count = before + 1
            locked = false
            free:signal(1)
          end
        end)
      end
    end)
  end)
  measure.expect("times locked", count, n * times)
  return result
end

function workloads.timers(n)
  local repeats = measure.repeats_of_timers(n)
  local watch = measure.watch()
  local fired, cancelled = 0, 0
  local delays, longer = measure.delays(n)
  for _ = 1, repeats do
    run(function(controller)
      local start, half = condition.new(), condition.new()
      local never = condition.new()
      local waiting = 0
      local function task(i)
        local event = i % 2 == 0 and half or never
        waiting = waiting + 1
        start:wait()
        waiting = waiting + 1
        if event:wait(delays[i]) then
          cancelled = cancelled + 1
        else
          fired = fired + 1
        end
      end
      for i = 1, n do controller:wrap(task, i) end
      while waiting < n do cqueues.sleep(0) end
      watch.start()
      start:signal()
      while waiting < 2 * n do cqueues.sleep(0) end
      half:signal()
      cqueues.sleep(longer)
      watch.stop()
    end)
  end
  measure.expect("fired", fired, repeats * (n - n // 2))
  measure.expect("cancelled", cancelled, repeats * (n // 2))
  return watch.result(repeats * n)
end

local function park() cqueues.sleep(math.huge) end

local function memory(n, size)
  local controller = cqueues.new()
  local before = size()
  for _ = 1, n do controller:wrap(park) end
  assert(controller:step(0))
  local bytes = size() - before
  measure.expect("parked tasks", controller:count(), n)
  return { operations = n, bytes = bytes }
end

workloads["memory/lua"] = function(n) return memory(n, measure.heap) end

function workloads.memory_resident(n) return memory(n, measure.resident) end

measure.main(workloads)
