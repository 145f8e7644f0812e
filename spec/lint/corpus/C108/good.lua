local co = require "coropanic"

co.run(function()
  local answers = co.chan(1) -- room for one
  answers:send("tea")
  print((answers:recv()))
end)
--[[ prints
tea
]]
