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
  local next_value = c:iter() -- Go's range; Lua 5.1 could not wait in the iterator of a `for`
  local v = next_value()
  while v do
    P(v)
    v = next_value()
  end
  local ok
  v, ok = c:recv()
  P(v or 0, ok) -- Go's zero value is Lua's nil
end)
