-- Times the hot paths side by side with what they are measured against, in interleaved rounds of one
-- process, and prints the median of the rounds' ratios with their spread. Lower is better.

local co = require "coropanic"
local floor = require "floor"

local ROUNDS = 9

local function time(fn)
  collectgarbage()
  collectgarbage "stop"
  local start = os.clock()
  fn()
  local spent = os.clock() - start
  collectgarbage "restart"
  return spent
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

--- Runs ours and theirs in turn and prints the ratio.
---@param name string
---@param count integer  # operations in one call of each
---@param ours fun()
---@param theirs fun()
---@param target string
local function compare(name, count, ours, theirs, target)
  local ratios, own, other = {}, {}, {}
  for i = 1, ROUNDS do
    own[i], other[i] = time(ours), time(theirs)
    ratios[i] = own[i] / other[i]
  end
  local middle = median(ratios)
  print(("%-34s %8.1f ns %8.1f ns   ratio %6.3f (%.3f to %.3f)   target %s"):format(name,
    median(own) / count * 1e9, median(other) / count * 1e9, middle, ratios[1], ratios[#ratios], target))
end

print(("%-34s %11s %11s"):format("", "ours", "theirs"))

-- Memory first, while no thread is pooled.
do
  local n = 10000
  local function park_coroutine() coroutine.yield() end
  local function park_task() co.yield() end
  local keep = {}
  collectgarbage() collectgarbage()
  local before = collectgarbage "count"
  for i = 1, n do
    keep[i] = coroutine.create(park_coroutine)
    coroutine.resume(keep[i])
  end
  collectgarbage() collectgarbage()
  local bare = (collectgarbage "count" - before) * 1024 / n
  local own
  co.run(function()
    collectgarbage() collectgarbage()
    local start = collectgarbage "count"
    for _ = 1, n do co.spawn(park_task) end
    co.yield()
    collectgarbage() collectgarbage()
    own = (collectgarbage "count" - start) * 1024 / n
  end)
  print(("%-34s %8.0f B  %8.0f B    ratio %6.3f   target 1.25"):format("a parked task / a bare coroutine",
    own, bare, own / bare))
end

for _, n in ipairs { 2, 1000, 100000 } do
  local rounds = math.max(400000 // n, 20)
  local function loop(yield) while true do yield() end end
  compare(("switch, %d tasks / bare C loop"):format(n), n * rounds, function()
    co.run(function()
      local yield = co.yield
      for _ = 1, n do co.spawn(function() for _ = 1, rounds do yield() end end) end
    end)
  end, function() floor.switch(n, rounds, loop) end, "1.2")
end

local function nothing() end

compare("spawn and end / coroutine.wrap(f)()", 100000, function()
  co.run(function()
    local spawn, yield = co.spawn, co.yield
    for _ = 1, 1000 do
      for _ = 1, 100 do spawn(nothing) end
      yield()
    end
  end)
end, function()
  for _ = 1, 100000 do coroutine.wrap(nothing)() end
end, "1.0")

local guarded = co.func(nothing)
compare("co.func, nothing deferred / pcall", 500000, function()
  for _ = 1, 500000 do guarded() end
end, function()
  for _ = 1, 500000 do pcall(nothing) end
end, "1.25")

compare("the same in a task / in a coroutine", 500000, function()
  co.run(function() for _ = 1, 500000 do guarded() end end)
end, coroutine.wrap(function()
  while true do
    for _ = 1, 500000 do pcall(nothing) end
    coroutine.yield()
  end
end), "1.25")

local closing = setmetatable({}, { __close = nothing })
local defer = co.defer
local deferring = co.func(function() for _ = 1, 100 do defer(nothing) end end)
compare("co.defer, registered and run / <close>", 200000, function()
  for _ = 1, 2000 do deferring() end
end, function()
  for _ = 1, 2000 do
    for _ = 1, 100 do local _ <close> = closing end
  end
end, "1.5 (issue of its own)")

local function deep(n, fail)
  if n == 0 then fail "x" end
  deep(n - 1, fail)
  return 1
end
local recover = co.recover
local stopping = co.func(function()
  defer(function() recover() end)
  deep(10, co.panic)
end)
compare("panic, 10 frames / xpcall traceback", 20000, function()
  for _ = 1, 20000 do stopping() end
end, function()
  for _ = 1, 20000 do xpcall(deep, debug.traceback, 10, error) end
end, "0.025")

compare("panic, 10 frames / pcall and error", 20000, function()
  for _ = 1, 20000 do stopping() end
end, function()
  for _ = 1, 20000 do pcall(deep, 10, error) end
end, "3.5 (issue of its own)")
