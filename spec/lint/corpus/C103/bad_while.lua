local co = require "coropanic"

local defer = co.defer
local closed = 0

co.call(function()
  local pages = 0
  repeat
    while pages < 5 do
      pages = pages + 1
      if pages % 2 == 0 then
        defer(function() closed = closed + 1 end) --> C103
        break
      end
    end
  until pages >= 4
  print("closed in the loop:", closed)
end)
print("closed at its end:", closed)
--[[ prints
closed in the loop:	0
closed at its end:	2
]]
