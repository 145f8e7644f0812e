local co = require "coropanic"
local P = require "go.println"

co.run_with({ unhandled = "crash" }, function()
  local c = co.chan()
  P("before")
  c:recv()
end)
