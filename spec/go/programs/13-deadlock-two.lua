local co = require "coropanic"

--- Nobody unlocks.
local function lock()
  co.await(function() end)
end

co.run_with({ unhandled = "crash" }, function()
  co.spawn(function() lock() end)
  lock()
end)
