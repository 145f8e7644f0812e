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

return workloads
