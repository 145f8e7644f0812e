local co = require "coropanic"

local T = { __name = "T", __tostring = function() return "T!" end }

co.run_with({ unhandled = "crash" }, function()
  co.panic(setmetatable({ n = 7 }, T))
end)
