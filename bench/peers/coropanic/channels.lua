-- Tasks that hand values to each other, and that wait for each other.

local co = require "coropanic"
local measure = require "peers.measure"

local run = co.run

local workloads = {}

function workloads.chan_unbuffered(n)
  local sum
  local result = measure.time(n, function()
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
  local result = measure.time(n, function()
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
  local result = measure.time(each * 8, function()
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
  local result = measure.time(n * times, function()
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

-- Each of n tasks waits for a channel of its own; they are sent values in the order of their memory, or in
-- another.
local function wake(n, arrange)
  local rounds = measure.rounds(n, measure.WAKES)
  local received = 0
  local watch = measure.watch()
  run(function()
    local channels = {}
    local function task(ch)
      for _ in ch:iter() do received = received + 1 end
    end
    for i = 1, n do
      channels[i] = co.chan()
      co.spawn(task, channels[i])
    end
    co.yield()
    arrange(channels)
    watch.start()
    for _ = 1, rounds do
      for i = 1, n do channels[i]:send(i) end
      co.yield()
    end
    watch.stop()
    measure.expect("values received", received, rounds * n)
    for i = 1, n do channels[i]:close() end
  end)
  return watch.result(rounds * n)
end

workloads["wake"] = function(n) return wake(n, function() end) end

workloads["wake/random"] = function(n) return wake(n, measure.shuffle) end

return workloads
