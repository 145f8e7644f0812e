local co = require "coropanic"
local P = require "go.println"

local b = co.func(function()
  co.defer(function()
    (function() P("nested call", (co.recover())) end)()
  end)
  co.defer(co.recover)
  co.panic("v")
end)

local a = co.func(function()
  co.defer(function() P("a", (co.recover())) end)
  b()
end)

co.run_with({ unhandled = "crash" }, function()
  a()
end)
