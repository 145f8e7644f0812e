local co = require "coropanic"
local socket = require "coropanic.socket"

co.run(function()
  local listener = assert(socket.bind("127.0.0.1", 0))
  co.defer(listener.close, listener)
  local task = co.spawn(function()
    for attempt = 1, 2 do
      local ok = pcall(function() --> C104
        local client = assert(listener:accept())
        client:close()
      end)
      if not ok then print("attempt", attempt) end
    end
  end)
  co.yield()
  task:cancel()
  print("ended well:", (task:join()))
end)
--[[ prints
attempt	1
attempt	2
ended well:	false
]]
