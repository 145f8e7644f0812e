-- Machine ids that a function of the user's leases: what `hold` promises, and what becomes of a lease.

local co = require "coropanic"
local helpers = require "spec.helpers"
local socket = require "socket"
local co_it = helpers.co_it(it)
local seeded = { seeds = 5 }

local function new_id()
  return co.run(function() return co.trace.current().trace_id end)
end

local function number(hex) return tonumber(hex, 16) end

local EPOCH = 1704067200000

--- Of a snowflake: its unix millisecond, machine and sequence.
local function fields(id)
  local high, low = number(id:sub(1, 8)), number(id:sub(9, 16)) -- not every Lua has 64 bits
  return high * 1024 + math.floor(low / 2 ^ 22) + EPOCH, math.floor(low / 4096) % 1024, low % 4096
end

local function now() return math.floor(socket.gettime() * 1000) end

local function fails(message, fn, ...)
  local ok, why = pcall(fn, ...)
  assert.is_false(ok)
  helpers.assert_contains(message, tostring(why))
end

--- Leases the machine id for ever, and returns the function that it was held with.
local function lease(machine, last, options)
  local held
  options = options or {}
  options.lease = function(hold)
    held = hold
    hold(math.huge)
    return machine, last
  end
  co.trace.use("snowflake", options)
  return held
end

describe("a lease for co.trace.use", function()
  after_each(function() co.trace.use "random" end)

  it("ends when its time is over, and goes on when it is held again", function()
    local hold = lease(601)
    new_id()
    hold(0)
    fails("no trace id: the machine id is not leased any more; call co.trace.use again", new_id)
    assert.is_true(hold(math.huge))
    new_id()
    hold(1e-9)
    fails("the machine id is not leased any more", new_id)
  end)

  co_it("lasts from the moment of asking, by the run's clock", function()
    local function make() co.spawn_with({ detached_trace = true }, co.yield):await() end
    local hold = lease(602)
    hold()
    co.sleep(20)
    hold(20)
    fails("the machine id is not leased any more", make)
    hold()
    hold(1000)
    co.sleep(999)
    make()
    hold(0.95) -- from now on
    make()
    co.sleep(0.9)
    make()
    co.sleep(0.1)
    fails("the machine id is not leased any more", make)
    hold()
    hold()
    hold(1000)
    make()
  end)

  it("lasts by the system's clock where nothing else is said", function()
    local hold = lease(618)
    hold()
    socket.sleep(0.02)
    hold(0.02)
    fails("the machine id is not leased any more", new_id)
    hold()
    socket.sleep(0.01)
    hold(1000)
    new_id()
  end)

  it("is asked about without being changed", function()
    local hold = lease(603)
    assert.same({ true }, { hold() })
    new_id()
    hold(0)
    hold()
    fails("the machine id is not leased any more", new_id)
  end)

  it("tells the millisecond of the last id", function()
    local hold = lease(604)
    assert.is_nil((select(2, hold())))
    local made = fields(new_id())
    assert.same({ true, made }, { hold() })
    for _, use_another in ipairs {
      function() co.trace.use "random" end,
      function() co.trace.use("snowflake", { machine = 605 }) end,
      function() lease(605) end,
      function() co.trace.use("snowflake", { machine = 604 }) end,
    } do
      hold = lease(604)
      made = fields(new_id())
      use_another()
      socket.sleep(0.002)
      new_id()
      assert.same({ false, made }, { hold() })
      new_id()
      co.trace.use "random"
    end
  end)

  it("begins behind the last id that others have made", function()
    local last = now() + 5000
    local hold = lease(606, last, { on_clock_back = "borrow" })
    assert.same({ true, last }, { hold() })
    local made, machine, sequence = fields(new_id())
    assert.same({ last + 1, 606, 0 }, { made, machine, sequence })
  end)

  it("reaches to a time by the wall clock", function()
    local hold = lease(607)
    hold(math.huge, now() - 1)
    fails("no trace id: the clock is ahead of what the machine id is leased for", new_id)
    hold(math.huge, now() + 100000)
    new_id()
    hold(math.huge, 0)
    fails("the clock is ahead", new_id)
    hold(math.huge)
    new_id()
    hold(math.huge, 0)
    co.trace.use("snowflake", { machine = 607 })
    new_id()
  end)

  it("checks what hold is given", function()
    local hold = lease(608)
    fails("bad argument #1 to 'hold' (seconds expected, got a negative number)", hold, -1)
    fails("bad argument #1 to 'hold' (number expected, got string)", hold, "x")
    fails("bad argument #2 to 'hold' (to: integer from 0 to 4503599627370496 expected, got -1)", hold, 1, -1)
    new_id()
  end)

  it("has a machine id that is an integer, and a last millisecond that is one", function()
    local function returns(...)
      local results = table.pack(...)
      return co.trace.use, "snowflake", { lease = function() return table.unpack(results, 1, results.n) end }
    end
    local expected = "co.trace.use: option 'lease': the function returned %s, not a machine id, an "
      .. "integer from 0 to 1023"
    fails(expected:format "nil", returns())
    fails(expected:format "string", returns "7")
    fails(expected:format "1.5", returns(1.5))
    fails(expected:format "-1", returns(-1))
    fails(expected:format "1024", returns(1024))
    expected = "the function returned %s, not the unix millisecond of the last id"
    fails(expected:format "string", returns(609, "7"))
    fails(expected:format "-1", returns(609, -1))
    fails(expected:format "0.5", returns(609, 0.5))
    assert.equal("random", co.trace.use "random")
  end)

  describe("whose last id is ahead of the clock", function()
    it("waits for the clock, and no longer than the tolerance", function()
      local last = now() + 50
      lease(610, last, { on_clock_back = "wait", tolerance = 100 })
      local made = fields(new_id())
      assert.is_true(made > last)
      assert.is_true(now() > last)
      lease(611, now() + 60000, { on_clock_back = "wait", tolerance = 30 })
      fails("no trace id: the clock was set back by more than the generator puts up with", new_id)
    end)

    it("waits for a tenth of a second if nothing is said", function()
      lease(612, now() + 10000)
      fails("the clock was set back", new_id)
    end)

    it("borrows from what is to come, up to the tolerance", function()
      local last = now() + 60000
      lease(613, last, { on_clock_back = "borrow", tolerance = 70 })
      assert.equal(last + 1, (fields(new_id())))
      lease(614, now() + 60000, { on_clock_back = "borrow", tolerance = 30 })
      fails("the clock was set back", new_id)
    end)

    it("borrows ten seconds if nothing is said", function()
      lease(615, now() + 9000, { on_clock_back = "borrow" })
      new_id()
      lease(616, now() + 20000, { on_clock_back = "borrow" })
      fails("the clock was set back", new_id)
    end)

    it("is an error at once, if so wanted", function()
      lease(617, now() + 3000, { on_clock_back = "error", tolerance = 100 })
      fails("the clock was set back", new_id)
    end)
  end)

  describe("that nobody wants", function()
    local held

    local function refuse(why, options)
      held = nil
      local inner = options.lease
      options.lease = function(hold)
        held = hold
        assert.is_true(hold(math.huge))
        return inner()
      end
      fails(why, co.trace.use, "snowflake", options)
    end

    it("is given up when its function raises", function()
      refuse("nothing is free", { lease = function() error "nothing is free" end })
      assert.is_false(held(1))
    end)

    it("is given up when what it returns is wrong", function()
      refuse("not a machine id", { lease = function() return "x" end })
      assert.is_false(held(1))
    end)

    it("is given up when the machine id can not be used", function()
      lease(620)
      new_id()
      co.trace.use "random"
      refuse("co.trace.use: option 'epoch': machine id 620 has made ids since another epoch in this process; "
        .. "with 5 they would not be in order", { lease = function() return 620 end, epoch = 5 })
      assert.is_false(held(1))
      assert.equal("random", co.trace.use "random")
    end)

    co_it("is given up when its function is cancelled", seeded, function()
      local hold
      local in_time, record = co.with_timeout(0.01, co.trace.use, "snowflake", {
        lease = function(h)
          hold = h
          co.sleep(1000)
        end,
      })
      assert.is_false(in_time)
      assert.equal("timeout", record.kind)
      assert.is_false(hold(1))
    end)

    it("is not asked for when another option is wrong", function()
      local function never() error "the lease was asked for" end
      local expected = "bad argument #2 to 'use' (option '%s': "
      for name, value in pairs { epoch = -1, tolerance = -1, on_clock_back = "x" } do
        fails(expected:format(name), co.trace.use, "snowflake", { lease = never, [name] = value })
      end
    end)
  end)

  describe("that overlaps with another call", function()
    --- Begins to lease it in a task of its own, and ends when told. Its `hold`, how to end it, and the task.
    local function begin(machine)
      local l = { go_on = co.event() }
      l.task = co.spawn(co.pcall, co.trace.use, "snowflake", {
        lease = function(hold)
          l.hold = hold
          l.go_on:wait()
          hold(math.huge)
          if machine then return machine end
          error "nothing is free"
        end,
      })
      co.yield()
      return l
    end

    local function finish(l)
      l.go_on:set()
      return l.task:await()
    end

    local function machine_of_new_id()
      local task = co.spawn_with({ detached_trace = true }, function() return co.trace.current().trace_id end)
      return (select(2, fields(task:await())))
    end

    co_it("does not win over a later one that has come to its end", function()
      local first, second = begin(630), begin(631)
      assert.is_true(finish(second))
      local ok, record = finish(first)
      assert.is_false(ok)
      helpers.assert_contains("co.trace.use: another call has chosen the generator while this one waited "
        .. "for its lease", record.message)
      assert.is_false(first.hold())
      assert.is_true(second.hold())
      assert.equal(631, machine_of_new_id())
    end)

    co_it("wins over an earlier one", function()
      local first, second = begin(632), begin(633)
      assert.is_true(finish(first))
      assert.equal(632, machine_of_new_id())
      assert.is_true(finish(second))
      assert.is_false(first.hold())
      assert.equal(633, machine_of_new_id())
    end)

    co_it("does not win over a generator without a machine id", function()
      local first = begin(634)
      co.trace.use "uuid7"
      assert.is_false((finish(first)))
      assert.equal("uuid7", co.trace.use("snowflake", { machine = 635 }))
      first = begin(636)
      co.trace.use("snowflake", { machine = 637 })
      assert.is_false((finish(first)))
      assert.equal(637, machine_of_new_id())
    end)

    co_it("wins if the later one has failed", function()
      local first, second = begin(638), begin(nil)
      assert.is_false((finish(second)))
      assert.is_true(finish(first))
      assert.equal(638, machine_of_new_id())
    end)
  end)
end)
