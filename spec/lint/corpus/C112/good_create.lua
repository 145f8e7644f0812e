local co = require "coropanic"

co.run(function()
  local numbers = coroutine.wrap(function()
    for i = 1, 2 do
      co.spawn(co.sleep, 0.001) -- not in this coroutine
      coroutine.yield(i)
    end
  end)
  print(numbers(), numbers())
  do
    local coroutine = co.coroutine
    print(coroutine.wrap(function()
      co.sleep(0.001)
      return "slept"
    end)())
  end
end)
--[[ prints
1	2
slept
]]
