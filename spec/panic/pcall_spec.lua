local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

describe("co.pcall", function()
  it("returns true and what the function returns, nils included", function()
    local results = table.pack(co.pcall(function(...) return ... end, nil, "b", nil))
    assert.same({ n = 4, true, nil, "b", nil }, results)
  end)

  it("returns false and the record of a panic", function()
    local value = {}
    local ok, record = co.pcall(co.panic, value)
    assert.is_false(ok)
    assert.equal(value, record.value)
    assert.equal("panic", record.kind)
  end)

  it("returns the record of an error, with the stack where it was raised", function()
    local function thrower() error "x" end
    local _, record = co.pcall(function() thrower() end)
    assert.equal("error", record.kind)
    assert.equal("thrower", record.frames[1].name)
  end)

  it("returns nothing after the record", function()
    assert.equal(2, select("#", co.pcall(co.panic, "x")))
  end)

  it("leaves the frame around it alone", function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(say, "deferred")
      co.pcall(co.panic, "x")
      say "goes on"
    end)
    assert.same({ "goes on", "deferred" }, lines)
  end)

  it("is no frame: what the function defers is the frame's around it", function()
    local lines, say = helpers.log()
    co.call(function()
      co.pcall(function() co.defer(say, "deferred") end)
      say "after the pcall"
    end)
    assert.same({ "after the pcall", "deferred" }, lines)
  end)

  it("runs the deferred calls of the frames that it ends", function()
    local lines, say = helpers.log()
    co.pcall(co.func(function()
      co.defer(say, "deferred")
      co.panic "x"
    end))
    say "after the pcall"
    assert.same({ "deferred", "after the pcall" }, lines)
  end)

  co_it("may suspend", seeded, function()
    local ok, word = co.pcall(function()
      co.sleep(1)
      return "slept"
    end)
    assert.same({ true, "slept" }, { ok, word })
  end)

  co_it("catches a panic after a suspension", seeded, function()
    local ok, record = co.pcall(function()
      co.sleep(1)
      co.panic "x"
    end)
    assert.is_false(ok)
    assert.equal("x", record.value)
  end)

  co_it("does not swallow a cancellation", seeded, function()
    local lines, say = helpers.log()
    co.scope(function()
      local task = co.spawn(function()
        co.pcall(co.sleep, 100)
        say "never"
      end)
      co.yield()
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
    end)
    assert.same({}, lines)
  end)

  it("gives a record for what the frame was left with by pcall", function()
    local value = {}
    local _, record = co.pcall(co.func(function()
      local ok, err = pcall(error, value)
      assert(not ok)
      error(err)
    end))
    assert.equal(value, record.value)
  end)
end)

describe("pcall", function()
  it("catches a panic and gets its record", function()
    local value = {}
    local ok, record = pcall(co.panic, value)
    assert.is_false(ok)
    assert.equal(value, record.value)
  end)

  it("gets the record of an error that has passed a frame", function()
    local _, record = pcall(co.func(function() error "x" end))
    assert.equal("error", record.kind)
    assert.matches("pcall_spec%.lua:%d+: x$", record.value)
  end)

  it("gets the bare value of an error that has passed no frame", function()
    local value = {}
    local _, err = pcall(error, value)
    assert.equal(value, err)
  end)

  it("catches co.panic(nil)", function()
    local ok, record = pcall(co.panic, nil)
    assert.is_false(ok)
    assert.is_nil(record.value)
  end)

  it("inside a frame leaves its deferred calls for its end", function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(say, "deferred")
      pcall(co.panic, "x")
      say "goes on"
    end)
    assert.same({ "goes on", "deferred" }, lines)
  end)

  it("ends a panic: recover finds none after it", function()
    local got = "not called"
    co.call(function()
      co.defer(function() got = co.recover() end)
      pcall(co.panic, "x")
    end)
    assert.is_nil(got)
  end)

  it("in a deferred call does not touch the panic that runs it", function()
    local caught
    local record = helpers.record_of(co.func(function()
      co.defer(function() caught = select(2, pcall(co.panic, "inner")) end)
      co.panic "outer"
    end))
    assert.equal("inner", caught.value)
    assert.equal("outer", record.value)
  end)

  co_it("catches what a task's results could not: a later await", seeded, function()
    local child = co.spawn(co.panic, "x")
    local ok, record = pcall(function() child:await() end)
    assert.is_false(ok)
    assert.equal("x", record.value)
  end)
end)

describe("xpcall", function()
  it("gives its handler the record of a panic, on the panicking stack", function()
    local seen
    local function thrower() co.panic "x" end
    xpcall(function() thrower() end, function(record)
      seen = { value = record.value, traceback = debug.traceback() }
    end)
    assert.equal("x", seen.value)
    helpers.assert_contains("thrower", seen.traceback)
  end)
end)
