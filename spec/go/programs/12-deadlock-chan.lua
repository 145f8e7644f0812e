local co = require "coropanic"
local P = require "go.println"

--- Nobody sends: what main waits for can not come.
local function receive()
  co.await(function() end)
end

co.run_with({ unhandled = "crash" }, function()
  P("before")
  receive()
end)
