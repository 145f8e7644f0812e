local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("a task local", function()
  co_it("has a value of its own in each task, which children do not inherit", seeded, function()
    local l = co.task_local "default"
    l:set "main's"
    local child = co.spawn(function()
      local before = l:get()
      l:set "child's"
      co.yield()
      return before, l:get()
    end)
    assert.same({ "default", "child's" }, { child:await() })
    assert.equal("main's", l:get())
  end)

  it("has a value in the main program", function()
    local l = co.task_local()
    assert.is_nil(l:get())
    l:set(1)
    helpers.run(function() assert.is_nil(l:get()) end)
    assert.equal(1, l:get())
  end)

  it("keeps a nil that was set, and false", function()
    local l = co.task_local "default"
    l:set(nil)
    assert.is_nil(l:get())
    l:set(false)
    assert.is_false(l:get())
  end)

  co_it("is the same in the functions and coroutines of a task", seeded, function()
    local l = co.task_local()
    l:set "task's"
    assert.equal("task's", co.call(l.get, l))
    assert.equal("task's", coroutine.wrap(function() return l:get() end)())
  end)

  co_it("goes with its task", seeded, function()
    local held = setmetatable({}, { __mode = "k" })
    local l = co.task_local()
    co.scope(function()
      co.spawn(function()
        local value = { co.current() }
        held[value] = true
        l:set(value)
      end):join()
    end)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
  end)
end)
