local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)

describe("co.defer", function()
  local lines, say

  before_each(function() lines, say = helpers.log() end)

  it("runs the last deferred call first", function()
    co.call(function()
      co.defer(say, 1)
      co.defer(say, 2)
      co.defer(say, 3)
    end)
    assert.same({ "3", "2", "1" }, lines)
  end)

  it("fixes the arguments when it is called", function()
    local x = "then"
    co.call(function()
      co.defer(say, x)
      x = "now"
    end)
    assert.same({ "then" }, lines)
  end)

  it("keeps nils among the arguments", function()
    local got
    co.call(function() co.defer(function(...) got = table.pack(...) end, nil, "b", nil) end)
    assert.same({ n = 3, nil, "b", nil }, got)
  end)

  it("discards what the deferred call returns", function()
    assert.equal("result", co.call(function()
      co.defer(function() return "discarded" end)
      return "result"
    end))
  end)

  it("waits for the end of the function, not of the block", function()
    co.call(function()
      for i = 1, 2 do
        co.defer(say, "deferred", i)
        say("round", i)
      end
    end)
    assert.same({ "round 1", "round 2", "deferred 2", "deferred 1" }, lines)
  end)

  it("runs thousands of calls, each once", function()
    local sum = 0
    co.call(function()
      for i = 1, 5000 do
        co.defer(function() sum = sum + i end)
      end
    end)
    assert.equal(5000 * 5001 / 2, sum)
  end)

  it("accepts anything that can be called", function()
    local object = setmetatable({}, { __call = function(_, word) say(word) end })
    co.call(function() co.defer(object, "called") end)
    assert.same({ "called" }, lines)
  end)

  it("takes a function of C", function()
    local list = {}
    co.call(function() co.defer(table.insert, list, "x") end)
    assert.same({ "x" }, list)
  end)

  co_it("works in the body of a task without co.func", function()
    co.scope(function()
      co.defer(say, "deferred")
      say "body"
    end)
    assert.same({ "body", "deferred" }, lines)
  end)

  it("gives each deferred call a frame of its own", function()
    co.call(function()
      co.defer(say, "last")
      co.defer(function()
        co.defer(say, "inner")
        say "outer"
      end)
    end)
    assert.same({ "outer", "inner", "last" }, lines)
  end)

  describe("runs its call", function()
    it("when the function panics", function()
      helpers.record_of(co.func(function()
        co.defer(say, "deferred")
        co.panic "x"
      end))
      assert.same({ "deferred" }, lines)
    end)

    it("when the function raises an error", function()
      helpers.record_of(co.func(function()
        co.defer(say, "deferred")
        error "x"
      end))
      assert.same({ "deferred" }, lines)
    end)

    it("when the VM raises an error", function()
      helpers.record_of(co.func(function()
        co.defer(say, "deferred")
        return nil + 1
      end))
      assert.same({ "deferred" }, lines)
    end)

    it("when a pcall further out catches the error", function()
      pcall(co.func(function()
        co.defer(say, "deferred")
        error "x"
      end))
      assert.same({ "deferred" }, lines)
    end)

    it("in all frames that a panic passes, inner ones first", function()
      local inner = co.func(function()
        co.defer(say, "inner")
        co.panic "x"
      end)
      helpers.record_of(co.func(function()
        co.defer(say, "outer")
        inner()
      end))
      assert.same({ "inner", "outer" }, lines)
    end)

    it("after another deferred call has panicked", function()
      helpers.record_of(co.func(function()
        co.defer(say, "first")
        co.defer(co.panic, "x")
        co.defer(say, "third")
      end))
      assert.same({ "third", "first" }, lines)
    end)

    co_it("when the task exits", function()
      co.scope(function()
        co.spawn(function()
          co.defer(say, "deferred")
          co.goexit()
        end)
      end)
      assert.same({ "deferred" }, lines)
    end)

    co_it("when the task is cancelled", function()
      co.scope(function()
        local task = co.spawn(function()
          co.defer(say, "deferred")
          co.sleep(100)
        end)
        co.sleep(1)
        task:cancel()
      end)
      assert.same({ "deferred" }, lines)
    end)

    it("when the run ends before the task", function()
      helpers.run(function()
        co.spawn_with({ daemon = true }, function()
          co.defer(say, "deferred")
          co.sleep(100)
        end)
        co.yield()
      end)
      assert.same({ "deferred" }, lines)
    end)

    it("when all tasks are in a deadlock", function()
      helpers.record_of_run(function()
        co.defer(say, "deferred")
        co.await(function() end)
      end)
      assert.same({ "deferred" }, lines)
    end)
  end)

  describe("lets a deferred call suspend", function()
    co_it("when the function returns", function()
      co.call(function()
        co.defer(say, "second")
        co.defer(function()
          co.sleep(1)
          say "first"
        end)
      end)
      say "after"
      assert.same({ "first", "second", "after" }, lines)
    end)

    co_it("while a panic unwinds", function()
      local record
      record = helpers.record_of(co.func(function()
        co.defer(say, "second")
        co.defer(function()
          co.sleep(1)
          say "first"
        end)
        co.panic "x"
      end))
      assert.same({ "first", "second" }, lines)
      assert.equal("x", record.value)
    end)

    co_it("and recover after that", function()
      co.call(function()
        co.defer(function()
          co.sleep(1)
          say(co.recover() == "x" and "recovered")
        end)
        co.panic "x"
      end)
      say "after"
      assert.same({ "recovered", "after" }, lines)
    end)

    co_it("while the task is cancelled: it is shielded", function()
      local task = co.spawn(function()
        co.defer(function()
          co.sleep(5)
          say("cleaned up at", co.now())
        end)
        co.sleep(100)
      end)
      co.sleep(1)
      local start = co.now()
      task:cancel()
      task:join()
      assert.equal(5, co.now() - start)
      assert.equal(1, #lines)
    end)
  end)
end)
