--- A redis-server of its own for a spec, on a free port, that keeps nothing.

local server_process = require "spec.server_process"
local uv = require "luv"

local redis_server = {}

--- Starts it and returns when it accepts connections.
---@return integer port, fun() stop
function redis_server.start()
  local directory = assert(uv.fs_mkdtemp "/tmp/redis_spec_XXXXXX")
  local port, stop = server_process.start("redis-server", function(port)
    return { "--port", tostring(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory,
      "--logfile", "/dev/null" }
  end)
  return port, function()
    stop()
    uv.fs_rmdir(directory)
  end
end

return redis_server
