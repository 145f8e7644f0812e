-- How often a program touches memory that is in no cache, counted by valgrind's cachegrind. It knows no
-- prefetching: what is counted is how many lines are touched, whether a hint has brought them near or not.

local isolated = require "isolated"

local misses = {}

-- The caches are given, so that they are the same on every machine. The last one is smaller than what the
-- paths go through in a round.
local TOOL = "--tool=cachegrind --cache-sim=yes --I1=32768,8,64 --D1=32768,8,64 --LL=262144,8,64"
  .. " --cachegrind-out-file"

--- Reads the sums of cachegrind's file: https://valgrind.org/docs/manual/cg-manual.html
---@param lines fun(): string?
---@return integer  # reads and writes of data that missed all caches
function misses.parse(lines)
  local events, sum = {}, 0
  for line in lines do
    local names, counts = line:match "^events: (.*)$", line:match "^summary: (.*)$"
    if names then
      for name in names:gmatch "%S+" do events[#events + 1] = name end
    elseif counts then
      local i = 0
      for count in counts:gmatch "%d+" do
        i = i + 1
        if events[i] == "DLmr" or events[i] == "DLmw" then sum = sum + math.tointeger(count) end
      end
    end
  end
  return sum
end

--- Starts counting.
---@param program isolated.program
---@return fun(): integer  # waits for it
function misses.start(program)
  local wait = isolated.start(TOOL, program)
  return function()
    local file <close> = wait()
    return misses.parse(file:lines())
  end
end

return misses
