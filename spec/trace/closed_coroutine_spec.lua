-- Spans and headers where Lua calls C: coroutines that are closed, and metamethods that cannot suspend.

local co = require "coropanic"
local helpers = require "spec.helpers"

describe("a listener of spans", function()
  it("that closes a coroutine with a span in it hears of no span that it makes itself", function()
    local names = {}
    local thread
    co.trace.on_span(function(span)
      names[#names + 1] = span.name
      if span.name == "outer" then
        co.coroutine.close(thread)
        co.trace.span("made by the listener", function() end)
      end
    end)
    thread = co.coroutine.create(function()
      co.trace.span("in coroutine", function() co.coroutine.yield() end)
    end)
    helpers.run(function()
      co.coroutine.resume(thread)
      co.trace.span("outer", function() end)
    end)
    co.trace.on_span(nil)
    table.sort(names)
    assert.same({ "in coroutine", "main", "outer" }, names)
  end)
end)

describe("headers that are objects", function()
  it("cannot suspend in their metamethods", function()
    helpers.run(function()
      local slow = setmetatable({}, { __index = function() co.sleep(1) end })
      assert.is_false((pcall(co.trace.extract, slow)))
    end)
  end)
end)
