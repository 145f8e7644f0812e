local co = require "coropanic"

-- Stands for a socket that listens: a client comes each millisecond, and stays for a minute.
local server = { clients = 0 }
function server.accept()
  co.sleep(0.001)
  server.clients = server.clients + 1
  return server.clients
end

local places = co.semaphore(100)

local function serve()
  co.defer(places.release, places)
  co.sleep(60)
end

co.run_with({ clock = "virtual" }, function()
  co.spawn_with({ daemon = true }, function()
    while true do
      places:acquire() -- further clients wait in the system's queue
      local client = server:accept()
      co.spawn_with({ daemon = true }, serve, client)
    end
  end)
  co.sleep(10)
  print("tasks for clients:", co.stats().live > 9000)
end)
--[[ prints
tasks for clients:	false
]]
