local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  co.spawn(function() co.panic("child") end)
  co.sleep(0.05)
  P("not reached")
end)
