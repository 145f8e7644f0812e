--- A gateway for prices, over HTTP, on a free port of the loopback interface. Usage: server.lua REDIS_PORT
--- POST /shutdown, SIGTERM or SIGINT drain it: what has begun is answered, then it ends.

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local co = require "coropanic"
local cjson = require "cjson"
local connection = require "connection"
local inside = require "inside"
local loop = require "loop"
local relay = require "relay"
local resilience = require "coropanic.resilience"
local routes = require "routes"
local service = require "service"
local suppliers = require "suppliers"
local tokens = require "tokens"

local HOST = "127.0.0.1" -- /shutdown asks nobody who they are: do not listen elsewhere
local BACKLOG = 128
local MAX_CONNECTIONS = 512
local DRAIN_SECONDS = 10 -- more than a request may take

---@type Gateway
local gateway = { connections = 0, requests = 0, draining = false, stop = nil }

routes.add("POST", "^/trace%-context$", function(_, request)
  return 200, { calls = relay.forward(request.body) }
end)

routes.add("POST", "^/shutdown$", function(_, request)
  gateway.stop(request.method .. " " .. request.path)
  return 202, { state = "draining" }
end)

-- For the demo, which breaks a supplier for a while.
for state, is_up in pairs { up = true, down = false } do
  routes.add("POST", "^/suppliers/(%l+)/" .. state .. "$", function(_, _, name)
    if not suppliers.set(name, is_up) then
      co.panic { code = "ROUTE_UNKNOWN", message = "there is no such supplier" }
    end
    return 200, { supplier = name, state = state }
  end)
end

--- What lives as long as the gateway. If one of them keeps failing, the gateway ends with its panic.
local keeper = resilience.supervisor {
  name = "gateway", intensity = 10, period = 60, backoff = { min = 0.1, max = 5 },
  children = { { "tokens", tokens.keep }, { "relay", relay.serve } },
}

local function accept(listener)
  local handle = uv.new_tcp()
  assert(listener:accept(handle))
  local peer = handle:getpeername()
  if not peer or gateway.connections >= MAX_CONNECTIONS then
    handle:close()
  else
    connection.spawn(gateway, handle, peer.ip .. ":" .. peer.port)
  end
end

local function listen()
  local listener = uv.new_tcp()
  assert(listener:bind(HOST, 0))
  assert(listener:listen(BACKLOG, function(err)
    if not err then
      accept(listener)
    end
  end))
  return listener
end

local function close(handle)
  if not handle:is_closing() then
    handle:close()
  end
end

local function serve()
  local explorer = inside.begin()
  co.defer(explorer.close, explorer)
  local listener = listen()
  co.defer(close, listener)
  for _, name in ipairs { "sigterm", "sigint" } do
    local signal = uv.new_signal()
    co.defer(close, signal) -- coropanic: ignore C103: two, for as long as the server runs
    signal:start(name, function()
      gateway.stop(name)
    end)
  end
  print(("listening on %s:%d"):format(HOST, listener:getsockname().port))
  print("look inside at " .. explorer.url)
  local reason = co.await(function(resume)
    gateway.stop = function(reason)
      gateway.stop = function() end -- being asked again changes nothing
      resume(reason)
    end
  end)
  print("stopping: " .. reason)
  gateway.draining = true
  close(listener) -- whoever comes now is refused
  for _, name in ipairs(connection.drain(DRAIN_SECONDS)) do
    print("ended before its answer: " .. name)
  end
  print(table.concat(inside.slowest(), "\n"))
end

io.stdout:setvbuf("line")
tokens.connect(assert(math.tointeger(tonumber(arg[1])), "usage: server.lua REDIS_PORT"))
local ok = loop.run("gateway", keeper.call, keeper, serve)
print("ended: " .. cjson.encode {
  requests = gateway.requests, connections = gateway.connections, slots_in_use = service.slots().in_use,
  tasks = co.stats().live,
})
os.exit(ok and 0 or 1, true)
