local co = require "coropanic"

co.run(function()
  local kept
  co.scope(function(s)
    kept = s
    s:spawn(print, "in time")
  end)
  local _, message = pcall(function()
    kept:spawn(print, "too late") --> C109
  end)
  print(message:match ": (.*)")
end)
--[[ prints
in time
'spawn' on a scope that has ended
]]
