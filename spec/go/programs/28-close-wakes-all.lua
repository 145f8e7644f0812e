local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local c = co.chan()
  co.scope(function(s)
    for _ = 1, 3 do
      s:spawn(function()
        local _, ok = c:recv()
        P(ok)
      end)
    end
    co.yield()
    c:close()
  end)
end)
