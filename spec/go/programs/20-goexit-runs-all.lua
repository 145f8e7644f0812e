local co = require "coropanic"
local P = require "go.println"

local g = co.func(function()
  co.defer(function() P("g recover", (co.recover())) end)
  co.goexit()
end)

local f = co.func(function()
  co.defer(P, "f1")
  g()
  P("never")
end)

co.run_with({ unhandled = "crash" }, function()
  co.spawn(f):join()
  P("main")
end)
