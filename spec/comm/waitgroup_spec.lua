local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a waitgroup", function()
  co_it("waits until as many are done as were added", seeded, function()
    local wg, done = co.waitgroup(), 0
    for i = 1, 5 do
      wg:add()
      co.spawn(function()
        co.sleep(i)
        done = done + 1
        wg:done()
      end)
    end
    assert.is_true(wg:wait())
    assert.same({ 5, 5 }, { done, co.now() })
  end)

  co_it("wakes all who wait", function()
    local lines, say = helpers.log()
    co.scope(function()
      local wg = co.waitgroup()
      wg:add(2)
      for i = 1, 3 do
        co.spawn(function() say(i, wg:wait()) end)
      end
      co.yield()
      wg:add(-2)
    end)
    assert.same({ "1 true", "2 true", "3 true" }, lines)
  end)

  co_it("does not wait when nothing was added, and can be used again", seeded, function()
    local wg = co.waitgroup()
    assert.is_true(wg:wait())
    for _ = 1, 2 do
      wg:add()
      assert.is_false(wg:wait(1))
      assert.is_false(wg:wait(0))
      wg:done()
      assert.is_true(wg:wait(0))
    end
  end)

  it("panics when its counter would become negative", function()
    local wg = co.waitgroup()
    for _, call in ipairs { function() wg:done() end, function() wg:add(-1) end } do
      local record = helpers.record_of(call)
      assert.same({ "panic", "sync: negative WaitGroup counter" }, { record.kind, record.value })
    end
  end)

  it("panics when its counter would become too large", function()
    local wg = co.waitgroup()
    wg:add(2 ^ 31 - 1)
    assert.equal("sync: WaitGroup counter too large", helpers.record_of(function() wg:add() end).value)
    assert.equal("sync: WaitGroup counter too large", helpers.record_of(function() wg:spawn(print) end).value)
    wg:add(1 - 2 ^ 31)
    assert.is_true(wg:wait())
  end)

  co_it("tells its state as text", function()
    local wg = co.waitgroup()
    wg:add(2)
    assert.equal("waitgroup (2 to wait for)", tostring(wg))
    local waiter = co.spawn(wg.wait, wg, 1)
    co.yield()
    helpers.assert_contains("waiting on wait of waitgroup (2 to wait for)", co.dump())
    waiter:join()
  end)

  it("works outside tasks as long as nobody has to wait", function()
    local wg = co.waitgroup()
    assert.is_true(wg:wait())
    wg:add()
    helpers.assert_contains("'wait' outside a task", helpers.record_of(wg.wait, wg).message)
    wg:done()
  end)

  co_it("raises a pending cancellation even when there is nothing to wait for", seeded, function()
    local task = co.spawn(function()
      co.current():cancel()
      co.waitgroup():wait()
    end)
    task:join()
    assert.equal("cancelled", task:status())
  end)
end)

describe("waitgroup:spawn", function()
  co_it("runs a task with arguments that counts until it has ended", seeded, function()
    local wg = co.waitgroup()
    local task = wg:spawn(function(...)
      co.sleep(1)
      return ...
    end, "a", "b")
    assert.equal("waitgroup (1 to wait for)", tostring(wg))
    assert.is_true(wg:wait())
    assert.equal("done", task:status())
    assert.same({ true, "a", "b" }, { task:join() })
    assert.equal("waitgroup (0 to wait for)", tostring(wg))
  end)

  co_it("says where it was called", seeded, function()
    local wg = co.waitgroup()
    local at = helpers.here(1)
    assert.equal(at, wg:spawn(function() end).spawned_at)
  end)

  for name, fn in pairs {
    ["panics"] = function() error "x" end,
    ["exits"] = co.goexit,
    ["is cancelled"] = function()
      co.current():cancel()
      co.yield()
    end,
  } do
    it(("counts a task as done that %s"):format(name), function()
      helpers.run_reporting(function()
        local wg = co.waitgroup()
        wg:spawn(fn)
        assert.is_true(wg:wait())
      end)
    end)
  end

  co_it("counts a task as done that is cancelled before it has run", seeded, function()
    local wg = co.waitgroup()
    wg:spawn(function() end):cancel()
    assert.is_true(wg:wait())
  end)

  co_it("waits for tasks that are spawned by its tasks, and in the hook", seeded, function()
    local wg, ended = co.waitgroup(), 0
    local hooked
    local previous = co.on_spawn(function()
      if not hooked then
        hooked = true
        wg:spawn(function() ended = ended + 1 end)
      end
    end)
    wg:spawn(function()
      wg:spawn(function()
        co.sleep(1)
        ended = ended + 1
      end)
      ended = ended + 1
    end)
    wg:wait()
    co.on_spawn(previous)
    assert.equal(3, ended)
  end)

  it("reports a task that calls done besides", function()
    local reports = helpers.run_reporting(function()
      local wg = co.waitgroup()
      wg:spawn(function() wg:done() end)
      wg:wait()
    end)
    assert.equal(1, #reports)
    assert.equal("sync: negative WaitGroup counter", reports[1].record.value)
  end)

  co_it("leaves its tasks in peace when the waitgroup is garbage", seeded, function()
    local ended = 0
    co.scope(function()
      for _ = 1, 3 do
        local wg = co.waitgroup()
        for _ = 1, 3 do
          wg:spawn(function()
            co.sleep(1)
            ended = ended + 1
          end)
        end
      end
      co.yield()
      collectgarbage()
      collectgarbage()
    end)
    assert.equal(9, ended)
  end)
end)
