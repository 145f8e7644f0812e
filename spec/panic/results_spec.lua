local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.results", function()
  it("gives a deferred call the frame's results, nils included", function()
    local got
    co.call(function()
      co.defer(function() got = table.pack(co.results()) end)
      return "a", nil, "c", nil
    end)
    assert.same({ n = 4, "a", nil, "c", nil }, got)
  end)

  it("gives nothing when the frame panics", function()
    local count
    co.call(function()
      co.defer(function()
        co.recover()
        count = select("#", co.results())
      end)
      co.panic "x"
    end)
    assert.equal(0, count)
  end)

  it("leaves the results as they are", function()
    assert.equal("a", co.call(function()
      co.defer(function() co.results() end)
      return "a"
    end))
  end)

  it("sees what a deferred call before has set", function()
    local got
    co.call(function()
      co.defer(function() got = co.results() end)
      co.defer(co.call, function() end)
      co.defer(function() co.set_results "changed" end)
      return "original"
    end)
    assert.equal("changed", got)
  end)

  it("is about the frame whose deferred call asks, not about an inner one", function()
    local got
    co.call(function()
      co.defer(function()
        co.call(function() return "inner" end)
        got = co.results()
      end)
      return "outer"
    end)
    assert.equal("outer", got)
  end)
end)

describe("co.set_results", function()
  it("replaces what the frame returns", function()
    local results = table.pack(co.call(function()
      co.defer(function() co.set_results(nil, "changed", nil) end)
      return "original"
    end))
    assert.same({ n = 3, nil, "changed", nil }, results)
  end)

  it("makes the frame return nothing when called with nothing", function()
    assert.equal(0, select("#", co.call(function()
      co.defer(function() co.set_results() end)
      return "original"
    end)))
  end)

  it("gives a recovered frame something to return", function()
    assert.equal("caught x", co.call(function()
      co.defer(function() co.set_results("caught " .. co.recover()) end)
      co.panic "x"
    end))
  end)

  it("does not stop a panic", function()
    local record = helpers.record_of(co.func(function()
      co.defer(function() co.set_results "unseen" end)
      co.panic "x"
    end))
    assert.equal("x", record.value)
  end)

  it("keeps the last results that were set", function()
    assert.equal("outer", co.call(function()
      co.defer(function() co.set_results "outer" end)
      co.defer(function() co.set_results "inner" end)
    end))
  end)

  it("keeps what was set before a panic that a later deferred call recovers", function()
    assert.equal("kept", co.call(function()
      co.defer(function() co.recover() end)
      co.defer(function() co.set_results "kept" end)
      co.panic "x"
    end))
  end)

  co_it("changes what a task returns to whoever joins it", seeded, function()
    local task = co.spawn(function()
      co.defer(function() co.set_results("changed", nil) end)
      return "original"
    end)
    assert.same({ n = 3, true, "changed", nil }, table.pack(task:join()))
  end)

  it("changes what co.run returns", function()
    assert.equal("changed", helpers.run(function()
      co.defer(function() co.set_results "changed" end)
      return "original"
    end))
  end)
end)
