local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  co.spawn(function() P("other") end)
  co.defer(P, "main d")
  co.goexit()
end)
