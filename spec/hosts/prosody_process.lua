--- The real Prosody for specs: in a folder of its own, on a free port, with the module under test.

local uv = require "luv"
local socket = require "socket"
local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

--- Seconds to wait for what Prosody does; generous, since valgrind runs it too.
local PATIENCE_SECONDS = 60

local CONFIGURATION = [[
run_as_root = true
data_path = "$folder"
pidfile = "$folder/prosody.pid"
certificates = "$folder"
plugin_paths = { "$here/spec/hosts/prosody", "$here/examples/prosody" }
modules_enabled = { "posix", "http", "spec_tasks" }
modules_disabled = { "c2s", "s2s", "tls", "saslauth", "offline" }
http_ports = { $port }
http_interfaces = { "127.0.0.1" }
https_ports = {}
http_default_host = "localhost"
log = { { levels = { min = "info" }, to = "file", filename = "$folder/log" } }
VirtualHost "localhost"
]]

---@class spec.prosody
---@field port integer
---@field private folder string
---@field private child fun(signal: string): integer  # nil if it is a daemon
local prosody = {}
prosody.__index = prosody

local function read(path)
  local file = io.open(path)
  if not file then
    return ""
  end
  local text = file:read "a"
  file:close()
  return text
end

--- Calls `get` until it returns a true value, and returns that.
local function eventually(what, get)
  local finish = socket.gettime() + PATIENCE_SECONDS
  repeat
    local value = get()
    if value then
      return value
    end
    socket.sleep(0.01)
  until socket.gettime() > finish
  error("this has not come in time: " .. what, 3)
end

--- Writes its configuration.
---@return string[] arguments  # of sh
local function prepare(self, settings, port, option)
  local values = { folder = self.folder, here = host.HERE, port = port }
  local text = (settings.server or "") .. CONFIGURATION .. (settings.host or "")
  host.write(self.folder .. "/prosody.cfg.lua", (text:gsub("$(%l+)", values)))
  -- On its output it recommends packages.
  return { "-c", ("exec %s %s /usr/bin/prosody %s --config %s/prosody.cfg.lua >/dev/null"):format(
    os.getenv "TEST_WRAPPER" or "", os.getenv "LUA" or "lua5.4", option, self.folder) }
end

local function new()
  return setmetatable({ folder = host.make_folder() }, prosody)
end

local prosody_process = {}

--- Starts Prosody in the foreground, as its systemd service does.
---@param settings { server: string?, host: string? }?  # lines for its configuration
---@return spec.prosody
function prosody_process.start(settings)
  local self = new()
  self.port, self.child = server_process.start("sh", function(port)
    return prepare(self, settings or {}, port, "-F")
  end, host.environment())
  return self
end

--- Starts it as a daemon, as its init script does.
---@param settings { server: string?, host: string? }?
---@return spec.prosody
function prosody_process.daemonize(settings)
  local self = new()
  self.port = server_process.free_port()
  local status
  uv.spawn("sh", {
    args = prepare(self, settings or {}, self.port, "-D"),
    env = host.environment(),
    stdio = { nil, 1, 2 },
  }, function(code) status = code end)
  while not status do
    uv.run "once"
  end
  assert(status == 0, "Prosody could not daemonize")
  self:wait_for_pid()
  eventually("a listening port", function() return server_process.is_up(self.port) end)
  return self
end

--- Its log.
---@return string
function prosody:log()
  return read(self.folder .. "/log")
end

--- Waits until the log has the text, literally.
---@param text string
function prosody:wait_for(text)
  eventually(text, function() return self:log():find(text, 1, true) end)
end

--- How often the log has the text, literally.
---@param text string
---@return integer
function prosody:count(text)
  return select(2, self:log():gsub(text:gsub("%p", "%%%0"), ""))
end

function prosody:wait_for_pid()
  return eventually("its pid", function() return read(self.folder .. "/prosody.pid"):match "%d+" end)
end

--- Asks it to end, waits until it has, and returns its log. Fails if its status is not 0.
---@return string log
function prosody:stop()
  if self.child then
    assert(self.child "sigterm" == 0, "Prosody has failed")
  else
    local pid = math.tointeger(tonumber(self:wait_for_pid()))
    uv.kill(pid, "sigterm")
    eventually("its end", function() return uv.kill(pid, 0) ~= 0 end)
  end
  local log = self:log()
  os.execute("rm -r " .. self.folder)
  return log
end

return prosody_process
