local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local o = co.once(function()
    P("once")
    co.panic("x")
  end)
  local try = co.func(function()
    co.defer(function() P("r", (co.recover())) end)
    o()
  end)
  try()
  try()
end)
