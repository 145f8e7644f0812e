local co = require "coropanic"
local P = require "go.println"

local try = co.func(function(i)
  co.defer(function()
    local r = co.recover()
    if r ~= nil then
      co.set_results("rescued " .. r)
    end
  end)
  if i == 1 then
    co.panic(i)
  end
  return "ok " .. i
end)

co.run_with({ unhandled = "crash" }, function()
  for i = 0, 2 do
    P(try(i))
  end
end)
