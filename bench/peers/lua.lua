-- Lua 5.4 itself: coroutines, protected calls, and to-be-closed variables.

local measure = require "peers.measure"
local workloads = require "peers.coroutines"

local PER_BLOCK = measure.PER_BLOCK

function workloads.defer(n)
  local count = 0
  local closing = setmetatable({}, { __close = function() count = count + 1 end })
  local function block()
    for _ = 1, PER_BLOCK do local _ <close> = closing end
  end
  local blocks = n // PER_BLOCK
  local result = measure.time(blocks * PER_BLOCK, function()
    for _ = 1, blocks do block() end
  end)
  measure.expect("closed", count, 2 * blocks * PER_BLOCK)
  return result
end

measure.main(workloads)
