-- What a user of the guest must not notice: the names of its variables, its coroutines, its integers.
local co = require "coropanic"

describe("a function that the runtime calls", function()
  for name, call in pairs {
    ["co.await"] = function() co.await(function() error "lost" end) end,
    ["co.trace.span"] = function() co.trace.span("a", function() error "lost" end) end,
  } do
    it("is shown by its place if an error unwinds " .. name, function()
      local _, record = co.run(function() return co.pcall(call) end)
      assert.truthy(tostring(record):find "^[^\t]*\t[^\n\t]*in function <", tostring(record))
    end)
  end
end)

describe("a coroutine of co.coroutine in a task", function()
  it("goes on where it was after each sleep of the task in it", function()
    local seen = co.run(function()
      local generate = co.coroutine.wrap(function()
        co.sleep(0.001)
        co.coroutine.yield "first"
        co.yield()
        return "second"
      end)
      return generate() .. generate()
    end)
    assert.equal("firstsecond", seen)
  end)
end)

describe("the virtual clock", function()
  it("counts in floats where Lua has them, as the real one", function()
    local slept = co.run_with({ clock = "virtual" }, function()
      local start = co.now()
      co.sleep(3600)
      return co.now() - start
    end)
    assert.equal(tostring(3600.0), tostring(slept))
  end)
end)
