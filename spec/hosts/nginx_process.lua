--- The real nginx for specs: in a folder of its own, on a free port.

local socket = require "socket"
local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

--- Seconds to wait for what nginx does.
local PATIENCE_SECONDS = 30

---@class spec.nginx
---@field port integer
---@field folder string
---@field private child fun(signal: string): integer
local nginx = {}
nginx.__index = nginx

local nginx_process = {}

--- Calls `get` until it returns a true value, and returns that.
function nginx_process.eventually(what, get)
  local finish = socket.gettime() + PATIENCE_SECONDS
  repeat
    local value = get()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > finish
  error("this has not come in time: " .. what, 2)
end

local function fill_in(text, values) return (text:gsub("%$(%l+)", values)) end

--- Starts it with a configuration of the checkout.
---@param configuration string  # a file
---@param adapt? fun(text: string, values: table): string  # else `$folder`, `$here`, `$port` and `$user` are
---  replaced by the values
---@return spec.nginx
function nginx_process.start(configuration, adapt)
  local self = setmetatable({ folder = host.make_folder() }, nginx)
  local text = host.read(host.HERE .. "/" .. configuration)
  self.port, self.child = server_process.start("/usr/sbin/nginx", function(port)
    local values = { folder = self.folder, here = host.HERE, port = port, user = io.popen("id -un"):read "l" }
    host.write(self.folder .. "/nginx.conf", (adapt or fill_in)(text, values))
    return { "-p", self.folder, "-c", self.folder .. "/nginx.conf", "-e", self.folder .. "/error.log" }
  end)
  return self
end

--- Its error log.
---@return string
function nginx:log() return host.read(self.folder .. "/error.log") end

local function plain(text) return (text:gsub("%p", "%%%0")) end

--- How often the log has the text, literally.
---@return integer
function nginx:count(text) return select(2, self:log():gsub(plain(text), "")) end

--- Waits until the log has the text, literally.
function nginx:wait_for(text)
  nginx_process.eventually(text, function() return self:log():find(text, 1, true) end)
end

--- Connects and sends a request. The answer's end is that of the connection.
---@param path string
---@param headers string?  # lines that end with "\r\n"
function nginx:send(path, headers)
  local connection = assert(socket.connect("127.0.0.1", self.port))
  connection:settimeout(PATIENCE_SECONDS)
  assert(connection:send(("GET %s HTTP/1.0\r\nHost: x\r\n%s\r\n"):format(path, headers or "")))
  return connection
end

--- Sends a request and reads the answer.
---@return integer code, string body, string head
function nginx:get(path, headers)
  local connection = self:send(path, headers)
  local text, _, part = connection:receive "*a"
  connection:close()
  text = text or part
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  if not head then return 0, text, "" end
  return math.tointeger(tonumber(head:match "^%S+ (%d+)")), body, head
end

--- Ends it; it has to end well.
function nginx:stop()
  assert(self.child "sigquit" == 0, "nginx has failed")
  os.execute("rm -r " .. self.folder)
end

return nginx_process
