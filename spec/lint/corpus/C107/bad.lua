local co = require "coropanic"

-- Stands for a socket that listens: a client comes each millisecond, and stays for a minute.
local server = { clients = 0 }
function server.accept()
  co.sleep(0.001)
  server.clients = server.clients + 1
  return server.clients
end

local function serve() co.sleep(60) end

co.run_with({ clock = "virtual" }, function()
  co.spawn_with({ daemon = true }, function()
    while true do
      local client = server:accept()
      co.spawn_with({ daemon = true }, serve, client) --> C107
    end
  end)
  co.sleep(10)
  print("tasks for clients:", co.stats().live > 9000)
end)
--[[ prints
tasks for clients:	true
]]
