local co = require "coropanic"

co.run(function()
  local stock = co.mutex()
  local function count()
    do
      local _ <close> = stock:guard()
    end
    local _ <close> = stock:guard() -- the first one has gone
    return 3
  end

  print(co.pcall(count))
end)
--[[ prints
true	3
]]
