--- Seventeen kinds of work that check their own results, interrupted every 20 µs of the time that they have.

local co = require "coropanic"

local PREEMPTIONS = 3000 -- after which every worker ends, if it has done a piece of work

local function expect(expected, actual)
  if expected ~= actual then error(("%s expected, got %s"):format(expected, actual), 2) end
end

--- Each function does one piece of work.
local works = {}

function works.arithmetic()
  local sum, product = 0, 1
  for i = 1, 500 do
    sum = sum + i * i
    product = product * i % 1000003
  end
  expect(41791750, sum)
  expect(144305, product)
end

works["strings"] = function()
  local parts = {}
  for i = 1, 100 do parts[#parts + 1] = ("%03d"):format(i) .. ":" end
  local text = table.concat(parts)
  expect(400, #text)
  expect("050:", text:sub(197, 200))
  local reversed = text:reverse():reverse()
  expect(text, reversed)
end

works["a comparator"] = function()
  local list = {}
  for i = 1, 100 do list[i] = i * 37 % 101 end
  table.sort(list, function(a, b) return a > b end)
  for i = 1, 100 do expect(101 - i, list[i]) end
end

works["a callback of gsub"] = function()
  local n = 0
  local text = ("ab"):rep(50):gsub("a", function()
    n = n + 1
    return tostring(n % 10)
  end)
  expect(50, n)
  expect("1b2b3b4b5b6b7b8b9b0b", text:sub(1, 20))
end

works["recursion"] = function()
  local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
  end
  expect(144, fib(12))
  local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end
  expect(300, deep(300))
end

works["errors in pcall"] = function()
  local function fail(n)
    if n == 0 then error({ code = 7 }, 0) end
    local ok, err = pcall(fail, n - 1)
    expect(false, ok)
    error(err, 0)
  end
  local ok, err = pcall(fail, 10)
  expect(false, ok)
  expect(7, err.code)
  local handled, text = xpcall(fail, function(e) return e.code + 1 end, 3)
  expect(false, handled)
  expect(8, text)
end

works["panics and deferred calls"] = function()
  local log = {}
  local run = co.func(function(n)
    for i = 1, 5 do co.defer(table.insert, log, i) end
    co.defer(function()
      local value = co.recover()
      expect(n, value.n)
      co.set_results(value.n + 1)
    end)
    co.panic { n = n }
  end)
  expect(42, run(41))
  expect("54321", table.concat(log))
end

works["channels"] = function()
  local there, back = co.chan(), co.chan(2)
  local task = co.spawn(function()
    local sum = 0
    for value in there:iter() do
      sum = sum + value
      back:send(value * 2)
    end
    return sum
  end)
  for i = 1, 20 do
    there:send(i)
    expect(2 * i, (back:recv()))
  end
  there:close()
  expect(210, task:await())
end

works["nested coroutines"] = function()
  local function numbers(n)
    return co.coroutine.wrap(function()
      for i = 1, n do co.coroutine.yield(i) end
    end)
  end
  local function pairwise()
    return co.coroutine.wrap(function()
      for a in numbers(5) do
        for b in numbers(5) do co.coroutine.yield(a * b) end
      end
    end)
  end
  local sum = 0
  for product in pairwise() do sum = sum + product end
  expect(225, sum)
end

works["coroutines in a comparator"] = function()
  local function count()
    local n = 0
    for _ = 1, 200 do n = n + 1 end
    co.coroutine.yield(n)
    for _ = 1, 200 do n = n + 1 end
    return n
  end
  local list = { 5, 3, 8, 1 }
  table.sort(list, function(a, b)
    local counter = co.coroutine.wrap(count)
    expect(200, counter())
    expect(400, counter())
    return a < b
  end)
  expect("1 3 5 8", table.concat(list, " "))
end

works["coroutines of Lua's library"] = function()
  local sum = 0
  for i in coroutine.wrap(function()
    for i = 1, 50 do coroutine.yield(i) end
  end) do
    sum = sum + i
  end
  expect(1275, sum)
end

local vector = {}
vector.__index = vector
vector.__add = function(a, b) return setmetatable({ x = a.x + b.x }, vector) end
vector.__eq = function(a, b) return a.x == b.x end
vector.__lt = function(a, b) return a.x < b.x end
vector.__concat = function(a, b)
  return (type(a) == "table" and a.x or a) .. "," .. (type(b) == "table" and b.x or b)
end
vector.__call = function(self, n) return self.x * n end
vector.__len = function(self) return self.x end

works["metamethods"] = function()
  local function new(x) return setmetatable({ x = x }, vector) end
  local sum = new(0)
  for i = 1, 30 do sum = sum + new(i) end
  expect(465, sum.x)
  expect(true, new(1) < new(2))
  expect(true, new(3) == new(3))
  expect("1,2,3", new(1) .. (new(2) .. new(3)))
  expect(10, new(5)(2))
  expect(9, #new(9))
end

works["iterators and closures"] = function()
  local function upto(n)
    local i = 0
    return function()
      i = i + 1
      if i <= n then return i, i * 2 end
    end
  end
  local sum = 0
  for i, double in upto(50) do sum = sum + double - i end
  expect(1275, sum)
  local count = 0
  for _ in pairs { 1, 2, 3, a = 4, b = 5 } do count = count + 1 end
  expect(5, count)
end

works["variable arguments"] = function()
  local function count(...)
    if select("#", ...) == 0 then return 0 end
    return 1 + count(select(2, ...))
  end
  expect(30, count(table.unpack({}, 1, 30)))
  local packed = table.pack((function(...) return ... end)(1, nil, 3, nil))
  expect(4, packed.n)
  expect(3, packed[3])
end

works["garbage with finalizers"] = function()
  local made = {}
  for i = 1, 20 do
    made[i] = setmetatable({ i = i }, {
      __gc = function(object)
        if object.i < 1 or object.i > 20 then error "spoilt" end
      end,
    })
  end
  collectgarbage "step"
  local sum = 0
  for i = 1, 20 do sum = sum + made[i].i end
  expect(210, sum)
end

local shared = { lock = co.mutex(), low = 0, high = 0 }

works["data under a mutex"] = function()
  for _ = 1, 10 do
    shared.lock:lock()
    expect(shared.low, shared.high)
    shared.low = shared.low + 1
    for _ = 1, 20 do
    end
    shared.high = shared.high + 1
    shared.lock:unlock()
  end
end

works["tasks that are cancelled"] = function()
  local cleaned = 0
  local children = {}
  for i = 1, 5 do
    children[i] = co.spawn(function()
      co.defer(function() cleaned = cleaned + 1 end)
      while true do
        if i % 2 == 0 then co.yield() end
      end
    end)
  end
  co.yield()
  for i = 1, 5 do children[i]:cancel(i) end
  for i = 1, 5 do
    local ok, record = children[i]:join()
    expect(false, ok)
    if record.reason then expect(i, record.reason) end
  end
end

describe("under ticks of 20 µs", function()
  it("all kinds of work give the right results, and each one gets its turns", function()
    -- A step of a generational collector is a collection of all that other specs have left.
    local mode = collectgarbage "incremental"
    co.preempt { slice = 0.00002 }
    finally(function()
      co.preempt(false)
      collectgarbage(mode)
    end)
    local before = co.stats().preemptions
    local done = {}
    co.run(function()
      co.scope(function(s)
        for name, work in pairs(works) do
          done[name] = 0
          for _ = 1, 2 do
            s:spawn(function()
              repeat
                work()
                done[name] = done[name] + 1
              until co.stats().preemptions - before > PREEMPTIONS
            end)
          end
        end
      end)
    end)
    for name, count in pairs(done) do assert.is_true(count >= 2, name) end
    assert.equal(shared.low, shared.high)
    assert.equal(0, #co.tasks())
  end)
end)
