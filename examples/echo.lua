--- A TCP server that sends each line back: `lua5.4 examples/echo.lua [port]`. It serves so many clients at a
--- time, and ends connections that send nothing for too long, or do not read. Ctrl-C stops it: each client
--- gets a last line before its connection is closed.

local co = require "coropanic"
local socket = require "coropanic.socket"

local PORT = tonumber(arg[1] or 0) -- 0: any free one
local CLIENTS = tonumber(os.getenv "CLIENTS" or 100)
local IDLE_SECONDS = tonumber(os.getenv "IDLE_SECONDS" or 30)
local SEND_SECONDS = 5
local RETRY_SECONDS = 0.1

--- Sends each line back. Returns why there are no more.
---@return string reason
local function converse(client)
  while true do
    client:settimeout(IDLE_SECONDS, "t") -- for the whole line
    local line, err = client:receive "*l"
    if not line then
      return err
    elseif line == "panic" then
      error("the client wants it so", 0)
    end
    client:settimeout(SEND_SECONDS, "t")
    assert(client:send(line .. "\n"))
  end
end

--- Serves one client. However this ends, the client is told the reason, and its connection is closed.
local function serve(client, name, places)
  local reason = "the server stops" -- if nothing else ends it
  co.defer(function()
    client:settimeout(SEND_SECONDS, "t")
    client:send(("bye: %s\n"):format(reason))
    client:close()
    places:release()
    print(name, reason)
  end)
  local ok, result = co.pcall(converse, client) -- lets a cancellation through
  reason = ok and result or result.message
  if not ok then
    io.stderr:write(tostring(result), "\n")
  end
end

local function main()
  local server = assert(socket.bind("127.0.0.1", PORT))
  co.defer(server.close, server)
  local _, port = server:getsockname()
  print("listening on", port)

  local places = co.semaphore(CLIENTS)
  co.supervise(function(connections) -- a panic in one connection leaves the others alone
    for number = 1, math.huge do
      places:acquire() -- further clients wait in the system's queue
      local client, err = server:accept()
      while not client do -- too many open files, or the client has gone
        io.stderr:write("accept: ", err, "\n")
        co.sleep(RETRY_SECONDS)
        client, err = server:accept()
      end
      local name = "client " .. number
      connections:spawn_with({ name = name }, serve, client, name, places)
    end
  end)
end

io.stdout:setvbuf "line"
local ok, record = pcall(co.run, main)
if not ok and record.kind ~= "cancelled" then
  error(record, 0)
end
print "stopped"
