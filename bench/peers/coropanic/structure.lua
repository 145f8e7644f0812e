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

return workloads
