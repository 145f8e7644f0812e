-- Scopes, and trees of tasks.

local co = require "coropanic"
local measure = require "peers.measure"

local run = co.run

local workloads = {}

local function skynet(parent, first, size)
  if size == 1 then return parent:send(first) end
  local part = size // 10
  local children = co.chan()
  for i = 0, 9 do co.spawn(skynet, children, first + i * part, part) end
  local sum = 0
  for _ = 1, 10 do sum = sum + children:recv() end
  parent:send(sum)
end

function workloads.skynet(n)
  local sum
  local result = measure.time(n, function()
    run(function()
      local root = co.chan()
      co.spawn(skynet, root, 0, n)
      sum = root:recv()
    end)
  end)
  measure.expect("sum", sum, n * (n - 1) // 2)
  return result
end

local FAN_OUT = 10

-- Spawns a tree of scopes whose leaves are `size` tasks, and returns when it is cancelled.
local function tree(size, census)
  census.alive = census.alive + 1
  co.defer(function() census.alive = census.alive - 1 end)
  if size == 1 then return co.sleep(math.huge) end
  co.scope(function(scope)
    for _ = 1, FAN_OUT do scope:spawn(tree, size // FAN_OUT, census) end
  end)
end

function workloads.cancel_tree(n)
  local watch = measure.watch()
  local total = (n * FAN_OUT - 1) // (FAN_OUT - 1) -- of a whole tree
  run(function()
    local census = { alive = 0 }
    local root = co.spawn(tree, n, census)
    while census.alive < total do co.yield() end
    co.yield() -- the last of them park
    watch.start()
    root:cancel()
    root:join()
    watch.stop()
    measure.expect("tasks left", census.alive, 0)
  end)
  return watch.result(total)
end

local PRIVATE = { unhandled = function() end } -- a report of each panic would be what is measured

-- n tasks that end together, so often that enough are timed. `group` is co.scope or co.supervise; the watch
-- runs from `begin(scope)`, which ends the tasks, to the end of the group.
local function endings(n, group, task, begin)
  local watch = measure.watch()
  local times = math.max(measure.ENDINGS // n, 1)
  co.run_with(PRIVATE, function()
    for _ = 1, times do
      co.pcall(group, function(scope)
        for _ = 1, n do scope:spawn(task) end
        co.yield()
        watch.start()
        begin(scope)
      end)
      watch.stop()
    end
  end)
  return watch.result(times * n)
end

function workloads.cancel(n)
  local ended = 0
  local function task()
    co.defer(function() ended = ended + 1 end)
    co.sleep(math.huge)
  end
  local result = endings(n, co.scope, task, function(scope) scope:cancel() end)
  measure.expect("tasks that ended", ended, result.operations)
  return result
end

-- Members that panic, all of them: with a deferred call when they are cancelled because of another's panic.
local function panicking(n, group)
  local panicked = 0
  local event = co.event()
  local function fail()
    panicked = panicked + 1
    error("x", 0)
  end
  local function task()
    co.defer(fail)
    event:wait()
  end
  local result = endings(n, group, task, function()
    event:set()
    event = co.event() -- of the next time
  end)
  measure.expect("tasks that panicked", panicked, result.operations)
  return result
end

function workloads.supervise(n) return panicking(n, co.supervise) end

function workloads.scope(n) return panicking(n, co.scope) end

-- n scopes, each in the one before.
function workloads.nested_scopes(n)
  local times = measure.rounds(n, measure.LEVELS)
  local opened, left = 0, 0
  local function level()
    if left == 0 then return end
    left = left - 1
    opened = opened + 1
    co.scope(level)
  end
  local result = measure.time(times * n, function()
    run(function()
      for _ = 1, times do
        left = n
        level()
      end
    end)
  end)
  measure.expect("scopes opened", opened, 2 * times * n)
  return result
end

return workloads
