local co = require "coropanic"
local socket = require "coropanic.socket"

co.run(function()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  co.spawn(function()
    local ok, client = pcall(listener.accept, listener)
    assert(ok, client)
    client:send "hello\n"
    client:close()
  end)
  local client = assert(socket.connect("127.0.0.1", port))
  co.defer(client.close, client)
  print((client:receive()))
  listener:close()
end)
--[[ prints
hello
]]
