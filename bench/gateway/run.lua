--- Starts one of the servers beside this file and has wrk send it requests, as many at a time as it is told.
--- Usage: run.lua gateway <connections> <collector> coropanic|lua-http

local measure = require "peers.measure"
local service = require "gateway.service"

local LUA = os.getenv "LUA" or "lua5.4"
local WARM_UP_SECONDS = 1
local SECONDS = 3
local WRK = "wrk --threads 1 --connections %d --duration %ds --script bench/gateway/wrk.lua %s -- %s"

local SERVERS = { coropanic = true, ["lua-http"] = true }

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local server = {}
server.__index = server

--- Stops it, whatever it is doing.
function server:__close()
  os.execute(("kill %d 2>/dev/null"):format(self.pid))
  self.output:close() -- waits for its end
end

local function start(name, collector)
  -- The shell says who it is, and becomes the server; the server then says where it listens.
  local output = assert(io.popen(("echo $$; exec %s bench/gateway/%s.lua %s"):format(LUA, name, collector)))
  local started = setmetatable({ output = output, pid = output:read "n" }, server)
  started.port = output:read "n"
  if not started.port then
    started:__close()
    error("the server did not start", 0)
  end
  return started
end

---@return integer answered, number seconds, number p99  # seconds within which 99 of 100 answers came
local function load(port, connections, seconds)
  local url = quoted(("http://%s:%d%s"):format(service.HOST, port, service.PATH))
  local wrk <close> = assert(io.popen(WRK:format(connections, seconds, url, quoted(service.BODY))))
  local output = wrk:read "a"
  local answered, microseconds, p99 = output:match "answered: (%d+) in (%d+) us, p99 (%d+) us\n$"
  if not answered then error(output:match "refused: [^\n]+" or "wrk did not run", 0) end
  return tonumber(answered), tonumber(microseconds) / 1e6, tonumber(p99) / 1e6
end

measure.main {
  gateway = function(connections, name)
    if not SERVERS[name] then error(("no server %q"):format(tostring(name)), 0) end
    local running <close> = start(name, arg[3])
    load(running.port, connections, WARM_UP_SECONDS)
    local answered, seconds, p99 = load(running.port, connections, SECONDS)
    if answered == 0 then error("nothing was answered", 0) end
    return { operations = answered, seconds = seconds, seconds_p99 = p99 }
  end,
}
