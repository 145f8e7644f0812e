--- Connected sockets for specs.

local socket = require "coropanic.socket"
local co = require "coropanic"

local socket_pair = {}

--- A server socket on 127.0.0.1, and the port that the system gave it.
function socket_pair.listen(backlog)
  local listener = assert(socket.bind("127.0.0.1", 0, backlog))
  local _, port = listener:getsockname()
  return listener, math.tointeger(tonumber(port))
end

--- Two connected sockets.
function socket_pair.connected()
  local listener, port = socket_pair.listen()
  local client = assert(socket.connect("127.0.0.1", port))
  local server = assert(listener:accept())
  listener:close()
  return client, server
end

--- Runs a test in a task with two connected sockets.
function socket_pair.with_pair(fn)
  co.run(function()
    local client, server = socket_pair.connected()
    fn(client, server)
    client:close()
    server:close()
  end)
end

--- Fills the buffers between two sockets: what is sent next has to wait.
---@return integer sent
function socket_pair.fill(sender)
  local block, total = sender:gettimeout()
  sender:settimeout(0)
  local text, sent = ("x"):rep(65536), 0
  repeat
    local done, _, partial = sender:send(text)
    sent = sent + (done or partial)
  until not done
  sender:settimeout(block)
  sender:settimeout(total, "t")
  return math.tointeger(sent)
end

--- Lets what is ready run, and what becomes ready by it.
function socket_pair.settle()
  for _ = 1, 20 do
    co.yield()
  end
end

return socket_pair
