local co = require "coropanic"
local P = require "go.println"

co.run(function()
  co.defer(function() P((co.recover())) end)
  local wg = co.waitgroup()
  wg:done()
end)
