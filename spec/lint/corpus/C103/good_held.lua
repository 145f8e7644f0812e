local co = require "coropanic"

co.call(function()
  for i = 1, 2 do
    local _ <close> = co.defer(print, "closed", i) -- runs at the end of the block
  end
  while true do
    co.defer(print, "the loop comes here once")
    break
  end
  for name in pairs { [co.defer(print, "what the loop goes over is made once")] = true } do
    if name then co.defer(print, "and left at once") end
    return
  end
end)

co.call(function()
  for _, name in ipairs { "sigterm", "sigint" } do
    co.defer(print, name) -- coropanic: ignore C103: two signals, for as long as the program runs
  end
end)
--[[ prints
closed	1
closed	2
and left at once
what the loop goes over is made once
the loop comes here once
sigint
sigterm
]]
