-- What channels, selects and locks take of memory, how large they may be, and what finalizers may do with
-- them.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)

local run = helpers.run

describe("a channel", function()
  it("uses memory for what is in it, not for its capacity", function()
    collectgarbage()
    local before = collectgarbage "count"
    local ch = co.chan(math.maxinteger)
    for i = 1, 100 do
      ch:send(i)
    end
    assert.is_true(collectgarbage "count" - before < 64)
    assert.equal(math.maxinteger, ch:capacity())
  end)

  it("may be used by a finalizer that runs while it grows", function()
    local ch = co.chan(1000)
    local pause, multiplier = collectgarbage("setpause", 1), collectgarbage("setstepmul", 1000)
    local mode = collectgarbage "incremental"
    local mine = 0
    for i = 1, 500 do
      setmetatable({}, { __gc = function() ch:try_send "finalizer" end })
      if ch:try_send(i) then
        mine = mine + 1
      end
    end
    collectgarbage("incremental", pause, multiplier)
    collectgarbage(mode)
    local expected = 0
    while #ch > 0 do
      local value = ch:recv()
      if value ~= "finalizer" then
        expected = expected + 1
        assert.equal(expected, value)
      end
    end
    assert.equal(mine, expected)
  end)
end)

describe("two tasks", function()
  it("pass values to and fro without filling the memory", function()
    run(function()
      local there, back = co.chan(), co.chan()
      co.spawn(function()
        for v in there:iter() do
          back:send(v + 1)
        end
      end)
      local v = 0
      local function play(rounds)
        for _ = 1, rounds do
          there:send(v)
          v = back:recv()
        end
      end
      play(100)
      collectgarbage()
      local before = collectgarbage "count"
      collectgarbage "stop"
      play(1000)
      local after = collectgarbage "count"
      collectgarbage "restart"
      assert.equal(1100, v)
      assert.is_true(after - before < 1, ("%f KB"):format(after - before))
      there:close()
    end)
  end)
end)

describe("a select that waits", function()
  it("may have 65535 cases", function()
    run(function()
      local cases = {}
      for i = 1, 65535 do cases[i] = { co.chan(), i } end
      local task = co.spawn(co.select, nil, table.unpack(cases))
      co.yield()
      assert.equal(65535, (cases[65535][1]:recv()))
      assert.same({ true, 65535 }, { task:join() })
    end)
  end)
end)

describe("a select of receive cases", function()
  it("allocates nothing, once the runtime is warm", function()
    run(function()
      local a, b = co.chan(), co.chan()
      co.spawn(function()
        for v in a:iter() do
          b:send(v)
        end
      end)
      local c = co.chan()
      local function play(rounds)
        for i = 1, rounds do
          a:send(i)
          co.select(nil, c, b)
        end
      end
      play(100)
      collectgarbage()
      local before = collectgarbage "count"
      collectgarbage "stop"
      play(1000)
      local after = collectgarbage "count"
      collectgarbage "restart"
      assert.is_true(after - before < 1, ("%f KB"):format(after - before))
      a:close()
    end)
  end)
end)

describe("a universe that is closed while tasks wait", function()
  --- Tasks that wait in every way, one that is ready, and a finalizer that runs before or after that of
  --- the runtime.
  local script = [[
    local state = {}
    local function finalize()
      state.out:try_send "late"
      state.into:try_recv()
      state.tasks[4]:cancel()
      state.out:close()
      io.write(tostring(state.out), "\n")
    end
    if %s then setmetatable(state, { __gc = finalize }) end
    local co = require "coropanic"
    state.out, state.into = co.chan(), co.chan()
    local out, into = state.out, state.into
    state.tasks = {
      co.spawn(function() out:recv() end),
      co.spawn(function() into:send(1) end),
      co.spawn(function() co.select(nil, out, { into, 2 }) end),
      co.spawn(function() co.select(1000, { into, 3 }, out, out) end),
    }
    co.step(0)
    if not getmetatable(state) then setmetatable(state, { __gc = finalize }) end
  ]]

  it("lets a finalizer that runs before the runtime is gone use the channels", function()
    local result = helpers.run_script(script:format(false))
    assert.equal("", result.stderr)
    assert.equal("channel (unbuffered, closed)\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("refuses what a finalizer that runs later calls", function()
    local result = helpers.run_script(("warn '@on'" .. script):format(true))
    helpers.assert_contains("the Lua state is being closed", result.stderr)
    assert.equal("", result.stdout)
    assert.equal(0, result.status)
  end)

  it("runs no task that was ready, after the runtime", function()
    local result = helpers.run_script [[
      local state = setmetatable({}, { __gc = function(self) print(pcall(self.co.step, 0)) end })
      state.co = require "coropanic"
      state.co.spawn(print, "a task runs")
    ]]
    assert.equal("", result.stderr)
    assert.equal("false\tthe Lua state is being closed\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("a mutex that is garbage", function()
  co_it("can be used by another finalizer, after its own, and kept", function()
    local kept
    co.scope(function()
      -- Finalizers run in the reverse order of creation: the mutex's own comes first.
      local box = setmetatable({}, { __gc = function(self)
        assert(self.m:try_lock())
        kept = self.m
      end })
      box.m = co.mutex()
      box = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.equal(co.current(), kept:owner())
    end)
    assert.is_true(kept:locked())
    kept = nil
    collectgarbage()
    collectgarbage()
  end)
end)
