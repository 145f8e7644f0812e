-- co.forecast: warns of objects that will be full soon, and then can stop the program.

local co = require "coropanic"

--- Runs a program by the virtual clock, and returns the warnings that the panic handler got, and when.
local function warnings_of(body, seed)
  local found = {}
  co.run_with({ clock = "virtual", seed = seed, unhandled = function(record)
    found[#found + 1] = { kind = record.kind, text = record.message, time = co.now() }
  end }, function()
    local order = co.order()
    order:reset()
    collectgarbage()
    collectgarbage()
    body()
    order:stop()
  end)
  return found
end

local function daemon(fn)
  return co.spawn_with({ daemon = true }, fn)
end

--- Puts one value more into the channel every so many seconds; it has room for all.
local function fill(channel, seconds)
  return daemon(function()
    while true do
      co.sleep(seconds)
      channel:send(1)
    end
  end)
end

--- Two channels joined by two tasks, each of which sends to the other one: a cycle. Nothing flows in it.
local function cycle_of(capacity)
  local there, back = co.chan(capacity, { name = "outward" }), co.chan(capacity, { name = "return" })
  local function pass(from, to)
    co.spawn(function()
      from:recv()
      to:send(1)
    end)
  end
  pass(there, back)
  pass(back, there)
  there:send(1)
  co.sleep(0)
  while there:try_recv() or back:try_recv() do co.yield() end
  return there, back
end

describe("a forecast", function()
  it("warns of a cycle of channels before it strikes", function()
    local served, served_at = 0, 0
    local found = warnings_of(function()
      co.forecast()
      local jobs = co.chan(32, { name = "jobs" })
      local checks = co.chan(32, { name = "checks" })
      daemon(function()
        for tries in jobs:iter() do
          co.sleep(0.1)
          checks:send(tries)
        end
      end)
      daemon(function()
        for tries in checks:iter() do
          co.sleep(0.1)
          if tries > 0 then jobs:send(tries - 1) else served, served_at = served + 1, co.now() end
        end
      end)
      daemon(function()
        for load = 1, math.huge do
          co.sleep(0.25 / (1 + load / 40))
          jobs:send(1)
        end
      end)
      co.sleep(60)
    end)
    assert.is_true(served > 0 and served_at < 50, "the program must stand still in the end")
    assert.is_true(found[1].time < served_at)
    assert.equal("warning", found[1].kind)
    local text = '^"jobs", %d+ of 32, gains [%d.]+ a second and is full in [012]%.%d s: possible deadlock: '
    assert.matches(text, found[1].text)
    assert.matches('sends to "checks" while receiving from "jobs"', found[1].text, 1, true)
    assert.matches('sends to "jobs" while receiving from "checks"', found[1].text, 1, true)
  end)

  it("is silent about a burst that fills what stands in no cycle", function()
    local found = warnings_of(function()
      local forecast = co.forecast()
      local jobs, pool = co.chan(32), co.semaphore(4)
      daemon(function()
        for _ in jobs:iter() do
          local _ <close> = pool:guard()
          co.sleep(0.1)
        end
      end)
      for _ = 1, 20 do co.spawn(function() local _ <close> = pool:guard() co.sleep(3) end) end
      for _ = 1, 100 do
        jobs:send(1)
        co.sleep(0.02)
      end
      assert.equal(0, forecast:list()[1].full_in)
      co.sleep(10)
    end)
    assert.same({}, found)
  end)

  it("warns of a pool whose permits tasks hold while they wait for more", function()
    local found = warnings_of(function()
      co.forecast()
      local pool = co.semaphore(8, { name = "connections" })
      local function request()
        local _ <close> = pool:guard()
        co.sleep(1)
        local _ <close> = pool:guard()
        co.sleep(1)
      end
      for i = 1, 8 do
        co.spawn_with({ daemon = true }, request)
        co.sleep(3 / i)
      end
    end)
    local warning = found[#found]
    local text = '^"connections", %d of 8, .*: tasks hold some of it while they wait for more$'
    assert.matches(text, warning.text)
    assert.equal("warning", warning.kind)
  end)

  it("measures the time to full by the change over a window", function()
    warnings_of(function()
      local forecast = co.forecast { window = 2, ahead = 5 }
      local there = cycle_of(100)
      local filling = fill(there, 0.25)
      co.sleep(10.1)
      local row = forecast:list()[1]
      assert.same({ '"outward"', 40, 100, 4, 15, "cycle" },
        { row.object, row.level, row.capacity, row.slope, row.full_in, row.risk })
      assert.equal(0, forecast:stats().warnings)
      co.sleep(10.5)
      assert.equal(1, forecast:stats().warnings)
      local warning = forecast:warnings()[1]
      assert.near(20.3, warning.time, 0.06)
      assert.equal(4.75, warning.full_in)
      assert.same({ 4, "cycle", 100 }, { warning.slope, warning.risk, warning.capacity })
      filling:cancel()
      co.sleep(3)
      assert.same({ 0 }, { forecast:list()[1].slope, forecast:list()[1].full_in })
    end)
  end)

  it("judges nothing by the change of a moment", function()
    warnings_of(function()
      local forecast = co.forecast()
      local there = cycle_of(40)
      for _ = 1, 20 do there:send(1) end
      co.sleep(0.9)
      assert.is_nil(forecast:list()[1].full_in)
      assert.equal(0, forecast:stats().warnings)
    end)
  end)

  it("warns of an object once, and again when it was well for a minute", function()
    local found = warnings_of(function()
      co.forecast()
      local there = cycle_of(10)
      local function fill_and_empty()
        for _ = 1, 9 do
          there:send(1)
          co.sleep(0.5)
        end
        for _ = 1, 9 do there:recv() end
      end
      fill_and_empty()
      co.sleep(30)
      fill_and_empty()
      co.sleep(65)
      fill_and_empty()
    end)
    assert.equal(2, #found)
    assert.is_true(found[2].time > 95)
  end)

  it("sees objects that are older than itself once tasks use them, and no closed channels", function()
    local jobs = co.chan(10, { name = "jobs" })
    warnings_of(function()
      local pool = co.semaphore(2, { name = "pool" })
      local forecast = co.forecast()
      co.sleep(1)
      assert.same({}, forecast:list())
      jobs:send(1)
      pool:acquire()
      co.sleep(1)
      assert.same({ 1, 1 }, { forecast:list()[1].level, forecast:list()[2].level })
      assert.equal(2, forecast:stats().objects)
      jobs:close()
      co.sleep(1)
      assert.equal(1, forecast:stats().objects)
      assert.equal(2, forecast:list()[1].capacity)
      pool:release()
    end)
  end)

  it("turns co.order on, and is silent when that was turned off", function()
    local found = warnings_of(function()
      local order = co.order()
      order:stop()
      local forecast = co.forecast()
      assert.is_true(order:stats().on)
      local there = cycle_of(10)
      co.sleep(1)
      order:stop()
      fill(there, 0.5)
      co.sleep(5)
      assert.equal(0, forecast:stats().warnings)
      assert.is_nil(forecast:list()[1].risk)
    end)
    assert.same({}, found)
  end)

  it("tells observers of the kind warning", function()
    local seen = {}
    local stop = co.observe({ "warning" }, function(kind, record) seen[#seen + 1] = { kind, record.kind } end)
    warnings_of(function()
      co.forecast()
      fill(cycle_of(10), 0.5)
      co.sleep(10)
    end)
    stop()
    assert.same({ "warning", "warning" }, seen[1])
  end)
end)

describe("the end of a forecast", function()
  it("is stop, and what it has said stays readable", function()
    warnings_of(function()
      local forecast = co.forecast()
      assert.equal("forecast (running, 0 warnings)", tostring(forecast))
      fill(cycle_of(10), 0.5)
      co.sleep(4)
      forecast:stop()
      forecast:stop()
      local looks = forecast:stats().looks
      co.sleep(5)
      assert.equal("forecast (stopped, 1 warnings)", tostring(forecast))
      assert.same({ false, looks }, { forecast:stats().running, forecast:stats().looks })
      assert.equal(1, #forecast:warnings())
    end)
  end)

  it("comes when another one begins, and with its run", function()
    local first, second
    warnings_of(function()
      first = co.forecast()
      co.sleep(1)
      second = co.forecast()
      co.sleep(1)
      assert.is_false(first:stats().running)
      assert.is_true(second:stats().running)
    end)
    assert.is_false(second:stats().running)
  end)

  it("hides no deadlock, and keeps no run going", function()
    local ok, record = pcall(co.run_with, { clock = "virtual" }, function()
      co.forecast()
      co.chan():recv()
    end)
    co.order():stop()
    assert.same({ false, "deadlock" }, { ok, record.kind })
  end)
end)

describe("a forecast is bounded", function()
  it("in the warnings that it keeps", function()
    local found = warnings_of(function()
      local forecast = co.forecast { window = 1, period = 0.5 }
      local there = cycle_of(2)
      co.sleep(1)
      for _ = 1, 70 do
        there:send(1)
        co.sleep(1)
        there:recv()
        co.sleep(70)
      end
      assert.equal(70, forecast:stats().warnings)
      assert.equal(64, #forecast:warnings())
      assert.is_true(forecast:warnings()[1].time < forecast:warnings()[64].time)
    end)
    assert.equal(70, #found)
  end)

  it("in the objects that it follows: 1,024 at a time", function()
    warnings_of(function()
      local forecast = co.forecast()
      collectgarbage()
      local kept = {}
      for i = 1, 1100 do
        kept[i] = co.chan(2)
        kept[i]:send(1)
      end
      co.sleep(1)
      local stats = forecast:stats()
      assert.equal(1024, stats.objects)
      assert.is_true(stats.omitted >= 1100 - 1024)
      kept = nil -- luacheck: no unused
      collectgarbage()
      collectgarbage()
      for _ = 1, 3000 do co.chan(2):send(1) end
      local last = co.chan(2)
      co.sleep(1)
      last:send(1)
      co.sleep(1)
      assert.equal(0, #forecast:warnings())
    end)
  end)
end)

describe("the arguments of a forecast", function()
  local function refuses(expected, ...)
    local ok, message = pcall(co.forecast, ...)
    assert.is_false(ok)
    assert.matches(expected, message, 1, true)
  end

  it("are checked", function()
    refuses("bad argument #1 to 'forecast' (table expected, got number)", 3)
    refuses("unknown option 'horizon'", { horizon = 3 })
    refuses("option 'ahead': seconds from 0.001 to 86400 expected, got string", { ahead = "3" })
    for _, seconds in ipairs { 0, -1, 0 / 0, math.huge } do
      refuses("option 'window': seconds from 0.001 to 86400 expected, got", { window = seconds })
    end
    local expected = "option 'period': seconds from a thousandth of the window to the window expected, got"
    refuses(expected, { period = 6 })
    refuses(expected, { window = 50, period = 0.04 })
  end)
end)
