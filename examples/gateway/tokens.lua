--- The tokens that clients send, as Redis knows them: redis-lua, written for blocking sockets, over
--- coropanic.socket, so that a task that asks waits and the others go on.

local co = require "coropanic"
require("coropanic.socket").install() -- what redis-lua gets when it asks for luasocket
-- Debian's lua-redis is plain Lua, and comes without a directory for 5.4.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local redis = require "redis"

local HOST = "127.0.0.1"
local CONNECTIONS = 8 -- a connection serves one task at a time; those who find none free queue up

local tokens = {}

local free = co.semaphore(CONNECTIONS)
local idle = {} ---@type table[]  # connections that nobody uses, at most as many as are free

--- Sets where Redis listens.
---@param port integer
function tokens.connect(port)
  tokens.port = port
end

--- Asks Redis. Whoever is cancelled or fails half-way leaves an answer unread: such a connection is closed.
local ask = co.func(function(command, ...)
  free:acquire()
  co.defer(free.release, free)
  local client = table.remove(idle) or redis.connect(HOST, tokens.port)
  local is_whole = false
  co.defer(function()
    if is_whole then
      table.insert(idle, client)
    else
      client.network.socket:close()
    end
  end)
  local answer = client[command](client, ...)
  is_whole = true
  return answer
end)

--- What is known of a token.
---@param token string
---@return "valid" | "expired" | nil state
function tokens.look_up(token)
  local state = ask("get", "token:" .. token)
  return state
end

--- Closes the connections that nobody uses.
function tokens.disconnect()
  while #idle > 0 do
    table.remove(idle).network.socket:close()
  end
end

return tokens
