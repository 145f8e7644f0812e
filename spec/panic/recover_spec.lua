local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- What `recoverer` returned, as the only deferred call of a function that panics with "x".
local function recover_by(recoverer)
  local got
  local ok = co.pcall(co.func(function()
    co.defer(function() got = table.pack(recoverer()) end)
    co.panic "x"
  end))
  return got, ok
end

describe("co.recover", function()
  it("returns the value of the panic, the identical one", function()
    local value, got = {}, nil
    co.call(function()
      co.defer(function() got = co.recover() end)
      co.panic(value)
    end)
    assert.equal(value, got)
  end)

  it("returns the record too", function()
    local record
    co.call(function()
      co.defer(function() record = select(2, co.recover()) end)
      co.panic "x"
    end)
    assert.equal("x", record.value)
    assert.equal("panic", record.kind)
    assert.is_true(record.recovered)
  end)

  it("lets the caller of the function go on", function()
    local lines, say = helpers.log()
    local f = co.func(function()
      co.defer(function() co.recover() end)
      co.panic "x"
    end)
    co.call(function()
      f()
      say "goes on"
    end)
    assert.same({ "goes on" }, lines)
  end)

  it("lets the remaining deferred calls of the frame run", function()
    local lines, say = helpers.log()
    co.call(function()
      co.defer(say, "remaining")
      co.defer(function() say(co.recover() == "x" and "recovered") end)
      co.panic "x"
    end)
    assert.same({ "recovered", "remaining" }, lines)
  end)

  it("returns nil in the deferred calls after it", function()
    local again = "not called"
    co.call(function()
      co.defer(function() again = co.recover() end)
      co.defer(function() co.recover() end)
      co.panic "x"
    end)
    assert.is_nil(again)
  end)

  it("returns nil the second time in the same deferred call", function()
    local first, second
    co.call(function()
      co.defer(function()
        first = co.recover()
        second = co.recover()
      end)
      co.panic "x"
    end)
    assert.equal("x", first)
    assert.is_nil(second)
  end)

  it("stops a panic of an inner frame in an outer one", function()
    local got
    local inner = co.func(function() co.panic "deep" end)
    co.call(function()
      co.defer(function() got = co.recover() end)
      inner()
    end)
    assert.equal("deep", got)
  end)

  it("stops an error raised with error", function()
    local value, got = {}, nil
    co.call(function()
      co.defer(function() got = co.recover() end)
      error(value)
    end)
    assert.equal(value, got)
  end)

  it("stops an error of the VM, whose value is its message", function()
    local got
    co.call(function()
      co.defer(function() got = co.recover() end)
      return nil + 1
    end)
    assert.matches("recover_spec%.lua:%d+: attempt to perform arithmetic on a nil value", got)
  end)

  it("stops an error of a C function", function()
    local got
    co.call(function()
      co.defer(function() got = co.recover() end)
      string.rep()
    end)
    assert.matches("bad argument #1 to 'rep'", got)
  end)

  it("stops co.panic(nil): the record tells it from no panic", function()
    local value, record
    co.call(function()
      co.defer(function()
        value, record = co.recover()
      end)
      co.panic(nil)
    end)
    assert.is_nil(value)
    assert.equal("panic", record.kind)
  end)

  it("stops co.panic(false)", function()
    local value, record
    co.call(function()
      co.defer(function()
        value, record = co.recover()
      end)
      co.panic(false)
    end)
    assert.is_false(value)
    assert.is_false(record.value)
  end)

  co_it("works in a task's own deferred calls, and the task is done", seeded, function()
    local task = co.spawn(function()
      co.defer(function() co.recover() end)
      co.panic "x"
    end)
    assert.is_true((task:join()))
    assert.equal("done", task:status())
  end)

  it("takes part in the count of recovered panics", function()
    local before = co.stats()
    co.call(function()
      co.defer(function() co.recover() end)
      co.panic "x"
    end)
    local after = co.stats()
    assert.equal(before.recovered + 1, after.recovered)
    assert.equal(before.panics + 1, after.panics)
  end)

  it("stops the panic of a deferred call that its own deferred call recovers, and no other", function()
    local got
    local record = helpers.record_of(co.func(function()
      co.defer(function()
        co.defer(function() got = co.recover() end)
        co.panic "inner"
      end)
      co.panic "outer"
    end))
    assert.equal("inner", got)
    assert.equal("outer", record.value)
    assert.is_false(record.recovered)
  end)

  describe("returns nil, and the panic goes on,", function()
    it("in a helper that the deferred function calls", function()
      local function helper() return (co.recover()) end
      local got, ok = recover_by(function()
        local value = helper()
        return value
      end)
      assert.is_nil(got[1])
      assert.is_false(ok)
    end)

    it("in a helper that the deferred function calls as its tail", function()
      local called = "not called"
      local function helper()
        called = co.recover()
      end
      local ok = co.pcall(co.func(function()
        co.defer(function() return helper() end)
        co.panic "x"
      end))
      assert.is_nil(called)
      assert.is_false(ok)
    end)

    it("in a pcall of the deferred function", function()
      local got
      local ok = co.pcall(co.func(function()
        co.defer(function() got = table.pack(pcall(co.recover)) end)
        co.panic "x"
      end))
      assert.is_true(got[1])
      assert.is_nil(got[2])
      assert.is_false(ok)
    end)

    it("in a metamethod that the deferred function triggers", function()
      local got = "not called"
      local trigger = setmetatable({}, { __index = function() got = co.recover() end })
      local ok = co.pcall(co.func(function()
        co.defer(function() return trigger.field, nil end)
        co.panic "x"
      end))
      assert.is_nil(got)
      assert.is_false(ok)
    end)

    it("in a deferred call of the deferred function", function()
      local got = "not called"
      local ok = co.pcall(co.func(function()
        co.defer(function()
          co.defer(function() got = co.recover() end)
        end)
        co.panic "x"
      end))
      assert.is_nil(got)
      assert.is_false(ok)
    end)

    it("in a frame that the deferred function opens", function()
      local got = "not called"
      local ok = co.pcall(co.func(function()
        co.defer(function()
          co.call(function() got = co.recover() end)
        end)
        co.panic "x"
      end))
      assert.is_nil(got)
      assert.is_false(ok)
    end)

    it("when it is the deferred function itself", function()
      local ok = co.pcall(co.func(function()
        co.defer(co.recover)
        co.panic "x"
      end))
      assert.is_false(ok)
    end)
  end)

  describe("returns nil", function()
    it("when nothing panics", function()
      local got = "not called"
      co.call(function()
        co.defer(function() got = co.recover() end)
      end)
      assert.is_nil(got)
    end)

    it("outside deferred calls", function()
      local got = "not called"
      co.call(function() got = co.recover() end)
      assert.is_nil(got)
    end)

    it("outside any frame", function() assert.is_nil((co.recover())) end)

    co_it("when goexit unwinds", seeded, function()
      local got = "not called"
      co.scope(function()
        co.spawn(function()
          co.defer(function() got = co.recover() end)
          co.goexit()
        end)
      end)
      assert.is_nil(got)
    end)

    co_it("when a cancellation unwinds", function()
      local got = "not called"
      co.scope(function()
        local task = co.spawn(function()
          co.defer(function() got = co.recover() end)
          co.sleep(100)
        end)
        co.yield()
        task:cancel()
      end)
      assert.is_nil(got)
    end)

    it("when another task panics", function()
      local got = "not called"
      helpers.run_reporting(function()
        co.spawn(function()
          co.defer(function()
            co.sleep(2)
          end)
          co.panic "x"
        end)
        co.spawn(function()
          co.sleep(1)
          co.call(function()
            co.defer(function() got = co.recover() end)
          end)
        end)
      end)
      assert.is_nil(got)
    end)
  end)

  describe("as golang/go's test/recover.go and recover1.go have it:", function()
    --- What `fn`, called in a frame, leaves of the panic for the frame around it: its value, or nil.
    local function left_of(fn)
      local _, record = co.pcall(co.call, fn)
      return record and record.value
    end
    local function recover_3() assert.equal(3, (co.recover())) end

    it("a deferred recover is a call of the function that defers it", function()
      assert.is_nil(left_of(function()
        co.defer(function() co.defer(co.recover) end)
        co.panic(4)
      end))
    end)

    it("a recover that is the deferred call itself comes too early", function()
      assert.equal(2, left_of(function()
        co.defer(co.recover)
        co.panic(2)
      end))
    end)

    it("a deferred recover sees the outer panic once the inner one was recovered", function()
      assert.is_nil(left_of(function()
        co.defer(function()
          co.defer(co.recover)
          co.defer(recover_3)
          co.panic(3)
        end)
        co.panic(2)
      end))
    end)

    it("but not while the inner one is in flight", function()
      assert.equal(2, left_of(function()
        co.defer(function()
          co.defer(recover_3)
          co.defer(co.recover)
          co.panic(3)
        end)
        co.panic(2)
      end))
    end)

    it("a deferred function of co.func recovers, directly and by a deferred recover", function()
      assert.is_nil(left_of(function()
        co.defer(co.func(function()
          co.defer(function() end)
          assert.equal(1, (co.recover()))
        end))
        co.panic(1)
      end))
      assert.is_nil(left_of(function()
        co.defer(co.func(function() co.defer(co.recover) end))
        co.panic(1)
      end))
    end)

    it("a function that a deferred function calls in a frame, or protected, does not", function()
      local function in_func(fn) co.func(fn)() end
      local function try(call, fn)
        assert.equal(1, left_of(function()
          co.defer(function() pcall(call, fn) end)
          co.panic(1)
        end))
      end
      for _, call in ipairs { co.call, co.pcall, pcall, in_func } do
        try(call, co.recover)
        try(call, function() co.recover() end)
      end
      try(co.call, function() co.defer(co.recover) end)
      try(in_func, function() co.defer(co.recover) end)
    end)
  end)
end)
