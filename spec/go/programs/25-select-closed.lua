local co = require "coropanic"
local P = require "go.println"

co.run(function()
  local c = co.chan()
  c:close()
  local index, v, ok = co.select(1, c)
  if index == 1 then
    P("closed", v or 0, ok)
  else
    P("late")
  end
end)
