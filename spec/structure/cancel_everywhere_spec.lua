-- A program that uses everything that can suspend is cancelled at each of its suspension points in turn.

local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

--- Counts how often each deferred call was promised, and how often it ran.
local function new_ledger()
  local ledger = { promised = {}, ran = {} }
  function ledger.defer(name)
    ledger.promised[name] = (ledger.promised[name] or 0) + 1
    co.defer(function()
      ledger.ran[name] = (ledger.ran[name] or 0) + 1
      co.yield()
    end)
  end
  return ledger
end

--- Workers take numbers from a channel and put their squares into another.
local function squares_of(ledger, count)
  local numbers, squares = co.chan(), co.chan(2)
  local sum = 0
  co.scope(function(s)
    ledger.defer "squares"
    s:spawn_with({ name = "producer" }, function()
      ledger.defer "producer"
      for i = 1, count do
        numbers:send(i)
      end
      numbers:close()
    end)
    for _ = 1, 2 do
      s:spawn_with({ name = "worker" }, function()
        ledger.defer "worker"
        local next_number = numbers:iter() -- in Lua 5.1 the iterator of a loop can't suspend
        local i = next_number()
        while i do
          co.sleep(0.5)
          squares:send(i * i)
          i = next_number()
        end
      end)
    end
    for _ = 1, count do
      sum = sum + squares:recv()
    end
  end)
  return sum
end

--- Two tasks share a counter; the body looks on until a time-out.
local function count_under_lock(ledger, mutex)
  local count = 0
  co.with_timeout(10, function()
    ledger.defer "counting"
    for _ = 1, 2 do
      co.spawn(function()
        ledger.defer "counter"
        mutex:lock()
        co.defer(mutex.unlock, mutex)
        local before = count
        co.sleep(1)
        count = before + 1
      end)
    end
  end)
  return count
end

local function time_out(ledger)
  return (co.with_timeout(1, function()
    ledger.defer "slow"
    co.select(nil, co.chan(), co.ctx():done())
    co.sleep(100)
  end))
end

local function supervise(ledger)
  local joined
  co.supervise(function(s)
    ledger.defer "supervisor"
    local task = s:spawn(function()
      ledger.defer "failing"
      co.sleep(1)
      co.panic "expected"
    end)
    joined = select(2, task:join())
  end)
  return joined.value
end

describe("a program that is cancelled at each suspension point in turn", function()
  local ledger, mutex, result

  local function program()
    ledger, mutex, result = new_ledger(), co.mutex(), nil
    ledger.defer "program"
    local sum = squares_of(ledger, 3)
    local count = count_under_lock(ledger, mutex)
    local in_time = time_out(ledger)
    local value = supervise(ledger)
    result = { sum, count, in_time, value }
  end

  it("comes to its result when it is left alone", function()
    helpers.run(program)
    assert.same({ 14, 2, false, "expected" }, result)
    assert.same(ledger.promised, ledger.ran)
  end)

  it("runs every deferred call exactly once, and leaves nothing", function()
    local outcomes = {}
    local points = test.cancel_everywhere({}, program, function(_, task)
      local status = task:status()
      outcomes[status] = (outcomes[status] or 0) + 1
      assert.same(ledger.promised, ledger.ran)
      assert.is_false(mutex:locked())
      assert.equal(1, #co.tasks()) -- who asks
    end)
    assert.same({}, co.tasks())
    assert.is_nil(co.timeout())
    assert.is_true(points > 5)
    assert.equal(points, outcomes.cancelled)
  end)

  it("does so in whatever order tasks run", function()
    for seed = 1, 10 do
      test.cancel_everywhere({ seed = seed }, program, function()
        assert.same(ledger.promised, ledger.ran)
        assert.is_false(mutex:locked())
      end)
    end
    assert.same({}, co.tasks())
  end)
end)

describe("a scope of a program", function()
  it("can be cancelled at any moment from outside: the program goes on", function()
    for tenth = 0, 30 do
      local ledger = new_ledger()
      helpers.run(function()
        local scope
        co.spawn(function()
          co.sleep(tenth / 10)
          scope:cancel()
        end)
        co.scope(function(s)
          scope = s
          squares_of(ledger, 3)
        end)
        assert.same(ledger.promised, ledger.ran)
      end)
      assert.same({}, co.tasks())
    end
  end)

  it("can time out at any moment: the program goes on", function()
    for tenth = 0, 30 do
      local ledger = new_ledger()
      helpers.run(function()
        local ok, record = co.with_timeout(tenth / 10, squares_of, ledger, 3)
        assert.is_true(ok and record == 14 or record.kind == "timeout")
        assert.same(ledger.promised, ledger.ran)
      end)
      assert.same({}, co.tasks())
    end
  end)
end)
