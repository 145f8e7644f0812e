-- What is garbage together with objects whose finalizers still use it.

local co = require "coropanic"

describe("a coroutine that is garbage inside a frame", function()
  --- Objects that have such coroutines, and do this with them when they are collected.
  local collect = setmetatable({ released = 0, ended = 0 }, {
    __call = function(self, count, finalize)
      self.released, self.ended = 0, 0
      for _ = 1, count do
        local object = setmetatable({}, { __gc = finalize })
        object.thread = coroutine.create(function()
          co.call(function()
            co.defer(function() self.released = self.released + 1 end)
            co.call(coroutine.yield)
          end)
          self.ended = self.ended + 1
        end)
        coroutine.resume(object.thread)
      end
      for _ = 1, 4 do collectgarbage() end
    end,
  })

  it("goes on when a finalizer resumes it", function()
    collect(10, function(object) coroutine.resume(object.thread) end)
    assert.equal(10, collect.released)
    assert.equal(10, collect.ended)
  end)

  it("runs its deferred calls when a finalizer closes it", function()
    collect(10, function(object) coroutine.close(object.thread) end)
    assert.equal(10, collect.released)
  end)

  it("can be kept by a finalizer, and go on later", function()
    local kept = {}
    collect(10, function(object) kept[#kept + 1] = object.thread end)
    for _ = 1, 4 do collectgarbage() end
    for _, thread in ipairs(kept) do assert(coroutine.resume(thread)) end
    assert.equal(10, collect.ended)
  end)

  it("says why it can't go on, if it has been garbage twice", function()
    local function again(object)
      object.times = (object.times or 0) + 1
      if object.times < 3 then
        setmetatable(object, { __gc = getmetatable(object).__gc })
      else
        object.outcome[1], object.outcome[2] = coroutine.resume(object.thread)
      end
    end
    local outcome = {}
    do
      local object = setmetatable({ outcome = outcome }, { __gc = again })
      object.thread = coroutine.create(function() co.call(coroutine.yield) end)
      coroutine.resume(object.thread)
    end
    for _ = 1, 8 do collectgarbage() end
    assert.is_not_nil(outcome[1])
    if not outcome[1] then assert.truthy(outcome[2]:find "was garbage") end
  end)

  it("leaves frames made afterwards alone", function()
    collect(10, function(object) coroutine.resume(object.thread) end)
    local n = 0
    local function add() n = n + 1 end
    co.call(function() co.defer(add) co.call(co.defer, add) end)
    co.run(function() co.spawn(function() co.defer(add) co.yield() end) end)
    assert.equal(3, n)
  end)
end)
