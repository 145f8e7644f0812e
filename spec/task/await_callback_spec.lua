local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.await", function()
  co_it("parks the task until the callback comes, and returns its arguments, nils included",
    seeded, function()
    local results = table.pack(co.await(function(resume)
      co.spawn(function()
        co.sleep(1)
        resume(nil, "b", nil)
      end)
    end))
    assert.same({ n = 3, nil, "b", nil }, results)
  end)

  co_it("returns at once when the callback comes before the function returns", seeded, function()
    local before = co.stats().switches
    local results = table.pack(co.await(function(resume) resume("a", nil) end))
    assert.same({ n = 2, "a", nil }, results)
    assert.equal(before, co.stats().switches)
  end)

  co_it("returns nothing when the callback has no arguments", seeded, function()
    assert.equal(0, select("#", co.await(function(resume) resume() end)))
    assert.equal(0, select("#", co.await(function(resume) co.spawn(resume) end)))
  end)

  co_it("lets other tasks run", seeded, function()
    local lines, say = helpers.log()
    co.await(function(resume)
      co.spawn(function()
        say "another"
        resume()
      end)
    end)
    say "resumed"
    assert.same({ "another", "resumed" }, lines)
  end)

  co_it("keeps to the first call of the callback", seeded, function()
    local first = co.await(function(resume)
      resume "first"
      resume "second"
    end)
    assert.equal("first", first)
  end)

  co_it("is not disturbed by a callback that comes again later", seeded, function()
    local again
    co.await(function(resume)
      again = resume
      co.spawn(resume, "first")
    end)
    local task = co.spawn(function() again "late" end)
    assert.equal("second", co.await(function(resume)
      co.spawn(function()
        task:join()
        resume "second"
      end)
    end))
  end)

  co_it("panics when its function does", seeded, function()
    local record = helpers.record_of(co.await, function() co.panic "x" end)
    assert.equal("x", record.value)
    co.sleep(1)
  end)

  co_it("returns the values in the order of the callbacks, whatever the order of the calls", function()
    local lines, say = helpers.log()
    co.scope(function()
      local callbacks = {}
      for i = 1, 3 do
        co.spawn(function() say(i, co.await(function(resume) callbacks[i] = resume end)) end)
      end
      co.yield()
      for _, i in ipairs { 2, 3, 1 } do
        callbacks[i]("value " .. i)
      end
    end)
    assert.same({ "2 value 2", "3 value 3", "1 value 1" }, lines)
  end)

  co_it("works in a deferred call", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      co.defer(function() say(co.await(function(resume) co.spawn(resume, "resumed") end)) end)
    end)
    assert.same({ "resumed" }, lines)
  end)

  co_it("may suspend in its function", seeded, function()
    assert.equal("result", co.await(function(resume)
      co.sleep(1)
      resume "result"
    end))
  end)

  co_it("can be cancelled; the callback may still come", function()
    local callback
    local task = co.spawn(co.await, function(resume) callback = resume end)
    co.yield()
    task:cancel()
    task:join()
    callback "late"
    assert.equal("cancelled", task:status())
  end)

  co_it("does not keep a callback that will never come from being collected", seeded, function()
    local kept = setmetatable({}, { __mode = "k" })
    co.await(function(resume)
      local held = {}
      kept[held] = true
      co.spawn(function()
        resume(held)
        held = nil
      end)
    end)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)

  it("is resumed by a host between two steps", function()
    local callback
    local task = co.spawn(function() return co.await(function(resume) callback = resume end) end)
    co.step(0)
    assert.equal("await", task.waiting_on)
    callback "from the host"
    assert.equal("ready", task:status())
    co.step(0)
    assert.same({ true, "from the host" }, { task:join() })
  end)

  co_it("is resumed from a coroutine of somebody else", seeded, function()
    assert.equal("result", co.await(function(resume)
      coroutine.wrap(function() resume "result" end)()
    end))
  end)
end)

--- What `resume` is told of whether somebody takes the value.
describe("resume of co.await", function()
  --- A task that waits in co.await, and the function that resumes it.
  local function waiting(...)
    local resume
    local task = co.spawn(co.await, function(r) resume = r end, ...)
    co.yield()
    co.yield()
    return task, resume
  end

  co_it("returns true to the first caller and false to the others", function()
    local task, resume = waiting()
    assert.is_true(resume "first")
    assert.is_false(resume "second")
    assert.same({ true, "first" }, { task:join() })
    assert.is_false(resume "third")
  end)

  co_it("returns true in the function of co.await", seeded, function()
    local answers = {}
    local value = co.await(function(resume) answers = { resume "first", resume "second" } end)
    assert.equal("first", value)
    assert.same({ true, false }, answers)
  end)

  co_it("returns false once the task's time is out", seeded, function()
    local resume
    co.with_timeout(1, co.await, function(r) resume = r end)
    assert.is_false(resume "a pooled connection")
  end)

  co_it("returns false when the time runs out in its turn, before the task knows", seeded, function()
    local resume
    local task = co.spawn(co.with_timeout, 1, co.await, function(r) resume = r end)
    co.sleep(1) -- both timers are due: the other's came first
    assert.is_false(resume "late")
    assert.is_false((select(2, task:join())))
  end)

  co_it("returns false when the task has been cancelled, before it has run", function()
    local task, resume = waiting()
    task:cancel()
    assert.is_false(resume "late")
    task:join()
    assert.is_false(resume "later still")
    assert.equal("cancelled", task:status())
  end)

  co_it("returns false when a scope's panic ends the task", function()
    local resume
    local ok = co.pcall(co.scope, function(s)
      s:spawn(co.await, function(r) resume = r end)
      co.yield()
      co.yield()
      error "the scope fails"
    end)
    assert.is_false(ok)
    assert.is_false(resume "late")
  end)

  it("returns false after the end of the run", function()
    local resume
    helpers.run(function()
      co.spawn_with({ daemon = true }, co.await, function(r) resume = r end)
      co.yield()
      co.yield()
    end)
    assert.is_false(resume "late")
  end)

  co_it("returns false when the function of co.await has raised", seeded, function()
    local resume
    co.pcall(co.await, function(r)
      resume = r
      error "not begun"
    end)
    assert.is_false(resume "late")
    co.sleep(1)
  end)

  co_it("returns false while a cancellation ends the function of co.await", seeded, function()
    local resume
    local task = co.spawn(co.await, function(r)
      resume = r
      co.sleep(10)
    end)
    co.sleep(1)
    task:cancel()
    assert.is_false(resume "late")
    task:join()
    assert.is_false(resume "later still")
  end)

  co_it("returns true in a shielded function of a cancelled task, and the value is returned",
    seeded, function()
    local resume, value
    local task = co.spawn(function()
      co.defer(function()
        value = co.await(function(r)
          resume = r
          co.sleep(10)
        end)
      end)
      co.sleep(100)
    end)
    co.sleep(1)
    task:cancel()
    co.sleep(1)
    assert.is_true(resume "for the deferred call")
    task:join()
    assert.equal("for the deferred call", value)
  end)

  co_it("that has returned true is returned, though a cancellation comes in the same turn", function()
    local got, after
    local resume
    local task = co.spawn(function()
      got = co.await(function(r) resume = r end)
      after = true
      co.sleep(1)
      after = "it slept"
    end)
    co.yield()
    co.yield()
    assert.is_true(resume "a pooled connection")
    assert.is_true(task:cancel())
    task:join()
    assert.equal("a pooled connection", got)
    assert.is_true(after)
    assert.equal("cancelled", task:status())
  end)

  co_it("that has returned true is returned, though its scope ends in the same turn", function()
    local resume, got, scope
    local task = co.spawn(co.scope, function(s)
      scope = s
      got = co.await(function(r) resume = r end)
      co.sleep(1)
      got = "it slept"
    end)
    co.yield()
    co.yield()
    assert.is_true(resume "in time")
    scope:cancel()
    task:join()
    assert.equal("in time", got)
  end)

  co_it("lets a pool give its value to the next who waits", seeded, function()
    local queue = {}
    local function take() return co.await(function(resume) table.insert(queue, resume) end) end
    local function put(value)
      while not table.remove(queue, 1)(value) do end
    end
    local impatient = co.spawn(co.with_timeout, 1, take)
    local cancelled = co.spawn(take)
    local patient = co.spawn(take)
    co.sleep(2)
    cancelled:cancel()
    put "the connection"
    assert.same({ true, "the connection" }, { patient:join() })
    impatient:join()
    cancelled:join()
  end)

  co_it("is refused by one of its values' finalizers, which runs while it decides", function()
    local task, resume = waiting()
    local said = {}
    local function finalizer() said.finalizer = resume "the finalizer's" or said.finalizer end
    for _ = 1, 1000 do -- garbage that is due at some allocation of resume's
      setmetatable({}, { __gc = finalizer })
    end
    local first = resume("a", "b", "c")
    collectgarbage()
    local results = table.pack(task:join())
    assert.equal(first and "a" or "the finalizer's", results[2])
    assert.equal(first, not said.finalizer)
  end)
end)
