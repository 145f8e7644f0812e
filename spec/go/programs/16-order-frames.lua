local co = require "coropanic"
local P = require "go.println"

local h = co.func(function() co.panic("deep") end)

local g = co.func(function()
  co.defer(P, "g first")
  h()
  P("never")
end)

local f = co.func(function()
  co.defer(function() P("f recovers", (co.recover())) end)
  co.defer(P, "f second")
  g()
  P("never")
end)

co.run_with({ unhandled = "crash" }, function()
  f()
  P("back")
end)
