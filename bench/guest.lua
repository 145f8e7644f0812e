-- What the hot paths cost in the guest: `luajit bench/guest.lua`, or any other Lua; best on one core,
-- `taskset -c 1 luajit bench/guest.lua`. Each round measures all rows, so that what slows the machine down
-- slows all of them; shows the best and the median of the rounds, in nanoseconds of processor time, and the
-- median of what the row costs in bare errors, raised and caught, of the same round.

local co = require "coropanic"

local ROUNDS = 25

local rows = {}

local function row(name, count, fn)
  rows[#rows + 1] = { name = name, count = count, fn = fn, costs = {}, ratios = {} }
end

local function measure(r)
  local before = os.clock()
  r.fn(r.count)
  return (os.clock() - before) / r.count * 1e9
end

--- Sorts the values.
local function median(values)
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

local function identity(value) return value end
local function recover() co.recover() end

local without_defer = co.func(identity)
local with_defer = co.func(function() co.defer(identity, 1) end)
local recovering = co.func(function()
  co.defer(recover)
  co.panic "x"
end)

local function spawn_and_join(count)
  local tasks = {}
  for _ = 1, count / 100 do
    for i = 1, 100 do tasks[i] = co.spawn(identity, 1) end
    for i = 1, 100 do tasks[i]:join() end
  end
end

local function take_turns(count)
  local function turns()
    for _ = 1, count / 2 do co.yield() end
  end
  local other = co.spawn(turns)
  turns()
  other:join()
end

row("a bare error, raised and caught", 3e4, function(count)
  local value = {}
  for _ = 1, count do pcall(error, value) end
end)
row("func without a defer", 1e6, function(count) for i = 1, count do without_defer(i) end end)
row("func with a defer", 3e5, function(count) for _ = 1, count do with_defer() end end)
row("panic and recover", 3e4, function(count) for _ = 1, count do recovering() end end)
row("spawn and join", 3e4, spawn_and_join)
row("yield, one of two tasks", 1e5, take_turns)

co.run(function()
  for _, r in ipairs(rows) do r.fn(3000) end
  for round = 1, ROUNDS do
    for _, r in ipairs(rows) do
      collectgarbage()
      r.costs[round] = measure(r)
      r.ratios[round] = r.costs[round] / rows[1].costs[round]
    end
  end
  for _, r in ipairs(rows) do
    local middle, ratio = median(r.costs), median(r.ratios)
    print(("%-34s %8.0f %8.0f ns %8.2f errors"):format(r.name, r.costs[1], middle, ratio))
  end
end)
