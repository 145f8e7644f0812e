local co = require "coropanic"

co.instrument() -- the library is coropanic's from here on

co.run(function()
  print(coroutine.wrap(function()
    co.sleep(0.001)
    return "slept"
  end)())
end)
--[[ prints
slept
]]
