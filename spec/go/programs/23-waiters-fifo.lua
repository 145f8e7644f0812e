local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local c, d = co.chan(), co.chan(3)
  for i = 0, 2 do
    co.spawn(function()
      local v = c:recv()
      P("w", i, v)
      d:send(true)
    end)
    for _ = 1, 5 do
      co.yield()
    end
  end
  for v = 10, 12 do
    c:send(v)
    d:recv()
  end
end)
