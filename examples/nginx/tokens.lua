--- The tokens that clients send, as Redis knows them: over nginx's cosockets, which park the task that asks.
--- nginx keeps the connections.

local co = require "coropanic"

local ngx = ngx

local HOST = "127.0.0.1"
local CONNECTIONS = 8        -- kept by each worker
local TIMEOUT_MS = 1000      -- for each step
local IDLE_MS = 60000

local tokens = {}

--- Sets where Redis listens.
---@param port integer
function tokens.connect(port) tokens.port = port end

local function check(value, err)
  if not value then
    co.panic { code = "TOKENS_UNAVAILABLE", message = "Redis: " .. tostring(err) }
  end
  return value
end

--- GET of a key. Who fails half-way leaves an answer unread: such a connection is closed.
---@return string?
local get = co.func(function(key)
  local socket = ngx.socket.tcp()
  local is_whole = false
  co.defer(function()
    if is_whole then
      socket:setkeepalive(IDLE_MS, CONNECTIONS)
    else
      socket:close()
    end
  end)
  socket:settimeouts(TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_MS)
  check(socket:connect(HOST, tokens.port))
  check(socket:send(("*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n"):format(#key, key)))
  local head = check(socket:receive "*l")
  local length = tonumber(check(head:match "^%$(%-?%d+)$", head))
  local value = length >= 0 and check(socket:receive(length + 2)):sub(1, length) or nil
  is_whole = true
  return value
end)

--- What is known of a token.
---@param token string
---@return "valid" | "expired" | nil state
function tokens.look_up(token)
  local state = get("token:" .. token)
  return state
end

return tokens
