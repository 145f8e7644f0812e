local co = require "coropanic"

co.run(function()
  local pages = co.chan(1)
  pages:send "home"
  local names = coroutine.wrap(function()
    while true do
      coroutine.yield((pages:recv())) --> C112
    end
  end)
  print(names())
  local _, message = pcall(names) -- has to wait
  print(message:match ": ('.-) that")
end)
--[[ prints
home
'recv' inside a coroutine
]]
