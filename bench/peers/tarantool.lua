-- Tarantool's fibers, channels and conditions. A fiber has a C stack, so there are fewer of them: as many
-- as the system lets a process map stacks (vm.max_map_count).

local clock = require "clock"
local fiber = require "fiber"
local measure = require "peers.measure"

local workloads = {}

-- In place of os.clock, which is the same clock to microseconds.
measure.use_clock(clock.proc)

-- A fiber that can be joined.
local function start(fn, ...)
  local f = fiber.new(fn, ...)
  f:set_joinable(true)
  return f
end

local function join_all(fibers)
  for i = 1, #fibers do assert(fibers[i]:join()) end
end

local function in_order(fibers) return fibers end

-- The main fiber is one of the n. Fibers take turns in the order in which they were woken.
local function switch(n, arrange)
  local rounds = measure.rounds(n)
  local yield = fiber.yield
  local count = 0
  local fibers = {}
  local function task()
    fiber.sleep(math.huge) -- until it is woken
    yield()
    for _ = 1, rounds do yield() end
    count = count + 1
  end
  for i = 1, n - 1 do fibers[i] = start(task) end
  yield()
  for _, each in ipairs(arrange(fibers)) do each:wakeup() end
  yield()
  local watch = measure.watch()
  watch.start()
  for _ = 1, rounds do yield() end
  watch.stop()
  join_all(fibers)
  measure.expect("fibers that came through", count, n - 1)
  return watch.result(n * rounds)
end

workloads["switch"] = function(n) return switch(n, in_order) end

workloads["switch/random"] = function(n) return switch(n, measure.shuffle) end

local GENERATION = 100

local function generations(n, task)
  for _ = 1, n / GENERATION do
    for _ = 1, GENERATION do fiber.new(task) end
    fiber.yield()
  end
end

-- Begins n fibers that park, and returns what has them leave.
local function park(n)
  local begun = 0
  local gate = fiber.cond()
  local function task()
    begun = begun + 1
    gate:wait()
  end
  local fibers = {}
  for i = 1, n do fibers[i] = start(task) end
  fiber.yield()
  measure.expect("fibers that began", begun, n)
  return function()
    gate:broadcast()
    join_all(fibers)
  end
end

workloads["spawn/cold"] = function(n)
  local watch = measure.watch()
  watch.start()
  local leave = park(n)
  watch.stop()
  leave()
  return watch.result(n)
end

workloads["spawn"] = function(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function() generations(n, task) end)
  measure.expect("fibers that ended", ended, 2 * n)
  return result
end

local function skynet(parent, first, size)
  if size == 1 then return parent:put(first) end
  local part = size / 10
  local children = fiber.channel()
  for i = 0, 9 do fiber.new(skynet, children, first + i * part, part) end
  local sum = 0
  for _ = 1, 10 do sum = sum + children:get() end
  parent:put(sum)
end

function workloads.skynet(n)
  local sum
  local result = measure.time(n, function()
    local root = fiber.channel()
    fiber.new(skynet, root, 0, n)
    sum = root:get()
  end)
  measure.expect("sum", sum, n * (n - 1) / 2)
  return result
end

function workloads.chan_unbuffered(n)
  local sum
  local result = measure.time(n, function()
    local there, back = fiber.channel(), fiber.channel()
    local echo = start(function()
      for _ = 1, n do back:put(there:get()) end
    end)
    sum = 0
    for i = 1, n do
      there:put(i)
      sum = sum + back:get()
    end
    join_all { echo }
  end)
  measure.expect("sum", sum, n * (n + 1) / 2)
  return result
end

function workloads.chan_buffered(n)
  local sum
  local result = measure.time(n, function()
    local ch = fiber.channel(measure.CAPACITY)
    local sender = start(function()
      for i = 1, n do ch:put(i) end
    end)
    sum = 0
    for _ = 1, n do sum = sum + ch:get() end
    join_all { sender }
  end)
  measure.expect("sum", sum, n * (n + 1) / 2)
  return result
end

local function wake(n, arrange)
  local rounds = measure.rounds(n, measure.WAKES)
  local received = 0
  local channels, fibers = {}, {}
  local function task(ch)
    for _ = 1, rounds do
      ch:get()
      received = received + 1
    end
  end
  for i = 1, n do
    channels[i] = fiber.channel()
    fibers[i] = start(task, channels[i])
  end
  fiber.yield()
  arrange(channels)
  local watch = measure.watch()
  watch.start()
  for _ = 1, rounds do
    for i = 1, n do channels[i]:put(i) end
    fiber.yield()
  end
  watch.stop()
  join_all(fibers)
  measure.expect("values received", received, rounds * n)
  return watch.result(rounds * n)
end

workloads["wake"] = function(n) return wake(n, in_order) end

workloads["wake/random"] = function(n) return wake(n, measure.shuffle) end

function workloads.mutex(n)
  local times = measure.rounds(n, 200000)
  local count
  local result = measure.time(n * times, function()
    count = 0
    local free = fiber.cond()
    local locked = false
    local fibers = {}
    for i = 1, n do
      fibers[i] = start(function()
        for _ = 1, times do
          while locked do free:wait() end
          locked = true
          local before = count
          fiber.yield()
          count = before + 1
          locked = false
          free:signal()
        end
      end)
    end
    join_all(fibers)
  end)
  measure.expect("times locked", count, n * times)
  return result
end

function workloads.timers(n)
  local repeats = measure.repeats_of_timers(n)
  local watch = measure.watch()
  local fired, cancelled = 0, 0
  local delays = measure.delays(n)
  for _ = 1, repeats do
    local begin, half, never = fiber.cond(), fiber.cond(), fiber.cond()
    local function task(i)
      local event = i % 2 == 0 and half or never
      begin:wait()
      if event:wait(delays[i]) then
        cancelled = cancelled + 1
      else
        fired = fired + 1
      end
    end
    local fibers = {}
    for i = 1, n do fibers[i] = start(task, i) end
    fiber.yield()
    watch.start()
    begin:broadcast()
    fiber.yield()
    half:broadcast()
    join_all(fibers)
    watch.stop()
  end
  measure.expect("fired", fired, repeats * (n - math.floor(n / 2)))
  measure.expect("cancelled", cancelled, repeats * math.floor(n / 2))
  return watch.result(repeats * n)
end

local function sleep() fiber.sleep(math.huge) end

function workloads.memory_resident(n)
  local before = measure.resident()
  for _ = 1, n do fiber.new(sleep) end
  fiber.yield()
  return { operations = n, bytes = measure.resident() - before }
end

measure.main(workloads)
os.exit(0)
