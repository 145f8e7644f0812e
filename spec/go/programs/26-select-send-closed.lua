local co = require "coropanic"
local P = require "go.println"

co.run(function()
  co.defer(function()
    P((co.recover()))
  end)
  local c = co.chan()
  c:close()
  co.select(0, { c, 1 })
  P("no")
end)
