--- A server of its own for a spec: a program that listens on a free port until the spec has ended.

local uv = require "luv"
local socket = require "socket"

local server_process = {}

--- A port of 127.0.0.1 that nobody listens on.
---@return integer
function server_process.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

--- Whether somebody listens on it.
---@return boolean
function server_process.is_up(port)
  local connection = socket.connect("127.0.0.1", port)
  return connection ~= nil and connection:close() ~= nil
end

--- Starts it and returns when it accepts connections.
---@param program string
---@param arguments fun(port: integer): string[]
---@param environment string[]?  # `NAME=value`; without it, only PATH: no libraries that the tests preload
---@return integer port, fun(signal: string?): integer stop  # ends it by the signal, or SIGKILL; its status
function server_process.start(program, arguments, environment)
  local port = server_process.free_port()
  local exited, status = false, nil
  local process = assert(uv.spawn(program, {
    args = arguments(port),
    env = environment or { "PATH=" .. os.getenv "PATH" },
    stdio = { nil, 1, 2 },
  }, function(code) exited, status = true, code end))
  local function stop(signal)
    process:kill(signal or "sigkill")
    while not exited do
      uv.run "once"
    end
    process:close()
    uv.run "nowait"
    return status
  end
  while not server_process.is_up(port) do
    uv.run "nowait"
    assert(not exited, program .. " has ended")
    socket.sleep(0.01)
  end
  return port, stop
end

return server_process
