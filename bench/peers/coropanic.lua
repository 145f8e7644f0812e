-- coropanic's own part of the comparison.

local co = require "coropanic"
local measure = require "peers.measure"

local run = co.run

local workloads = {}

local function nothing() end

-- The main task is one of the n: between two of its turns each of the others has one.
function workloads.switch(n)
  local rounds = measure.rounds(n)
  local yield = co.yield
  local count = 0
  local result = run(function()
    local function task()
      yield()
      for _ = 1, rounds do yield() end
      count = count + 1
    end
    for _ = 1, n - 1 do co.spawn(task) end
    yield()
    local watch = measure.watch "stopped"
    watch.start()
    for _ = 1, rounds do yield() end
    watch.stop()
    return watch.result(n * rounds)
  end)
  measure.expect("tasks that came through", count, n - 1)
  return result
end

-- Tasks live at a time while spawning is timed, as a server has them.
local GENERATION = 100

-- `spawn(opts, fn)` or `spawn(fn)`, as `...` says.
local function generations(n, spawn, ...)
  local ended = 0
  local function task() ended = ended + 1 end
  local opts = ...
  local result = measure.time("stopped", n, function()
    run(function()
      local yield = co.yield
      for _ = 1, n // GENERATION do
        if opts then
          for _ = 1, GENERATION do spawn(opts, task) end
        else
          for _ = 1, GENERATION do spawn(task) end
        end
        yield()
      end
    end)
  end)
  measure.expect("tasks that ended", ended, 2 * n)
  return result
end

function workloads.spawn(n) return generations(n, co.spawn) end

function workloads.spawn_traced(n, variant)
  return generations(n, co.spawn_with, { detached_trace = variant ~= "inherited" })
end

local function skynet(parent, first, size)
  if size == 1 then return parent:send(first) end
  local part = size // 10
  local children = co.chan()
  for i = 0, 9 do co.spawn(skynet, children, first + i * part, part) end
  local sum = 0
  for _ = 1, 10 do sum = sum + children:recv() end
  parent:send(sum)
end

function workloads.skynet(n)
  local sum
  local result = measure.time("running", n, function()
    run(function()
      local root = co.chan()
      co.spawn(skynet, root, 0, n)
      sum = root:recv()
    end)
  end)
  measure.expect("sum", sum, n * (n - 1) // 2)
  return result
end

function workloads.chan_unbuffered(n)
  local sum
  local result = measure.time("running", n, function()
    run(function()
      local there, back = co.chan(), co.chan()
      co.spawn(function()
        for value in there:iter() do back:send(value) end
      end)
      sum = 0
      for i = 1, n do
        there:send(i)
        sum = sum + back:recv()
      end
      there:close()
    end)
  end)
  measure.expect("sum", sum, n * (n + 1) // 2)
  return result
end

function workloads.chan_buffered(n)
  local sum
  local result = measure.time("running", n, function()
    run(function()
      local ch = co.chan(measure.CAPACITY)
      co.spawn(function()
        for i = 1, n do ch:send(i) end
        ch:close()
      end)
      sum = 0
      for value in ch:iter() do sum = sum + value end
    end)
  end)
  measure.expect("sum", sum, n * (n + 1) // 2)
  return result
end

function workloads.select8(n)
  local sum
  local each = n // 8
  local result = measure.time("running", each * 8, function()
    run(function()
      local chans = {}
      for i = 1, 8 do
        local ch = co.chan()
        chans[i] = ch
        co.spawn(function()
          for k = 1, each do ch:send(k) end
        end)
      end
      local select = co.select
      local a, b, c, d, e, f, g, h = table.unpack(chans)
      sum = 0
      for _ = 1, each * 8 do
        local _, value = select(nil, a, b, c, d, e, f, g, h)
        sum = sum + value
      end
    end)
  end)
  measure.expect("sum", sum, 8 * (each * (each + 1) // 2))
  return result
end

function workloads.mutex(n)
  local times = measure.rounds(n, 400000)
  local count
  local result = measure.time("running", n * times, function()
    count = 0
    run(function()
      local mutex = co.mutex()
      for _ = 1, n do
        co.spawn(function()
          for _ = 1, times do
            mutex:lock()
            local before = count
            co.yield()
            count = before + 1
            mutex:unlock()
          end
        end)
      end
    end)
  end)
  measure.expect("times locked", count, n * times)
  return result
end

-- Each of n tasks waits for an event with a time-out. The events of one half come, so their timers are
-- cancelled; those of the other half fire.
function workloads.timers(n)
  local repeats = measure.repeats_of_timers(n)
  local watch = measure.watch "running"
  local fired, cancelled = 0, 0
  local delays, longer = measure.delays(n)
  for _ = 1, repeats do
    co.run_with({ clock = "virtual" }, function()
      local start = co.event()
      local half = co.event()
      local never = co.event()
      local function task(i)
        local event = i % 2 == 0 and half or never
        start:wait()
        if event:wait(delays[i]) then
          cancelled = cancelled + 1
        else
          fired = fired + 1
        end
      end
      for i = 1, n do co.spawn(task, i) end
      co.yield()
      watch.start()
      start:set()
      co.yield()
      half:set()
      co.sleep(longer)
      watch.stop()
    end)
  end
  measure.expect("fired", fired, repeats * (n - n // 2))
  measure.expect("cancelled", cancelled, repeats * (n // 2))
  return watch.result(repeats * n)
end

workloads["func"] = function(n)
  local guarded = co.func(nothing)
  return measure.time("stopped", n, function()
    for _ = 1, n do guarded() end
  end)
end

function workloads.defer(n)
  local count = 0
  local defer = co.defer
  local function release() count = count + 1 end
  local frame = co.func(function()
    for _ = 1, measure.PER_BLOCK do defer(release) end
  end)
  local frames = n // measure.PER_BLOCK
  local result = measure.time("stopped", frames * measure.PER_BLOCK, function()
    for _ = 1, frames do frame() end
  end)
  measure.expect("deferred calls", count, 2 * frames * measure.PER_BLOCK)
  return result
end

local function deep(frames, fail)
  if frames <= 1 then fail "x" end
  deep(frames - 1, fail)
  return 1
end

-- `use(record)` is called with each record, or nothing is done with it.
local function panics(n, times, use)
  local recovered = 0
  local function rescue()
    local value, record = co.recover()
    if value == "x" and record then recovered = recovered + 1 end
    if use then use(record) end
  end
  local frame = co.func(function()
    co.defer(rescue)
    deep(n, co.panic)
  end)
  local result = measure.time("stopped", times, function()
    run(function()
      for _ = 1, times do frame() end
    end)
  end)
  measure.expect("recovered", recovered, 2 * times)
  return result
end

function workloads.panic(n) return panics(n, measure.rounds(n + 10)) end

function workloads.report(n)
  local text
  local result = panics(n, measure.rounds(n + 10) // 20, function(record) text = tostring(record) end)
  assert(text:find("panic: x", 1, true), text)
  return result
end

local FAN_OUT = 10

-- Spawns a tree of scopes whose leaves are `size` tasks, and returns when it is cancelled.
local function tree(size, census)
  census.alive = census.alive + 1
  co.defer(function() census.alive = census.alive - 1 end)
  if size == 1 then return co.sleep(math.huge) end
  co.scope(function(scope)
    for _ = 1, FAN_OUT do scope:spawn(tree, size // FAN_OUT, census) end
  end)
end

function workloads.cancel_tree(n)
  local watch = measure.watch "running"
  local total = (n * FAN_OUT - 1) // (FAN_OUT - 1) -- of a whole tree
  run(function()
    local census = { alive = 0 }
    local root = co.spawn(tree, n, census)
    while census.alive < total do co.yield() end
    co.yield() -- the last of them park
    watch.start()
    root:cancel()
    root:join()
    watch.stop()
    measure.expect("tasks left", census.alive, 0)
  end)
  return watch.result(total)
end

local function park() co.sleep(math.huge) end

local function memory(n, size)
  return run(function()
    local before = size()
    for _ = 1, n do co.spawn_with({ daemon = true }, park) end
    co.yield()
    measure.expect("parked tasks", co.stats().live - co.stats().ready, n + 1)
    return { operations = n, bytes = size() - before }
  end)
end

function workloads.memory(n) return memory(n, measure.heap) end

function workloads.memory_resident(n) return memory(n, measure.resident) end

measure.main(workloads)
