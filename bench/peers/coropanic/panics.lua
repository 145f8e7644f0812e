-- Frames, deferred calls, panics.

local co = require "coropanic"
local measure = require "peers.measure"

local run = co.run

local workloads = {}

local function nothing() end

workloads["func"] = function(n)
  local guarded = co.func(nothing)
  return measure.time(n, function()
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
  local result = measure.time(frames * measure.PER_BLOCK, function()
    for _ = 1, frames do frame() end
  end)
  measure.expect("deferred calls", count, 2 * frames * measure.PER_BLOCK)
  return result
end

local deep = measure.deep

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
  local result = measure.time(times, function()
    run(function()
      for _ = 1, times do frame() end
    end)
  end)
  measure.expect("recovered", recovered, 2 * times)
  return result
end

function workloads.panic(n) return panics(n, measure.rounds(n + 10)) end

local BATCH = 100 -- tasks alive at a time

-- Each panic ends in a task of its own, which recovers it.
workloads["panic/task"] = function(n)
  local batches = measure.rounds(n + 10) // BATCH
  local recovered = 0
  local function rescue()
    local value, record = co.recover()
    if value == "x" and record then recovered = recovered + 1 end
  end
  local function task()
    co.defer(rescue)
    deep(n, co.panic)
  end
  local result = measure.time(batches * BATCH, function()
    run(function()
      for _ = 1, batches do
        for _ = 1, BATCH do co.spawn(task) end
        co.yield()
      end
    end)
  end)
  measure.expect("recovered", recovered, 2 * batches * BATCH)
  return result
end

-- Each panic ends its task, and another task gets the record.
workloads["panic/joined"] = function(n)
  local times = measure.rounds(n + 10)
  local joined = 0
  local result = measure.time(times, function()
    run(function()
      for _ = 1, times do
        local ok, record = co.spawn(deep, n, co.panic):join()
        if not ok and record.value == "x" then joined = joined + 1 end
      end
    end)
  end)
  measure.expect("panics joined", joined, 2 * times)
  return result
end

function workloads.report(n)
  local text
  local result = panics(n, measure.rounds(n + 10) // 20, function(record) text = tostring(record) end)
  assert(text:find("panic: x", 1, true), text)
  return result
end

return workloads
