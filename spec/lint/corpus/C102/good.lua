local co = require "coropanic"

local function report()
  local _, record = co.recover()
  print("recovered:", record ~= nil)
end

local serve = co.func(function()
  co.defer(report)
  co.panic "no tea"
end)

print("served:", (pcall(serve)))
--[[ prints
recovered:	true
served:	true
]]
