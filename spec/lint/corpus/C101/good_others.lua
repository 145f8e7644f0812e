local co = require "coropanic"

co.run(function()
  local names = { "b", "a" }
  -- What a callback spawns does not run in it.
  table.sort(names, function(a, b)
    co.spawn(co.sleep, 0.001)
    return a < b
  end)
  -- A string is not the only thing that has a method gsub.
  local page = { gsub = function(_, _, fn) return fn() end }
  print(page:gsub("%a", function() co.sleep(0.001) return "slept" end))
  -- A variable that has had two functions may be either.
  local compare = function() co.yield() end
  compare = function(a, b) return a < b end
  table.sort(names, compare)
  local sort = table.sort
  sort(names, function(a, b) return a < b end)
  print(names[1])
end)
--[[ prints
slept
a
]]
