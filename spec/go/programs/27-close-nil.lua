local co = require "coropanic"
local P = require "go.println"

local close = co.chan().close

co.run(function()
  co.defer(function()
    P((co.recover()))
  end)
  close(nil)
end)
