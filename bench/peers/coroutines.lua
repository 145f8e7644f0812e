-- The workloads on bare coroutines, for Lua 5.4 and LuaJIT alike. Where a scheduler is needed it is the
-- least that does: an array of coroutines that are resumed in turn.

local measure = require "peers.measure"

local create, resume, yield, wrap = coroutine.create, coroutine.resume, coroutine.yield, coroutine.wrap

local workloads = {}

local function nothing() end

local function in_order(ring) return ring end

local function switch(n, arrange)
  local rounds = measure.rounds(n)
  local count = 0
  local ring = {}
  for i = 1, n do
    ring[i] = create(function()
      yield()
      for _ = 1, rounds do yield() end
      count = count + 1
    end)
    resume(ring[i])
  end
  arrange(ring)
  local function turn(times)
    for _ = 1, times do
      for i = 1, n do resume(ring[i]) end
    end
  end
  local watch = measure.watch()
  watch.start()
  turn(rounds)
  watch.stop()
  turn(1)
  measure.expect("coroutines that came through", count, n)
  return watch.result(n * rounds)
end

workloads["switch"] = function(n) return switch(n, in_order) end

workloads["switch/random"] = function(n) return switch(n, measure.shuffle) end

function workloads.spawn(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local result = measure.time(n, function()
    for _ = 1, n do wrap(task)() end
  end)
  measure.expect("coroutines that ended", ended, 2 * n)
  return result
end

local function parked() yield() end

-- n coroutines that have yielded.
local function park(n, fn)
  local keep = {}
  for i = 1, n do
    keep[i] = create(fn or parked)
    resume(keep[i])
  end
  return keep
end

workloads["spawn/cold"] = function(n)
  local watch = measure.watch()
  watch.start()
  local keep = park(n)
  watch.stop()
  for i = 1, n do resume(keep[i]) end
  measure.expect("the last", coroutine.status(keep[n]), "dead")
  return watch.result(n)
end

workloads["spawn/parked"] = function(n)
  local keep = park(n)
  local ended = 0
  local function task() ended = ended + 1 end
  local watch = measure.watch()
  watch.start()
  for _ = 1, measure.CHURN do wrap(task)() end
  watch.stop()
  measure.expect("parked coroutines", #keep, n)
  measure.expect("coroutines that ended", ended, measure.CHURN)
  return watch.result(measure.CHURN)
end

local function skynet(first, size)
  if size == 1 then return first end
  local part, children, sum = size / 10, {}, 0
  for i = 1, 10 do children[i] = wrap(skynet) end
  for i = 1, 10 do sum = sum + children[i](first + (i - 1) * part, part) end
  return sum
end

function workloads.skynet(n)
  local sum
  local result = measure.time(n, function() sum = wrap(skynet)(0, n) end)
  measure.expect("sum", sum, n * (n - 1) / 2)
  return result
end

-- The plain language's own way to exchange values: resume and yield hand them over.
function workloads.chan_unbuffered(n)
  local sum = 0
  local echo = wrap(function(value)
    while true do value = yield(value) end
  end)
  local result = measure.time(n, function()
    sum = 0
    for i = 1, n do sum = sum + echo(i) end
  end)
  measure.expect("sum", sum, n * (n + 1) / 2)
  return result
end

workloads["func"] = function(n)
  return measure.time(n, function()
    for _ = 1, n do pcall(nothing) end
  end)
end

local deep = measure.deep

-- `frames` calls of Lua functions between the protected call and the error.
local guards = {
  pcall = function(frames, times)
    local message
    for _ = 1, times do
      local _
      _, message = pcall(deep, frames, error)
    end
    return message
  end,
  xpcall = function(frames, times)
    local message
    local traceback = debug.traceback
    local function body() return deep(frames - 1, error) end
    for _ = 1, times do
      local _
      _, message = xpcall(body, traceback)
    end
    return message
  end,
}

-- What messages have in them.
local function ending(variant) return variant == "xpcall" and "x\nstack traceback:\n" or "x" end

function workloads.panic(n, variant)
  local times = measure.rounds(n + 10)
  if variant == "xpcall" then times = math.floor(times / 20) end
  local message
  local result = measure.time(times, function() message = guards[variant](n, times) end)
  assert(message:find(ending(variant), 1, true), message)
  return result
end

workloads.report = workloads.panic

-- The error ends in a coroutine of its own.
workloads["panic/task"] = function(n, variant)
  local times = measure.rounds(n + 10)
  if variant == "xpcall" then times = math.floor(times / 20) end
  local guard, message = guards[variant], nil
  local function task() message = guard(n, 1) end
  local result = measure.time(times, function()
    for _ = 1, times do wrap(task)() end
  end)
  assert(message:find(ending(variant), 1, true), message)
  return result
end

-- The error ends its coroutine, and who resumes it gets the message; or, as with xpcall, a traceback.
workloads["panic/joined"] = function(n, variant)
  local times = measure.rounds(n + 10)
  local traceback = variant == "xpcall" and debug.traceback
  if traceback then times = math.floor(times / 20) end
  local message
  local result = measure.time(times, function()
    for _ = 1, times do
      local thread = create(deep)
      local _
      _, message = resume(thread, n, error)
      if traceback then message = traceback(thread, message) end
    end
  end)
  assert(message:find(ending(variant), 1, true), message)
  return result
end

-- Handing a value over is all that waking is without a scheduler.
local function wake(n, arrange)
  local rounds = measure.rounds(n, measure.WAKES)
  local received, ring = 0, {}
  local function task()
    while true do
      yield()
      received = received + 1
    end
  end
  for i = 1, n do
    ring[i] = create(task)
    resume(ring[i])
  end
  arrange(ring)
  local watch = measure.watch()
  watch.start()
  for _ = 1, rounds do
    for i = 1, n do resume(ring[i], i) end
  end
  watch.stop()
  measure.expect("values received", received, rounds * n)
  return watch.result(rounds * n)
end

workloads["wake"] = function(n) return wake(n, in_order) end

workloads["wake/random"] = function(n) return wake(n, measure.shuffle) end

-- Subtracts the array that keeps them, which is the benchmark's.
local function size_of_array(n)
  local before = measure.heap()
  local keep = {}
  for i = 1, n do keep[i] = true end
  local size = measure.heap() - before
  measure.expect("entries", #keep, n)
  return size
end

function workloads.memory(n, _, case)
  local array = size_of_array(n)
  local before = measure.heap()
  local keep = park(n, case == "c" and yield or parked)
  local bytes = measure.heap() - before - array
  measure.expect("coroutines", #keep, n)
  return { operations = n, bytes = bytes }
end

function workloads.memory_resident(n)
  local before = measure.resident()
  local keep = park(n)
  local bytes = measure.resident() - before
  measure.expect("coroutines", #keep, n)
  return { operations = n, bytes = bytes }
end

return workloads
