local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- The record of a task that runs `body` and is cancelled for "stop" once it is parked.
local function record_of_cancelled(body, ...)
  local task = co.spawn(body, ...)
  co.yield()
  task:cancel "stop"
  local _, record = task:join()
  return record, task
end

describe("the record of a cancellation", function()
  co_it("says who asked and why", seeded, function()
    local asker = co.current()
    local cancellation = record_of_cancelled(co.sleep, 100).cancellation
    assert.equal("explicit", cancellation.source)
    assert.equal("stop", cancellation.reason)
    assert.same({ asker.id, "main" }, { cancellation.by.id, cancellation.by.name })
  end)

  it("names no task when none asked", function()
    finally(helpers.end_all_tasks)
    local task = co.spawn(co.sleep, 100)
    co.step(0)
    task:cancel "from outside"
    while co.step(0) do end
    local _, record = task:join()
    assert.equal("explicit", record.cancellation.source)
    assert.is_nil(record.cancellation.by)
  end)

  co_it("names a task that cancels itself", seeded, function()
    local task = co.spawn_with({ name = "itself" }, function()
      co.current():cancel()
      co.yield()
    end)
    assert.equal("itself", select(2, task:join()).cancellation.by.name)
  end)

  co_it("names the first that asked", function()
    local victim = co.spawn(co.sleep, 100)
    co.yield()
    co.spawn_with({ name = "first" }, function() victim:cancel "a" end)
    co.spawn_with({ name = "second" }, function() victim:cancel "b" end)
    local _, record = victim:join()
    assert.same({ "first", "a" }, { record.cancellation.by.name, record.cancellation.reason })
  end)

  co_it("names it also when it has ended by then", seeded, function()
    local victim = co.spawn(function()
      co.defer(co.sleep, 10)
      co.sleep(100)
    end)
    co.yield()
    co.spawn_with({ name = "asker" }, function() victim:cancel() end):join()
    collectgarbage()
    assert.equal("asker", select(2, victim:join()).cancellation.by.name)
  end)

  it("has nothing of the kind for a panic", function()
    helpers.run(function() assert.is_nil(helpers.record_of(co.panic, "x").cancellation) end)
  end)

  it("has shutdown for its source when the run ends", function()
    local daemon
    helpers.run(function()
      daemon = co.spawn_with({ daemon = true }, co.sleep, 100)
      co.yield()
    end)
    assert.equal("shutdown", select(2, daemon:join()).cancellation.source)
  end)
end)

describe("a cancellation that was swallowed", function()
  co_it("is raised again at each suspension point", function()
    local swallowed = {}
    local record = record_of_cancelled(function()
      for i, suspend in ipairs { co.sleep, co.yield, co.sleep } do
        swallowed[i] = not pcall(suspend, 1)
      end
      co.sleep(1)
    end)
    assert.same({ true, true, true }, swallowed)
    assert.equal("stop", record.cancellation.reason)
    assert.equal(0, co.now())
  end)

  it("is raised again in frames that are opened later", function()
    local frames = {
      function() co.call(co.sleep, 5) end,
      co.func(function() co.sleep(5) end),
      function() co.scope(function() co.sleep(5) end) end,
      function() co.with_timeout(1, co.sleep, 5) end,
      function() co.with(co.context.with_timeout(co.context.background(), 1), co.sleep, 5) end,
    }
    for _, open in ipairs(frames) do
      local lines, say = helpers.log()
      helpers.run(function()
        record_of_cancelled(function()
          pcall(co.sleep, 100)
          open()
          say "never"
        end)
        assert.equal(0, co.now())
      end)
      assert.same({}, lines)
    end
  end)

  co_it("by a scope is raised again in frames that are opened later in its body", seeded, function()
    co.scope(function(s)
      s:cancel()
      pcall(co.sleep, 100)
      co.call(co.sleep, 5)
    end)
    assert.equal(0, co.now())
  end)

  co_it("goes on where the func that has swallowed it returns", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local swallow = co.func(function() pcall(co.sleep, 100) end)
      local _, task = record_of_cancelled(function()
        swallow()
        say "never"
        error "nor this"
      end)
      assert.equal("cancelled", task:status())
    end)
    assert.same({}, lines)
  end)

  co_it("does not become a panic: the task ends as cancelled though it returns", seeded, function()
    local _, task = record_of_cancelled(function()
      pcall(co.sleep, 100)
      return "result"
    end)
    assert.equal("cancelled", task:status())
  end)

  co_it("passes through co.pcall", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      record_of_cancelled(function()
        say(co.pcall(co.sleep, 100))
        say "never"
      end)
    end)
    assert.same({}, lines)
  end)

  co_it("can not be recovered: recover returns nil", function()
    local recovered = "nothing yet"
    local _, task = record_of_cancelled(function()
      co.call(function()
        co.defer(function() recovered = table.pack(co.recover()) end)
        co.sleep(100)
      end)
    end)
    assert.same({ n = 1 }, recovered)
    assert.equal("cancelled", task:status())
  end)
end)

describe("a deferred call of a cancelled task", function()
  co_it("may sleep, send, join and open scopes", function()
    local lines, say = helpers.log()
    local ch = co.chan()
    local receiver = co.spawn(function() return (ch:recv()) end)
    record_of_cancelled(function()
      co.defer(function()
        co.sleep(1)
        ch:send "sent"
        say(receiver:await())
        co.scope(function(s)
          s:spawn(function()
            co.sleep(1)
            say "child"
          end)
        end)
        say "end"
      end)
      co.sleep(100)
    end)
    assert.same({ "sent", "child", "end" }, lines)
  end)

  co_it("may use a time-out of its own", function()
    local lines, say = helpers.log()
    record_of_cancelled(function()
      co.defer(function()
        local ok, record = co.with_timeout(2, co.sleep, 100)
        say(ok, record.kind, co.now())
      end)
      co.sleep(100)
    end)
    assert.same({ "false timeout 2" }, lines)
  end)

  co_it("may cancel a scope of its own: the task still ends with what was asked of it", function()
    local record = record_of_cancelled(function()
      co.defer(function() assert.equal("x", co.recover()) end)
      co.defer(function()
        co.scope(function(s)
          s:cancel "of the scope"
          co.sleep(1)
        end)
        co.panic "x"
      end)
      co.sleep(100)
    end)
    assert.equal("stop", record.reason)
  end)

  co_it("is over before anybody is told that the task has ended", function()
    local lines, say = helpers.log()
    record_of_cancelled(function()
      co.defer(function()
        co.sleep(1)
        say "deferred"
      end)
      co.sleep(100)
    end)
    say "joined"
    assert.same({ "deferred", "joined" }, lines)
  end)

  co_it("is shielded from another cancellation", function()
    local lines, say = helpers.log()
    local task = co.spawn(function()
      co.defer(function()
        co.sleep(5)
        say(co.now())
      end)
      co.sleep(100)
    end)
    co.yield()
    task:cancel "first"
    co.sleep(1)
    task:cancel "second"
    assert.equal("first", select(2, task:join()).cancellation.reason)
    assert.same({ "5" }, lines)
  end)

  co_it("runs once though the body swallowed the cancellation many times", function()
    local lines, say = helpers.log()
    record_of_cancelled(function()
      co.defer(say, "deferred")
      for _ = 1, 10 do
        pcall(co.sleep, 100)
      end
    end)
    assert.same({ "deferred" }, lines)
  end)
end)

describe("a cancellation", function()
  co_it("does not take the place of a panic in flight", function()
    local task = co.spawn(function()
      co.defer(co.sleep, 10)
      co.panic "x"
    end)
    co.yield()
    task:cancel()
    local _, record = task:join()
    assert.equal("x", record.value)
    assert.equal("panicked", task:status())
  end)

  co_it("comes after a panic that was recovered meanwhile", function()
    local lines, say = helpers.log()
    local task = co.spawn(function()
      co.call(function()
        co.defer(function()
          co.sleep(10)
          say(co.recover())
        end)
        co.panic "x"
      end)
      say "returned"
      co.yield()
      say "never"
    end)
    co.yield()
    task:cancel()
    task:join()
    assert.equal("cancelled", task:status())
    assert.equal(2, #lines)
    assert.matches("^x ", lines[1])
    assert.equal("returned", lines[2])
  end)

  co_it("reaches the children that wait in the task's scope, with parent for their source", function()
    local child
    record_of_cancelled(function()
      co.scope(function(s) child = s:spawn(co.sleep, 100) end)
    end)
    assert.equal("parent", select(2, child:join()).cancellation.source)
  end)

  co_it("says in its report who asked, and why", seeded, function()
    local text = tostring(record_of_cancelled(co.sleep, 100))
    helpers.assert_contains("stop", text)
    helpers.assert_contains('"main"', text)
  end)

  co_it("has plain data for its JSON form", seeded, function()
    local plain = record_of_cancelled(co.sleep, 100):to_table()
    assert.same({ "cancelled", "explicit", "stop", "main" },
      { plain.kind, plain.source, plain.reason, plain.cancelled_by.name })
  end)
end)
