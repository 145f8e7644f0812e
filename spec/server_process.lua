--- A server of its own for a spec: a program that listens on a free port until the spec has ended.

local uv = require "luv"
local socket = require "socket"

local server_process = {}

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

local function is_up(port)
  local connection = socket.connect("127.0.0.1", port)
  return connection and connection:close()
end

--- Starts it and returns when it accepts connections.
---@param program string
---@param arguments fun(port: integer): string[]
---@return integer port, fun() stop
function server_process.start(program, arguments)
  local port = free_port()
  local exited = false
  local process = assert(uv.spawn(program, {
    args = arguments(port),
    env = { "PATH=" .. os.getenv "PATH" }, -- without libraries that the tests preload
    stdio = { nil, 1, 2 },
  }, function() exited = true end))
  local function stop()
    process:kill "sigkill"
    while not exited do
      uv.run "once"
    end
    process:close()
    uv.run "nowait"
  end
  while not is_up(port) do
    uv.run "nowait"
    assert(not exited, program .. " has ended")
    socket.sleep(0.01)
  end
  return port, stop
end

return server_process
