local co = require "coropanic"

local ok, record = pcall(co.run, function()
  local answers = co.chan()
  answers:send("tea") --> C108
  print(answers:recv())
end)
print(ok, record.kind)
--[[ prints
false	deadlock
]]
