-- To-be-closed variables in tasks: of their coroutines, of hooks, of deferred calls that are cut short.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local coroutine = co.coroutine
local run = helpers.run

local function on_close(fn)
  return setmetatable({}, { __close = fn })
end

describe("closing a coroutine of co.coroutine", function()
  it("runs its to-be-closed variables", function()
    local closed = 0
    local thread = coroutine.create(function()
      local _ <close> = on_close(function() closed = closed + 1 end)
      coroutine.yield()
    end)
    coroutine.resume(thread)
    assert.is_true(coroutine.close(thread))
    assert.same({ 1, "dead", true }, { closed, coroutine.status(thread), coroutine.close(thread) })
  end)

  it("returns the error of a to-be-closed variable", function()
    local thread = coroutine.create(function()
      local _ <close> = on_close(function() error("closing", 0) end)
      coroutine.yield()
    end)
    coroutine.resume(thread)
    assert.same({ false, "closing" }, { coroutine.close(thread) })
  end)

  it("runs them in the trace of the coroutine's own code", function()
    local headers = { traceparent = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01" }
    run(function()
      local closing
      local function start()
        local generator = coroutine.create(function()
          local _ <close> = on_close(function() closing = co.trace.current().trace_id end)
          co.trace.continue(headers, coroutine.yield)
        end)
        coroutine.resume(generator)
        return generator
      end
      local mine = co.trace.current()
      co.spawn_with({ detached_trace = true }, function()
        local other = co.trace.current()
        local generator = co.trace.continue(headers, start)
        coroutine.close(generator)
        assert.equal(("a"):rep(32), closing)
        assert.same(other, co.trace.current())
      end):await()
      local generator = start()
      coroutine.close(generator)
      assert.same({ mine.trace_id, mine }, { closing, co.trace.current() })
    end)
  end)

  it("happens to a cancelled task's, however they were resumed", function()
    run(function()
      local log = {}
      local function hold(name, fn)
        local _ <close> = on_close(function() table.insert(log, name) end)
        fn()
      end
      local task = co.spawn(function()
        local inner = coroutine.create(function() hold("inner", function() co.sleep(100) end) end)
        coroutine.wrap(hold)("outer", function() coroutine.resume(inner) end)
      end)
      co.yield()
      task:cancel()
      task:join()
      assert.same({ "inner", "outer" }, log)
    end)
  end)
end)

describe("a deferred call held in a to-be-closed variable of a hook", function()
  after_each(function() co.on_spawn(nil) end)

  co_it("runs before the hook returns", seeded, function()
    local lines, say = helpers.log()
    co.call(function()
      co.on_spawn(function()
        co.on_spawn(nil)
        co.defer(say, "deferred by the hook")
        local _ <close> = co.defer(say, "closed by the hook")
        say "hook"
      end)
      co.spawn(function() end)
      say "body"
    end)
    assert.same({ "hook", "closed by the hook", "body", "deferred by the hook" }, lines)
  end)
end)

describe("a deferred call that waits for ever at the end of a run", function()
  it("has its to-be-closed variables closed when it is cut short", function()
    local closed = 0
    local function wait_for_ever()
      local _ <close> = on_close(function() closed = closed + 1 end)
      local ch = co.chan()
      while true do pcall(ch.recv, ch) end
    end
    assert.has_error(function()
      run(function()
        co.defer(wait_for_ever)
        co.defer(wait_for_ever)
        error("main fails", 0)
      end)
    end)
    assert.equal(2, closed)
  end)
end)

describe("what a library keeps by coroutine.running()", function()
  it("is not found by another task where a to-be-closed variable kept it", function()
    run(function()
      local seen = setmetatable({}, { __mode = "k" })
      for _ = 1, 20 do
        co.spawn(function()
          local _ <close> = on_close(function()
            local thread = coroutine.running()
            assert.is_nil(seen[thread])
            seen[thread] = true
          end)
        end):await()
      end
    end)
  end)
end)
