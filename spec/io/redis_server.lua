--- A redis-server of its own for a spec, on a free port, that keeps nothing.

local uv = require "luv"
local socket = require "socket"

local redis_server = {}

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
---@return integer port, fun() stop
function redis_server.start()
  local port = free_port()
  local directory = assert(uv.fs_mkdtemp "/tmp/redis_spec_XXXXXX")
  local exited = false
  local process = assert(uv.spawn("redis-server", {
    args = { "--port", tostring(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory },
    env = { "PATH=" .. os.getenv "PATH" }, -- without libraries that the tests preload
  }, function() exited = true end))
  local function stop()
    process:kill "sigkill"
    while not exited do
      uv.run "once"
    end
    process:close()
    uv.run "nowait"
    uv.fs_rmdir(directory)
  end
  while not is_up(port) do
    uv.run "nowait"
    assert(not exited, "redis-server has ended")
    socket.sleep(0.01)
  end
  return port, stop
end

return redis_server
