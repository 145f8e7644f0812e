local co = require "coropanic"

local server, clients = {}, 0
function server.accept()
  co.sleep(0.001)
  clients = clients + 1
  return clients
end

local MOST = 3
local live, seen = 0, 0

local function serve()
  live = live + 1
  co.defer(function() live = live - 1 end)
  seen = math.max(seen, live)
  co.sleep(0.01)
end

co.run_with({ clock = "virtual" }, function()
  local function accept_some()
    while true do
      local client = server.accept()
      if client and live < MOST then
        co.spawn(serve, client)
      end
    end
  end
  local function accept_one_by_one()
    while true do
      local client = server.accept()
      local task = co.spawn(serve, client)
      task:await()
    end
  end
  local function accept_in_scopes()
    while true do
      co.scope(function(s)
        s:spawn(serve, server.accept())
      end)
    end
  end
  local function accept_few()
    for _ = 1, 3 do co.spawn(serve, server.accept()) end
  end
  for _, accept in ipairs { accept_some, accept_one_by_one, accept_in_scopes, accept_few } do
    seen = 0
    co.with_timeout(1, accept)
    co.sleep(1)
    print(seen)
  end
end)
--[[ prints
3
1
1
3
]]
