--- examples/echo.lua as a program of its own, with clients of all kinds.

local socket = require "socket"
local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

describe("examples/echo.lua", function()
  local clients, output, stop, port

  local function start(settings)
    output = os.tmpname()
    local environment = host.environment()
    for _, setting in ipairs(settings) do
      environment[#environment + 1] = setting
    end
    port, stop = server_process.start("sh", function(free_port)
      return { "-c", ("exec %s %s examples/echo.lua %d >%s 2>&1"):format(
        os.getenv "TEST_WRAPPER" or "", os.getenv "LUA" or "lua5.4", free_port, output) }
    end, environment)
  end

  local function connect()
    local client = assert(socket.connect("127.0.0.1", port))
    client:settimeout(60)
    clients[#clients + 1] = client
    return client
  end

  local function ask(client, line)
    client:send(line .. "\n")
    return client:receive()
  end

  --- Ends the server as Ctrl-C does, and returns what it has printed.
  local function interrupt()
    assert.equal(0, stop "sigint")
    stop = nil
    return host.read(output)
  end

  before_each(function() clients = {} end)

  after_each(function()
    if stop then
      stop()
    end
    for _, client in ipairs(clients) do
      client:close()
    end
    os.remove(output)
  end)

  it("sends lines back to several clients", function()
    start {}
    local first, second = connect(), connect()
    assert.equal("one", ask(first, "one"))
    assert.equal("two", ask(second, "two"))
    assert.equal("three", ask(first, "three"))
  end)

  it("says bye to a client that is silent for too long", function()
    start { "IDLE_SECONDS=0.05" }
    assert.equal("bye: timeout", connect():receive())
  end)

  it("ends the connection that panics, and no other", function()
    start {}
    local good, bad = connect(), connect()
    assert.equal("one", ask(good, "one"))
    assert.equal("bye: the client wants it so", ask(bad, "panic"))
    assert.equal("two", ask(good, "two"))
    assert.match('panic: the client wants it so\n\ntask %d+ "client %d+" panicked', interrupt())
  end)

  it("lets clients wait that are too many", function()
    start { "CLIENTS=1" }
    local first, second = connect(), connect()
    second:send "second\n"
    assert.equal("first", ask(first, "first"))
    first:close()
    assert.equal("second", second:receive())
  end)

  it("says bye to all clients at Ctrl-C, and ends", function()
    start {}
    local client = connect()
    assert.equal("one", ask(client, "one"))
    assert.match("client 2\tthe server stops\nstopped\n$", interrupt())
    assert.equal("bye: the server stops", client:receive())
  end)
end)
