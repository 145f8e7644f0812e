--- A program that checks all its results while a profile interrupts it as often as it can: panics, recursion,
--- own and foreign coroutines, finalizers, sorting, callbacks of C, channels.
---
---   lua5.4 spec/telemetry/signals.lua 100000      # until so many samples were taken

local co = require "coropanic"
local pprof = require "telemetry.pprof"

local signals = {}

local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end

local function generator(create, yield)
  return create(function()
    for i = 1, 20 do yield(i) end
  end)
end

local function exercise(r)
  assert(deep(r % 150 + 50) == r % 150 + 50)
  co.yield()
  local foreign = generator(coroutine.wrap, coroutine.yield)
  for i = 1, 20 do assert(foreign() == i) end
  local own = generator(co.coroutine.wrap, function(i)
    co.yield()
    co.coroutine.yield(i)
  end)
  for i = 1, 20 do assert(own() == i) end
  local ok, record = co.pcall(function() error(r) end)
  assert(not ok and record.value == r)
  local recovered = co.call(function()
    co.defer(function()
      local value = co.recover()
      co.set_results(value)
    end)
    co.panic(r)
  end)
  assert(recovered == r)
  assert(("x"):rep(300):gsub("x", function() return "y" end) == ("y"):rep(300))
  local list = {}
  for i = 1, 50 do list[i] = i * r % 53 end
  table.sort(list, function(a, b) return a < b end)
  for i = 2, 50 do assert(list[i - 1] <= list[i]) end
  setmetatable({}, { __gc = function() assert(deep(10) == 10) end })
  if r % 13 == 0 then collectgarbage() end
  local ch, sum = co.chan(), 0
  co.spawn(function()
    for i = 1, 10 do ch:send(i) end
    ch:close()
  end)
  for v in ch:iter() do sum = sum + v end
  assert(sum == 55)
  return r
end

--- Runs until so many samples were taken. Returns their number.
function signals.storm(wanted, hz)
  local taken = 0
  while taken < wanted do
    local profile = co.profile.start { kind = "cpu", hz = hz or 10000 }
    local sum = 0
    co.run(function()
      local till = os.clock() + 0.3
      repeat
        sum = 0
        co.scope(function(s)
          for r = 1, 40 do
            s:spawn(function()
              local result = exercise(r) -- suspends
              sum = sum + result
            end)
          end
        end)
        assert(sum == 820, sum)
      until os.clock() > till
    end)
    taken = taken + pprof.total(pprof.read(profile:stop()), 1)
  end
  return taken
end

if arg and arg[0] and arg[0]:find "signals%.lua$" then
  print(("signals: %d samples, every result right"):format(signals.storm(tonumber(arg[1] or "100000"))))
end

return signals
