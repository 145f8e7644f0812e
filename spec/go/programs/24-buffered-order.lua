local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local c = co.chan(2)
  c:send(1)
  c:send(2)
  co.spawn(function()
    c:send(3)
    c:close()
  end)
  for v in c:iter() do
    P(v)
  end
  local v, ok = c:recv()
  P(v or 0, ok) -- Go's zero value is Lua's nil
end)
