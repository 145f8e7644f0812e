-- What the hot paths cost in the guest: `luajit bench/guest.lua`, or any other Lua. Best of five rounds each,
-- in nanoseconds of processor time.

local co = require "coropanic"

local ROUNDS = 5

local function row(name, count, fn)
  fn(1000)
  collectgarbage()
  local best = math.huge
  for _ = 1, ROUNDS do
    local before = os.clock()
    fn(count)
    best = math.min(best, (os.clock() - before) / count * 1e9)
  end
  print(("%-34s %8.0f ns"):format(name, best))
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
    for _ = 1, count do co.yield() end
  end
  local other = co.spawn(turns)
  turns()
  other:join()
end

co.run(function()
  row("func without a defer", 1e6, function(count) for i = 1, count do without_defer(i) end end)
  row("func with a defer", 3e5, function(count) for _ = 1, count do with_defer() end end)
  row("panic and recover", 3e4, function(count) for _ = 1, count do recovering() end end)
  row("spawn and join", 3e4, spawn_and_join)
  row("yield of two tasks, each", 1e5, take_turns)
end)
