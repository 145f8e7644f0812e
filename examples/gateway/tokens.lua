--- The tokens that clients send, as Redis knows them: redis-lua, written for blocking sockets, over
--- coropanic.socket, so that a task that asks waits and the others go on.
---
--- The connections belong to a task that lives as long as the server. When one breaks, that task fails, its
--- supervisor starts it again with new ones, and who was asking asks again.

local co = require "coropanic"
local resilience = require "coropanic.resilience"
require("coropanic.socket").install() -- what redis-lua gets when it asks for luasocket
-- Debian's lua-redis is plain Lua, and comes without a directory for 5.4.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local redis = require "redis"

local HOST = "127.0.0.1"
local CONNECTIONS = 8 -- a connection serves one task at a time; those who find none free queue up
local ATTEMPTS = 3

local tokens = {}

---@class Connection
---@field client table
---@field faults table  # the channel to which its break is told

local free = co.semaphore(CONNECTIONS)
local is_up = co.event()
local idle = {} ---@type Connection[]  # that nobody uses, at most as many as are free
local faults ---@type table  # the channel of the present connections' task

--- Sets where Redis listens.
---@param port integer
function tokens.connect(port)
  tokens.port = port
end

---@return Connection
local function open() return { client = redis.connect(HOST, tokens.port), faults = faults } end

local function close(connection) connection.client.network.socket:close() end

local function close_all()
  is_up:clear()
  while #idle > 0 do close(table.remove(idle)) end
end

--- Keeps the connections until one of them breaks, and fails with its record: a child of the server's
--- supervisor.
function tokens.keep()
  co.defer(close_all)
  faults = co.chan(1)
  table.insert(idle, open())
  is_up:set()
  error(faults:recv(), 0)
end

--- Who is cancelled or fails half-way leaves an answer unread: such a connection is closed. So is one of the
--- former task's.
local function leave(connection)
  if connection.is_whole and connection.faults == faults then
    table.insert(idle, connection)
  else
    close(connection)
  end
end

local function finish(connection, ok, ...)
  connection.is_whole = ok
  if ok then return ... end
  connection.faults:try_send((...))
  error(..., 0)
end

local ask_once = co.func(function(command, ...)
  is_up:wait()
  free:acquire()
  co.defer(free.release, free)
  local connection = table.remove(idle) or open()
  connection.is_whole = false
  co.defer(leave, connection)
  local client = connection.client
  return finish(connection, co.pcall(client[command], client, ...))
end)

local again = resilience.retry { name = "tokens", attempts = ATTEMPTS }

--- What is known of a token.
---@param token string
---@return "valid" | "expired" | nil state
function tokens.look_up(token)
  local state = again:call(ask_once, "get", "token:" .. token)
  return state
end

return tokens
