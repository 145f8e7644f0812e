local co = require "coropanic"

co.run(function()
  local pages = co.chan(1)
  pages:send "home"
  local names = co.coroutine.wrap(function()
    while true do
      co.coroutine.yield((pages:recv()))
    end
  end)
  print(names())
  co.spawn(pages.send, pages, "news")
  print(names())
end)
--[[ prints
home
news
]]
