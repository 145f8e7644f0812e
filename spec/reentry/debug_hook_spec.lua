-- A debug hook runs at any call, return or line, also in the middle of unwinding. What it defers there runs
-- once, and what the code that it interrupts would have come to stays the same.

local helpers = require "spec.helpers"

--- Runs each of `endings` in a task, with the hook at event 1, then at event 2, and so on to the last.
local PROGRAM = [[
  local co = require "coropanic"
  local mask, what = %q, %q
  co.on_panic(function() end)

  local registered, ran, twice = 0, 0, 0
  local function defer(fn)
    local times = 0
    co.defer(function()
      times = times + 1
      ran = ran + 1
      if times > 1 then twice = twice + 1 end
      if fn then fn() end
    end)
    registered = registered + 1
  end

  local endings = {
    returns = function() defer() return 1, 2, 3 end,
    panics = function() defer(function() defer() end) error("x", 0) end,
    recovers = function() defer(function() co.recover() co.set_results("a", "b", "c") end) error("x", 0) end,
    ["recovers further in"] = function()
      local fn = co.func(function() defer(function() co.recover() defer() end) error("x", 0) end)
      return fn(), 4
    end,
    ["changes its results"] = function()
      defer() defer(function() co.set_results(5, 6, 7, 8) end) defer()
      return 1
    end,
    exits = function() defer() co.call(function() defer() co.goexit() end) end,
    ["is cancelled"] = function() defer() co.current():cancel "enough" co.sleep(1) end,
    ["replaces a panic"] = function() defer(function() error("y", 0) end) error("x", 0) end,
  }

  local events
  --- What the task comes to, as text. The hook runs at event `at`: 0 is never.
  local function outcome(fn, at)
    events = 0
    local task = co.spawn(function()
      debug.sethook(function()
        events = events + 1
        if events ~= at then return end
        pcall(defer)
        co.call(function() defer() end)
        co.recover()
        collectgarbage()
        if what == "fails" then error "hook" end
        if what == "exits" then co.goexit() end
      end, mask)
      return fn()
    end)
    local result = table.pack(task:join())
    for i = 1, result.n do
      local v = result[i]
      result[i] = getmetatable(v) == "coropanic.record" and v.kind .. " " .. tostring(v.value) or tostring(v)
    end
    return table.concat(result, ", ")
  end

  co.run_with({ clock = "virtual" }, function()
    for name, fn in pairs(endings) do
      local expected = outcome(fn, 0)
      local last = events
      assert(last > 2, name)
      for at = 1, last do
        local got = outcome(fn, at)
        -- A hook that fails may do so before its counting, or ours.
        if what == "returns" and (got ~= expected or ran ~= registered) then
          print(name .. ", event " .. at .. ": " .. got .. " instead of " .. expected .. ", of " .. registered
            .. " deferred calls " .. ran .. " ran")
          ran = registered
        end
      end
    end
  end)
  print(twice .. " ran twice")
]]

describe("a debug hook", function()
  for _, event in ipairs { { "call", "c" }, { "return", "r" }, { "line", "l" } } do
    for _, what in ipairs { "returns", "fails", "exits" } do
      it(("at any %s that defers, and %s, loses nothing"):format(event[1], what), function()
        local result = helpers.run_script(PROGRAM:format(event[2], what))
        assert.same({ stdout = "0 ran twice\n", stderr = "", status = 0 }, result)
      end)
    end
  end

  it("is not what a time-out ends that has just been opened", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.observe({ "cancel", "scope_open" }, function() end)
      co.run(function()
        local ended = co.spawn(function() end)
        ended:join()
        debug.sethook(function() pcall(ended.join, ended) end, "r")
        local ok, record = co.with_timeout(0, co.sleep, 1)
        debug.sethook()
        print(ok, record.kind)
      end)
    ]]
    assert.same({ stdout = "false\ttimeout\n", stderr = "", status = 0 }, result)
  end)

  it("that fails at any return in a spawn leaves the task, and its span, whole", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.on_panic(function() end)
      co.observe({ "span_begin" }, function() end)
      for at = 1, 40 do
        co.run(function()
          pcall(function()
            local events = 0
            debug.sethook(function()
              events = events + 1
              if events == at then error "hook" end
            end, "r")
            co.spawn(co.scope, co.yield)
            debug.sethook()
          end)
          debug.sethook()
        end)
      end
      print "whole"
    ]]
    assert.same({ stdout = "whole\n", stderr = "", status = 0 }, result)
  end)

  it("that fails at any event of a once is what the once's caller gets", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      for at = 1, 40 do
        local o = co.once(function() return at end)
        local events = 0
        local function hook()
          events = events + 1
          if events == at then error("hook", 0) end
        end
        co.run(function()
          local ok, record = co.pcall(function()
            debug.sethook(hook, "cr")
            o()
            debug.sethook()
          end)
          debug.sethook()
          if not ok and record.message ~= "hook" then print(at, record.message) end
        end)
      end
      print "done"
    ]]
    assert.same({ stdout = "done\n", stderr = "", status = 0 }, result)
  end)

  it("that ends its task leaves no coroutine behind in which hooks are off", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.run(function()
        for _ = 1, 3 do
          local task = co.spawn(function()
            debug.sethook(function()
              debug.sethook()
              error("too long", 0)
            end, "", 1000)
            for _ = 1, 1e6 do end
            return "nobody stops it"
          end)
          task:join()
          print(task:status())
        end
      end)
    ]]
    assert.same({ stdout = ("panicked\n"):rep(3), stderr = "", status = 0 }, result)
  end)
end)
