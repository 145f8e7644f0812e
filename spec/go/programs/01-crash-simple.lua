local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  co.defer(P, "d1")
  co.panic("A")
end)
