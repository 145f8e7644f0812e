-- co.order over time: turned off and on, reset, with rules and options given again, and with many objects.
local co = require "coropanic"
local locks = require "spec.order.locks"

local order

local taking = locks.taking

local function warnings_of(...) return #locks.warnings_of(...) end

before_each(function()
  order = co.order { strict = false }
  order:reset()
end)
after_each(function() order:stop() end)

describe("co.order", function()
  it("has room for classes after many locks of one class", function()
    local count = 100
    co.run(function()
      for i = 1, count do
        taking(co.mutex { name = "twin" }, co.mutex { name = "twin" })()
        local other = co.mutex { name = "single " .. i }
        other:lock()
        other:unlock()
      end
    end)
    assert.equal(count + 1, order:stats().classes)
    assert.equal(2 * count, order:stats().instances)
  end)

  it("does not search further in a class that it has warned of", function()
    local accounts = {}
    for i = 1, 40 do accounts[i] = co.mutex { name = "account" } end
    local transfers = {}
    for i = 1, 400 do
      local from, to = accounts[i % 40 + 1], accounts[i * 7 % 40 + 1]
      transfers[i] = from ~= to and taking(from, to) or taking(from)
    end
    assert.equal(1, warnings_of(table.unpack(transfers)))
    assert.equal(0, order:stats().omitted.searches)
  end)

  it("forgets what tasks hold while it is off, in which they may give it back", function()
    local a, b = co.mutex { name = "first" }, co.mutex { name = "second" }
    assert.equal(0, warnings_of(function()
      a:lock()
      order:stop()
      a:unlock()
      co.order()
      b:lock()
      b:unlock()
    end, taking(b, a)))
  end)

  it("knows permits for a lock although some of them were taken before it was on", function()
    local pool = co.semaphore(8, { name = "pool" })
    order:stop()
    local function hoard()
      pool:acquire()
      pool:acquire()
      pool:release(2)
    end
    assert.equal(1, warnings_of(function()
      pool:acquire()
      co.order()
      pool:release()
    end, hoard, hoard))
    assert.equal(0, order:stats().ignored)
  end)

  it("takes all permits of a semaphore for a gate, as long as all are held", function()
    local all = co.semaphore(3)
    local a, b = co.mutex { name = "gated a" }, co.mutex { name = "gated b" }
    local function gated(lock)
      return function()
        all:acquire(3)
        lock()
        all:release(3)
      end
    end
    local function half_gated(lock)
      return function()
        all:acquire(3)
        all:release()
        lock()
        all:release(2)
      end
    end
    assert.equal(0, warnings_of(gated(taking(a, b)), gated(taking(b, a))))
    order:reset()
    assert.equal(1, warnings_of(half_gated(taking(a, b)), half_gated(taking(b, a))))
  end)

  it("stays strict when somebody else turns it on, too", function()
    co.order { strict = true }
    co.order { allow = {} }
    local a, b = co.mutex { name = "strict a" }, co.mutex { name = "strict b" }
    local failed
    warnings_of(taking(a, b), function() failed = not co.pcall(taking(b, a)) end)
    assert.is_true(failed)
  end)

  it("takes a rule that it has for the same rule", function()
    local before = #order:stats().rules
    for _ = 1, 300 do co.order { allow = { { "rule a", "rule b", "a reason" } } } end
    assert.equal(before + 1, #order:stats().rules)
  end)
end)
