local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.supervise", function()
  co_it("returns the function's results when all its tasks have ended", seeded, function()
    local lines, say = helpers.log()
    local results = table.pack(co.supervise(function(s)
      s:spawn(function()
        co.sleep(1)
        say "child"
      end)
      return "a", nil
    end))
    assert.same({ n = 2, "a", nil }, results)
    say "after"
    assert.same({ "child", "after" }, lines)
  end)

  it("leaves siblings and body alone when a task panics", function()
    local lines, say = helpers.log()
    local reports = helpers.run_reporting(function()
      local result = co.supervise(function(s)
        s:spawn(co.panic, "x")
        s:spawn(function()
          co.sleep(2)
          say "sibling"
        end)
        co.sleep(1)
        say "body"
        return "result"
      end)
      say(result)
    end)
    assert.same({ "body", "sibling", "result" }, lines)
    assert.equal(1, #reports)
  end)

  it("gives each panic to the handler, once", function()
    local reports = helpers.run_reporting(function()
      co.supervise(function(s)
        for i = 1, 3 do
          s:spawn(co.panic, i)
        end
      end)
    end)
    local values = {}
    for i, report in ipairs(reports) do
      values[i] = report.record.value
    end
    table.sort(values)
    assert.same({ 1, 2, 3 }, values)
  end)

  it("gives it to co.on_panic", function()
    local seen
    local previous = co.on_panic(function(record, task) seen = record.value .. " of " .. task.name end)
    finally(function() co.on_panic(previous) end)
    co.run_with({ clock = "virtual" }, function()
      co.supervise(function(s) s:spawn_with({ name = "child" }, co.panic, "x") end)
    end)
    assert.equal("x of child", seen)
  end)

  it("has a panic of a grandchild told to the handler as well", function()
    local reports = helpers.run_reporting(function()
      co.supervise(function(s) s:spawn(co.spawn, co.panic, "x") end)
    end)
    assert.equal(1, #reports)
    assert.equal("x", reports[1].record.value)
  end)

  it("gives the panic to whoever joins the task, and to nobody else", function()
    local seen
    local reports = helpers.run_reporting(function()
      co.supervise(function(s) seen = select(2, s:spawn(co.panic, "x"):join()).value end)
    end)
    assert.equal("x", seen)
    assert.same({}, reports)
  end)

  it("lets the body await a task: then it is the body's panic", function()
    local reports = helpers.run_reporting(function()
      local sibling
      local record = helpers.record_of(co.supervise, function(s)
        sibling = s:spawn(co.sleep, 100)
        s:spawn(co.panic, "x"):await()
      end)
      assert.equal("x", record.value)
      assert.equal("cancelled", sibling:status())
    end)
    assert.same({}, reports)
  end)

  co_it("cancels the tasks when the function itself panics, waits, and panics", function()
    local lines, say = helpers.log()
    local record = helpers.record_of(co.supervise, function(s)
      s:spawn(function()
        co.defer(function()
          co.sleep(5)
          say "child's deferred"
        end)
        co.sleep(100)
      end)
      co.yield()
      co.panic "x"
    end)
    say(record.value)
    assert.same({ "child's deferred", "x" }, lines)
  end)

  it("tells the handler of a panic that follows on the function's own", function()
    local reports = helpers.run_reporting(function()
      helpers.record_of(co.supervise, function(s)
        s:spawn(function()
          co.defer(co.panic, "child")
          co.sleep(100)
        end)
        co.yield()
        co.panic "body"
      end)
    end)
    assert.equal(1, #reports)
    assert.equal("child", reports[1].record.value)
  end)

  co_it("is cancelled as a scope is, by s:cancel", seeded, function()
    local child
    local results = table.pack(co.supervise(function(s)
      child = s:spawn(co.sleep, 100)
      co.yield()
      s:cancel "enough"
      co.yield()
      return "never"
    end))
    assert.equal(0, results.n)
    assert.equal("enough", select(2, child:join()).cancellation.reason)
  end)

  co_it("is cancelled with the task that runs it", function()
    local child
    local owner = co.spawn(co.supervise, function(s) child = s:spawn(co.sleep, 100) end)
    co.yield()
    co.yield()
    owner:cancel()
    owner:join()
    assert.same({ "cancelled", "cancelled" }, { owner:status(), child:status() })
  end)

  it("in a scope keeps panics from it", function()
    local reports = helpers.run_reporting(function()
      local sibling
      co.scope(function(outer)
        sibling = outer:spawn(co.sleep, 1)
        outer:spawn(co.supervise, function(inner) inner:spawn(co.panic, "x") end)
      end)
      assert.equal("done", sibling:status())
    end)
    assert.equal(1, #reports)
  end)

  it("around a scope is told of the task whose scope panicked", function()
    local reports = helpers.run_reporting(function()
      co.supervise(function(outer)
        outer:spawn_with({ name = "worker" }, co.scope, function(inner) inner:spawn(co.panic, "x") end)
      end)
    end)
    assert.equal(1, #reports)
    assert.equal("worker", reports[1].task.name)
    assert.equal("x", reports[1].record.cause.value)
  end)

  it("outside a task is an error", function()
    local _, err = pcall(co.supervise, function() end)
    helpers.assert_contains("'supervise' outside a task: start one with co.run or co.spawn", err)
  end)
end)
