local co = require "coropanic"

local function report()
  local _, record = co.recover() --> C102
  print("recovered:", record ~= nil)
end

local serve = co.func(function()
  co.defer(function()
    report()
  end)
  co.panic "no tea"
end)

print("served:", (pcall(serve)))
--[[ prints
recovered:	false
served:	false
]]
