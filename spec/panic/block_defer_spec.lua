-- Deferred calls that are held in `<close>` variables, many of them, and where there is no room to run them.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("deferred calls held in <close> variables", function()
  it("run once each, closed in whatever order, and the rest at the end of the frame", function()
    math.randomseed(7)
    for _ = 1, 200 do
      local log, expected = {}, {}
      co.call(function()
        local handles, pending = {}, {}
        local function defer()
          local i = #handles + 1
          pending[i] = true
          handles[i] = co.defer(function(a, nothing, double)
            assert(nothing == nil and double == 2 * a)
            log[#log + 1] = a
          end, i, nil, 2 * i)
        end
        local function close(i)
          if not pending[i] then return end
          pending[i] = nil
          expected[#expected + 1] = i
          if math.random(3) > 1 then
            local _ <close> = handles[i]
          else -- from a frame further in
            co.call(function()
              co.defer(function() end)
              local _ <close> = handles[i]
            end)
          end
        end
        for _ = 1, 30 do defer() end
        for _ = 1, math.random(0, 60) do
          close(math.random(#handles))
          if math.random(4) == 1 then defer() end
        end
        for i = #handles, 1, -1 do
          if pending[i] then expected[#expected + 1] = i end
        end
      end)
      assert.same(expected, log)
    end
  end)

  it("run once where a debug hook closes the same handle while it is being closed", function()
    for event = 1, 8 do
      local log = {}
      co.call(function()
        co.defer(function() log[#log + 1] = "first" end)
        local handle = co.defer(function() log[#log + 1] = "second" end)
        local events = 0
        do
          local _ <close> = handle
          debug.sethook(function()
            events = events + 1
            if events < event then return end
            debug.sethook()
            local _ <close> = handle
          end, "c")
        end
        debug.sethook()
      end)
      assert.same({ "second", "first" }, log)
    end
  end)

  co_it("may suspend, also when their task ends by an error", seeded, function()
    local slept
    local task = co.spawn(function()
      local _ <close> = co.defer(function()
        co.sleep(1)
        slept = true
      end)
      error("x", 0)
    end)
    local _, record = task:join()
    assert.is_true(slept)
    assert.equal("x", record.value)
    assert.same({}, record.chain)
  end)

  it("take no memory once they have run", function()
    co.call(function()
      local function work()
        for _ = 1, 1000 do
          local first, second = co.defer(function() end, {}), co.defer(function() end, {})
          do local _ <close> = first end
          do local _ <close> = second end
        end
        collectgarbage()
        return collectgarbage "count"
      end
      local before = work()
      for _ = 1, 5 do work() end
      assert.is_true(work() < before + 10)
    end)
  end)

  it("are not lost where the C stack ends", function()
    local registered, ran = 0, 0
    local function go()
      local _ <close> = co.defer(function() ran = ran + 1 end)
      registered = registered + 1
      co.call(go)
    end
    for _, run in ipairs {
      function() return pcall(co.call, go) end,
      function() return co.pcall(co.call, go) end,
      function() return pcall(helpers.run, go) end,
    } do
      registered, ran = 0, 0
      local ok, record = run()
      assert.is_false(ok)
      helpers.assert_contains("C stack overflow", helpers.message_of(record))
      assert.equal(registered, ran)
    end
  end)

  it("are too many at some point, which is said", function()
    local record = helpers.record_of(co.call, function()
      for i = 1, 1000000 do co.defer(type, i) end
    end)
    assert.matches("too many deferred calls are pending", record.message)
  end)
end)

describe("a refused suspension", function()
  co_it("names a message handler, also on a stack of which nobody waits for the end", function()
    local refused
    local function over() return 1 + over() end
    xpcall(over, function() refused = select(2, pcall(co.sleep, 0)) end)
    assert.matches("a message handler, metamethod or finalizer is in the way", refused)
    xpcall(error, function() refused = select(2, pcall(co.sleep, 0)) end)
    assert.matches("a message handler is in the way", refused)
  end)

  co_it("names a debug hook and a finalizer", seeded, function()
    local refused
    local function try() refused = select(2, pcall(co.sleep, 0)) end
    debug.sethook(function()
      debug.sethook()
      try()
    end, "", 1)
    local _ = math.sin(1)
    assert.matches("a debug hook is in the way", refused)
    setmetatable({}, { __gc = try })
    collectgarbage()
    assert.matches("a finalizer is in the way", refused)
  end)
end)
