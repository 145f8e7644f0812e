local co = require "coropanic"

co.run(function()
  local kept
  co.scope(function(s)
    kept = s
    s:spawn(print, "in time")
    kept:spawn(print, "in time, too")
  end)
  print(kept)
end)
--[[ prints
in time
in time, too
scope (ended)
]]
