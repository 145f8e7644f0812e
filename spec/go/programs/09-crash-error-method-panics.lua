local co = require "coropanic"

local E = { __tostring = function() co.panic("in Error") end }

co.run_with({ unhandled = "crash" }, function()
  co.panic(setmetatable({ n = 7 }, E))
end)
