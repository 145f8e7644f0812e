--- The service on lua-http: it runs a coroutine for each connection, and one for each of its requests.

require "gateway.debian"

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local headers = require "http.headers"
local server = require "http.server"
local service = require "gateway.service"

--- A semaphore of a condition, as the manual of cqueues shows it.
local semaphore = {}
semaphore.__index = semaphore

local function new_semaphore(permits)
  return setmetatable({ permits = permits, released = condition.new() }, semaphore)
end

function semaphore:acquire()
  while self.permits == 0 do self.released:wait() end
  self.permits = self.permits - 1
end

function semaphore:release()
  self.permits = self.permits + 1
  self.released:signal(1)
end

collectgarbage(arg[1]) -- "generational" or "incremental"

local answer = service.new(new_semaphore, function() cqueues.sleep(0) end)

local function respond(_, stream)
  local request = stream:get_headers()
  if not request then return end -- the client has left, and so may it later
  local status, body = answer(request:get ":method", request:get ":path")
  local response = headers.new()
  response:append(":status", tostring(status))
  response:append("content-type", "application/json")
  response:append("content-length", tostring(#body))
  if stream:write_headers(response, false) then stream:write_body_from_string(body) end
end

local listening = assert(server.listen {
  host = service.HOST,
  port = 0,
  tls = false,
  version = 1.1, -- it need not find out
  onstream = respond,
  connection_setup_timeout = service.IDLE_SECONDS,
  intra_stream_timeout = service.IDLE_SECONDS,
})
assert(listening:listen())
local _, _, port = listening:localname()
print(port)
io.stdout:flush()
assert(listening:loop())
