--- Requests of which one after the other has a little more memory, until it is enough: each is answered or
--- its connection dropped, the next one without a limit is served, and nothing is held afterwards.

package.path = "./examples/gateway/?.lua;" .. package.path

-- What the gateway stands on elsewhere: sockets that are tables, and a Redis that knows one token.
local closable = {}
closable.__index = closable
function closable:close() self.closed = true end
function closable:is_closing() return self.closed end
function closable.start() end -- of a timer: no time passes

package.loaded.luv = {
  new_timer = function() return setmetatable({ closed = false }, closable) end,
  update_time = function() end,
}
package.loaded.tokens = { look_up = function(token) return token == "alice" and "valid" or nil end }
package.loaded.relay = { forward = function() return {} end }

function closable:read_start(callback)
  local input = self.input
  self.input = nil
  callback(nil, input) -- then the end of the stream
  return true
end
function closable.read_stop() end
function closable:write(bytes, callback)
  self.output = bytes
  callback()
  return true
end
function closable.shutdown(_, callback)
  callback()
  return true
end

local limit = _G.limit -- gateway_spec.c's
local co = require "coropanic"
local connection = require "connection"
local service = require "service"

rawset(io, "stderr", assert(io.open("/dev/null", "w"))) -- the reports of what failed

local gateway = { connections = 0, requests = 0, draining = false }

--- Sends a request, with so many bytes to be had, or any number.
---@return string? status  # nil: dropped
local function ask(request, bytes)
  local handle = setmetatable({ input = request, closed = false }, closable)
  collectgarbage()
  limit(bytes)
  local spawned = pcall(connection.spawn, gateway, handle, "client")
  if spawned then
    pcall(co.sleep, 10) -- virtual; more than a request may take
  end
  limit()
  co.sleep(10)
  assert(gateway.connections == 0, "a connection is still counted")
  assert(service.slots().in_use == 0, "a slot is still held")
  assert(handle.closed or not spawned, "a socket is open")
  return handle.output and handle.output:match "^HTTP/1.1 (%d+)"
end

local BODY = '{"skus":[1,2,3]}'
local HEAD = " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer alice\r\n"
local REQUESTS = {
  "GET /quote/42" .. HEAD .. "\r\n",
  "GET /nowhere" .. HEAD .. "\r\n",
  "POST /quotes" .. HEAD .. "Content-Length: " .. #BODY .. "\r\n\r\n" .. BODY,
}
local STEP = 32 -- bytes

co.run_with({ clock = "virtual", unhandled = function() end }, function()
  for _, request in ipairs(REQUESTS) do
    local right = assert(ask(request))
    local before = limit()
    local bytes, answers, status, refused = 0, {} ---@type integer, table, string?, integer
    repeat
      refused = limit()
      status = ask(request, bytes)
      refused = limit() - refused
      answers[status or "dropped"] = true
      local is_right = status == nil or status == "500" or status == right
      assert(is_right, ("status %s with %d bytes"):format(status, bytes))
      assert(ask(request) == right, "the next request is not served")
      bytes = bytes + STEP
    until refused == 0
    assert(status == right and answers.dropped and limit() > before, "the limit was never reached")
  end
  assert(co.stats().live == 1, "tasks are left")
end)
