local co = require "coropanic"

co.run(function()
  local task = co.spawn(function()
    error "no tea"
  end)
  task:join() --> C106
  print "all is well"
end)
--[[ prints
all is well
]]
