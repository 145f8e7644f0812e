local co = require "coropanic"

co.run(function()
  local left, right = co.chan(1), co.chan(1)
  left:send "left"
  print((select(2, co.select(nil, left, right))))
  print(co.select(nil, { right, 1 }, left))
  local either = left
  either = right
  print(co.select(0, either, right) > 0) -- which channel that is depends on the way

  local pipe = co.chan()
  co.spawn(function() pipe:send "from another task" end)
  print((pipe:recv()))
  local function both(channel)
    channel:send "kept"
    return channel:recv()
  end
  print((both(co.chan(1))))
end)
--[[ prints
left
1
true
from another task
kept
]]
