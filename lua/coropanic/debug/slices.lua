--- Lets the other tasks run while something long is made for coropanic.debug.

local co = require "coropanic"

local slices = {}

--- So long a slice may take until the others run: long enough that an answer needs few slices, and short
--- enough that nobody notices.
slices.SECONDS = 0.001

--- Returns a function to call often, at least once in 0.2 ms: it lets the other tasks run if the slice has
--- been long enough. Outside tasks it does nothing.
---@return fun() pause
function slices.new()
  local began = os.clock() -- the time of the processor, which other processes do not use up
  return function()
    if os.clock() - began < slices.SECONDS or not co.current() then return end
    co.yield()
    began = os.clock()
  end
end

return slices
