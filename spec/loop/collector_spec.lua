--- co.collector: the loop steps Lua's collector while no task runs.

local co = require "coropanic"
local helpers = require "spec.helpers"

--- Fills the heap with garbage of about so many megabytes, in pieces that the collector frees one by one.
local function litter(megabytes)
  for _ = 1, megabytes * 1000 do
    local _ = { ("x"):rep(1000) }
  end
end

--- A flag that a finalizer sets.
local function doomed()
  local flag = { collected = false }
  setmetatable({}, { __gc = function() flag.collected = true end })
  return flag
end

--- More garbage than an idle loop lets lie, which is half of a large heap if the limit is 3, and less than
--- the limit.
local function enough() litter(2 + collectgarbage "count" * 0.75 // 1024) end

--- Sleeps in short naps until `is_so()`.
local function nap_until(is_so)
  for _ = 1, 1000 do
    if is_so() then return true end
    co.sleep(0.001)
  end
end

local function mode_of_lua()
  local mode = collectgarbage "incremental"
  collectgarbage(mode)
  return mode
end

describe("co.collector", function()
  local before, lua_mode

  before_each(function()
    before = co.collector()
    lua_mode = collectgarbage "incremental"
    collectgarbage() -- a cycle that has begun already does not free what is made now
  end)

  after_each(function()
    helpers.end_all_tasks()
    co.collector { mode = "automatic" }
    co.collector(before)
    collectgarbage "restart"
    collectgarbage(lua_mode)
  end)

  describe("settings", function()
    it("are automatic, a budget and a limit at first", function()
      assert.same({ mode = "automatic", budget = 0.001, limit = 3 }, (co.collector()))
    end)

    it("are changed one by one, and those before are returned", function()
      assert.same({ mode = "automatic", budget = 0.001, limit = 3 }, (co.collector { budget = 0.002 }))
      assert.same({ mode = "automatic", budget = 0.002, limit = 3 }, (co.collector { limit = 1.5 }))
      assert.same({ mode = "automatic", budget = 0.002, limit = 1.5 }, (co.collector { mode = "idle" }))
      assert.same({ mode = "idle", budget = 0.002, limit = 1.5 }, (co.collector {}))
      assert.same({ mode = "idle", budget = 0.002, limit = 1.5 }, (co.collector(nil)))
    end)

    it("can be given back as they were returned", function()
      local former = co.collector { mode = "idle", budget = 1, limit = 9 }
      co.collector(former)
      assert.same(former, (co.collector()))
    end)

    it("stay as they are if one of them is wrong", function()
      assert.is_false(pcall(co.collector, { mode = "idle", budget = 5, limit = 0 }))
      assert.same({ mode = "automatic", budget = 0.001, limit = 3 }, (co.collector()))
    end)
  end)

  describe("in idle mode", function()
    it("collects garbage while all tasks sleep, although Lua would not yet", function()
      co.collector { mode = "idle" }
      co.run(function()
        co.sleep(0.001)
        local flag = doomed()
        enough()
        assert.is_true(nap_until(function() return flag.collected end))
      end)
      local _, figures = co.collector()
      assert.is_true(figures.cycles >= 1)
      assert.is_true(figures.steps >= figures.pauses and figures.pauses >= 1)
      assert.is_true(figures.longest > 0 and figures.seconds >= figures.longest)
      assert.is_true(figures.overruns <= figures.pauses)
    end)

    it("begins while tasks run, too", function()
      co.run(function()
        co.collector { mode = "idle" }
        local flag = doomed()
        enough()
        assert.is_true(nap_until(function() return flag.collected end))
      end)
    end)

    it("collects between batches if tasks are always ready", function()
      co.collector { mode = "idle" }
      local flag
      co.run(function()
        co.spawn_with({ daemon = true }, function()
          while true do co.yield() end
        end)
        flag = doomed()
        for _ = 1, 20000 do
          litter(0.05)
          co.yield()
          if flag.collected then break end
        end
      end)
      assert.is_true(flag.collected)
    end)

    it("sleeps when there is no garbage to speak of", function()
      co.collector { mode = "idle" }
      co.run(function()
        nap_until(function() return select(2, co.collector()).cycles > 0 end)
        local _, figures = co.collector()
        for _ = 1, 20 do co.sleep(0.001) end
        assert.same(figures.steps, select(2, co.collector()).steps)
      end)
    end)

    it("keeps a task that never suspends within the limit", function()
      co.collector { mode = "idle", limit = 1.5 }
      co.run(function()
        local flag = doomed()
        litter(60 + 2 * collectgarbage "count" // 1024)
        assert.is_true(flag.collected)
      end)
    end)

    it("is stepped by co.step in what is left of its budget", function()
      co.collector { mode = "idle" }
      local flag = doomed()
      for _ = 1, 1000 do
        if flag.collected then break end
        co.step(0.01)
      end
      assert.is_true(flag.collected)
      local _, figures = co.collector()
      assert.equal(1, figures.cycles)
    end)

    it("is stepped by co.step without a budget", function()
      co.collector { mode = "idle" }
      local flag = doomed()
      for _ = 1, 10000 do
        if flag.collected then break end
        co.step()
      end
      assert.is_true(flag.collected)
    end)

    it("makes the same steps in each run under the virtual clock", function()
      local piece = 0.2 + collectgarbage "count" / 1024 / 20 -- enough for two cycles of any heap
      local function steps()
        collectgarbage()
        collectgarbage()
        co.collector { mode = "idle" }
        local order = {}
        co.run_with({ clock = "virtual", seed = 1 }, function()
          for i = 1, 50 do
            co.spawn(function()
              co.sleep(i / 7 % 1)
              litter(piece)
              table.insert(order, i)
            end)
          end
        end)
        local _, figures = co.collector { mode = "automatic" }
        return figures.cycles, table.concat(order, " ")
      end
      local cycles, order = steps()
      assert.is_true(cycles > 1)
      assert.same({ cycles, order }, { steps() })
    end)

    it("calls finalizers that spawn, and the loop runs what they spawn", function()
      co.collector { mode = "idle" }
      local ran = false
      co.run(function()
        setmetatable({}, { __gc = function() co.spawn(function() ran = true end) end })
        enough()
        assert.is_true(nap_until(function() return ran end))
      end)
    end)

    it("ends at once if a finalizer says so", function()
      co.collector { mode = "idle" }
      co.run(function()
        local done = false
        setmetatable({}, { __gc = function() done = true co.collector { mode = "automatic" } end })
        enough()
        assert.is_true(nap_until(function() return done end))
        local _, figures = co.collector()
        for _ = 1, 5 do co.sleep(0.001) end
        assert.same(figures.steps, select(2, co.collector()).steps)
        assert.equal("automatic", co.collector().mode)
      end)
    end)

    it("leaves a collector alone that a script has stopped", function()
      co.collector { mode = "idle" }
      co.run(function()
        local flag = doomed()
        collectgarbage "stop"
        enough()
        for _ = 1, 20 do co.sleep(0.001) end
        assert.is_false(collectgarbage "isrunning")
        assert.is_false(flag.collected)
        collectgarbage "restart"
        assert.is_true(nap_until(function() return flag.collected end))
      end)
    end)
  end)

  describe("after it", function()
    for _, mode in ipairs { "incremental", "generational" } do
      it("the collector is " .. mode .. " if it was before the run", function()
        collectgarbage(mode)
        co.collector { mode = "idle" }
        co.run(function()
          co.sleep(0.001)
          assert.equal("incremental", mode_of_lua())
        end)
        assert.equal(mode, mode_of_lua())
        assert.is_true(collectgarbage "isrunning")
        assert.equal("idle", co.collector().mode)
        co.run(co.sleep, 0.001)
        assert.equal(mode, mode_of_lua())
      end)

      it("the collector is " .. mode .. " when a host goes back to automatic", function()
        collectgarbage(mode)
        co.collector { mode = "idle" }
        co.step()
        assert.equal("incremental", mode_of_lua())
        co.collector { mode = "automatic" }
        assert.equal(mode, mode_of_lua())
      end)
    end

    it("a mode that a script has chosen meanwhile comes back", function()
      co.collector { mode = "idle" }
      co.run(function()
        co.sleep(0.001)
        collectgarbage "generational"
        enough()
        co.sleep(0.001)
      end)
      assert.equal("generational", mode_of_lua())
    end)

    it("the speed of the collector is what it was", function()
      local speed = collectgarbage("setstepmul", 200)
      co.collector { mode = "idle" }
      co.run(function()
        enough()
        co.sleep(0.001)
      end)
      assert.equal(200, collectgarbage("setstepmul", speed))
    end)

    it("Lua collects by itself again", function()
      co.collector { mode = "idle" }
      co.run(co.sleep, 0.001)
      local flag = doomed()
      litter(10 + 3 * collectgarbage "count" // 1024)
      assert.is_true(flag.collected)
    end)

    it("an error of main changes nothing of that", function()
      collectgarbage "generational"
      co.collector { mode = "idle" }
      assert.is_false(pcall(co.run, function()
        co.sleep(0.001)
        error "no"
      end))
      assert.equal("generational", mode_of_lua())
    end)
  end)

  it("counts from the moment when idle mode begins", function()
    co.collector { mode = "idle" }
    co.run(co.sleep, 0.001)
    co.collector { mode = "automatic" }
    assert.is_true(select(2, co.collector()).steps > 0)
    co.collector { mode = "idle" }
    assert.same({ pauses = 0, overruns = 0, steps = 0, cycles = 0, longest = 0, seconds = 0 },
      (select(2, co.collector())))
  end)

  it("can be called in a run that a finalizer drives, and changes nothing there", function()
    co.collector { mode = "idle" }
    local ran
    setmetatable({}, { __gc = function() ran = co.run(function() return true end) end })
    collectgarbage()
    assert.is_true(ran)
  end)
end)
