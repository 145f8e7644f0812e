--- co.spawn_with { cpu_budget = seconds }. No test measures time: endless loops end, or they would not.

local co = require "coropanic"
local helpers = require "spec.helpers"

local BUDGET = 0.02

local function endless()
  while true do
  end
end

--- Runs `fn` as a task with a budget, and returns how it has ended.
local function run(fn, budget)
  return co.run(function()
    local task = co.spawn_with({ cpu_budget = budget or BUDGET, name = "script" }, fn)
    return { task:join() }, task:status()
  end)
end

local function assert_used_up(outcome, status)
  local record = outcome[2]
  assert.is_false(outcome[1])
  local expected = { "cancelled", "cpu_budget", "CPU budget used up" }
  assert.same(expected, { record.kind, record.source, record.reason })
  assert.equal("coropanic.cancelled", record.error_code)
  assert.equal("cancelled", status)
  return record
end

describe("a task with a CPU budget", function()
  it("returns as any other, while it has not used it up", function()
    local outcome, status = run(function() return 1, 2 end, 60)
    assert.same({ true, 1, 2 }, outcome)
    assert.equal("done", status)
  end)

  it("may wait for as long as it likes", function()
    local outcome = run(function()
      co.sleep(2 * BUDGET)
      return "slept"
    end)
    assert.same({ true, "slept" }, outcome)
  end)

  it("is cancelled in an endless loop, although preemption is off for all others", function()
    local record = assert_used_up(run(endless))
    helpers.assert_contains("cpu_budget_spec.lua", record.frames[1].source)
    helpers.assert_contains('"script" used up its CPU budget', tostring(record))
    assert.is_false(co.preempt())
  end)

  local loops = {
    ["by pcall in a loop"] = function()
      while true do pcall(endless) end
    end,
    ["by co.pcall in a loop"] = function()
      while true do co.pcall(endless) end
    end,
    ["by pcall in a coroutine"] = function()
      co.coroutine.wrap(function()
        while true do pcall(endless) end
      end)()
    end,
    ["in a comparator"] = function() table.sort({ 1, 2, 3 }, endless) end,
    ["in turns that are shorter than a slice"] = function()
      while true do
        for _ = 1, 1000 do
        end
        co.yield()
      end
    end,
    ["in turns between sleeps"] = function()
      while true do
        for _ = 1, 100000 do
        end
        co.sleep(0)
      end
    end,
    ["under its own time-out"] = function() co.with_timeout(3600, endless) end,
  }
  for how, loop in pairs(loops) do
    it(("is ended %s, and its deferred calls run"):format(how), function()
      local notes = {}
      assert_used_up(run(function()
        co.defer(function()
          co.sleep(0.001)
          notes[#notes + 1] = "slept"
        end)
        co.defer(table.insert, notes, "called")
        loop()
      end))
      assert.same({ "called", "slept" }, notes)
    end)
  end

  it("is ended with preemption on, too", function()
    co.preempt { slice = 0.001 }
    finally(function() co.preempt(false) end)
    assert_used_up(run(endless))
  end)

  it("has time for its deferred calls, but an endless one is cut short, and the others run", function()
    local hogs = {
      endless,
      function() table.sort({ 1, 2, 3 }, endless) end,
      function() co.coroutine.wrap(endless)() end,
    }
    for _, hog in ipairs(hogs) do
      local notes = {}
      local record = assert_used_up(run(function()
        co.defer(table.insert, notes, "last")
        co.defer(hog)
        co.defer(function()
          local finish = os.clock() + 0.03
          while os.clock() < finish do
          end
          notes[#notes + 1] = "computed"
        end)
        endless()
      end))
      assert.same({ "computed", "last" }, notes)
      assert.is_true(record.forced)
    end
  end)

  it("leaves the others their time: their turns do not count", function()
    co.run(function()
      local scripts = {}
      for i = 1, 3 do
        scripts[i] = co.spawn_with({ cpu_budget = 3600 }, function()
          for _ = 1, 20 do co.yield() end
          return i
        end)
      end
      local hog = co.spawn_with({ cpu_budget = BUDGET }, endless)
      for i = 1, 3 do assert.same({ true, i }, { scripts[i]:join() }) end
      assert.is_false((hog:join()))
    end)
  end)

  it("may be a member of a scope, and ended by something else before", function()
    co.run(function()
      co.scope(function(s)
        local waiting = s:spawn_with({ cpu_budget = 3600 }, co.sleep, 3600)
        local unborn = s:spawn_with({ cpu_budget = 3600 }, endless)
        unborn:cancel()
        co.yield()
        waiting:cancel "enough"
        local _, record = waiting:join()
        assert.equal("explicit", record.source)
      end)
    end)
    local ok, record = pcall(co.run, function()
      co.spawn_with({ cpu_budget = 3600 }, function() error "failed" end):await()
    end)
    assert.is_false(ok)
    helpers.assert_contains("failed", record.message)
  end)

  it("is told to observers as a cancellation with that source", function()
    local sources = {}
    local stop = co.observe({ "cancel", "start", "stop" }, function(kind, _, source)
      if kind == "cancel" then sources[#sources + 1] = source end
    end)
    finally(stop)
    run(endless)
    assert.same({ "cpu_budget" }, sources)
  end)

  it("is ended in a step of a host", function()
    local task = co.spawn_with({ cpu_budget = BUDGET }, endless)
    while co.step(0.001) do
    end
    assert.equal("cancelled", task:status())
  end)
end)

describe("the option cpu_budget", function()
  it("is a number of seconds above 0", function()
    for value, got in pairs { [0] = "0", [-1] = "-1", ["x"] = "string" } do
      helpers.assert_error("option 'cpu_budget': seconds above 0 expected, got " .. got, co.spawn_with,
        { cpu_budget = value }, print)
    end
    helpers.assert_error("seconds above 0 expected, got ", co.spawn_with, { cpu_budget = 0 / 0 }, print)
    assert.equal(0, #co.tasks())
  end)
end)
