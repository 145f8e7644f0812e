--- Connecting by names, to hosts with several addresses.

local co = require "coropanic"
local socket = require "coropanic.socket"
local helpers = require "spec.helpers"
local pair = require "spec.io.socket_pair"

local luasocket = require "socket"

--- Runs `fn` in a task while a name stands for these addresses.
local function with_addresses(addresses, fn)
  local getaddrinfo = luasocket.dns.getaddrinfo
  local found = {}
  for i, address in ipairs(addresses) do
    found[i] = { family = address:find ":" and "inet6" or "inet", addr = address }
  end
  luasocket.dns.getaddrinfo = function() return found end
  local ok, err = pcall(co.run, fn)
  luasocket.dns.getaddrinfo = getaddrinfo
  if not ok then
    error(err, 0)
  end
end

--- A server socket that lets further clients wait until they give up.
local function full_listener(address)
  local listener = assert(luasocket.tcp4())
  listener:setoption("reuseaddr", true)
  assert(listener:bind(address, 0))
  assert(listener:listen(0))
  local _, port = listener:getsockname()
  local clients = {}
  for i = 1, 4 do
    clients[i] = luasocket.tcp4()
    clients[i]:settimeout(0)
    clients[i]:connect(address, port)
  end
  return listener, math.tointeger(tonumber(port)), clients
end

describe("a host with several addresses", function()
  it("is reached by the one that answers, however many do not", function()
    local listener, port = pair.listen()
    with_addresses({ "127.0.0.7", "::1", "127.0.0.8", "127.0.0.9", "127.0.0.1" }, function()
      local client = assert(socket.connect("db.example", port))
      assert.equal("127.0.0.1", (client:getpeername()))
      client:settimeout(0)
      assert.same({ nil, "timeout", "" }, { client:receive() })
      client:close()
      local four = socket.tcp4()
      assert.same({ 1 }, { four:connect("db.example", port) })
      four:close()
    end)
    listener:close()
  end)

  it("is refused if all of them refuse", function()
    local listener, port = pair.listen()
    listener:close()
    with_addresses({ "127.0.0.8", "127.0.0.9" }, function()
      assert.same({ nil, "connection refused" }, { socket.connect("db.example", port) })
    end)
  end)

  it("is tried from the address, and with the options, that the socket was given", function()
    local listener, port = pair.listen()
    with_addresses({ "127.0.0.8", "127.0.0.1" }, function()
      local client = socket.tcp4()
      assert(client:bind("127.0.0.3", 0))
      assert(client:setoption("keepalive", true))
      assert(client:setoption("tcp-nodelay", true))
      assert(client:connect("db.example", port))
      assert.equal("127.0.0.3", (client:getsockname()))
      assert.is_true(client:getoption "keepalive")
      assert.is_true(client:getoption "tcp-nodelay")
      client:close()
    end)
    listener:close()
  end)

  it("has a time for each of them, where the time is limited", function()
    local full, port, clients = full_listener "127.0.0.9"
    local listener = assert(socket.bind("127.0.0.1", port))
    with_addresses({ "127.0.0.9", "127.0.0.1" }, function()
      for _, mode in ipairs { "b", "t" } do
        local client = socket.tcp()
        client:settimeout(0.05, mode)
        assert.same({ 1 }, { client:connect("db.example", port) })
        client:close()
      end
    end)
    with_addresses({ "127.0.0.9", "127.0.0.9" }, function()
      local client = socket.tcp()
      client:settimeout(0.05, "t")
      assert.same({ nil, "timeout" }, { client:connect("db.example", port) })
      client:close()
    end)
    for _, object in ipairs { full, listener, table.unpack(clients) } do
      object:close()
    end
  end)

  it("is tried no further if there is no time to wait", function()
    local full, port, clients = full_listener "127.0.0.9"
    with_addresses({ "127.0.0.9", "127.0.0.1" }, function()
      local client = socket.tcp()
      client:settimeout(0)
      assert.same({ nil, "timeout" }, { client:connect("db.example", port) })
      local _, _, err = socket.select(nil, { client }, 0)
      assert.equal("timeout", err)
      client:close()
    end)
    for _, object in ipairs { full, table.unpack(clients) } do
      object:close()
    end
  end)
end)

describe("a socket that could not connect", function()
  it("can be told to try again", function()
    local listener, port = pair.listen()
    listener:close()
    co.run(function()
      local client = socket.tcp()
      for _ = 1, 3 do
        assert.same({ nil, "connection refused" }, { client:connect("127.0.0.1", port) })
      end
      listener = assert(socket.bind("127.0.0.1", port))
      assert.same({ 1 }, { client:connect("127.0.0.1", port) })
      client:close()
    end)
    listener:close()
  end)

  it("because it was closed meanwhile, says so", function()
    local full, port, clients = full_listener "127.0.0.1"
    with_addresses({ "127.0.0.1", "127.0.0.1" }, function()
      local client = socket.tcp()
      local connecting = co.spawn(client.connect, client, "db.example", port)
      pair.settle()
      assert.equal("waiting", connecting:status())
      client:close()
      assert.same({ nil, "closed" }, { connecting:await() })
    end)
    for _, object in ipairs { full, table.unpack(clients) } do
      object:close()
    end
  end)
end)

describe("the look-up of a name", function()
  --- Runs `fn` while libuv's look-ups are answered by hand.
  local function with_lookups(fn)
    local getaddrinfo = require "coropanic.uv".getaddrinfo
    local asked = {}
    require "coropanic.uv".getaddrinfo = function(host)
      return co.await(function(resume) asked[host] = resume end)
    end
    local ok, err = pcall(co.run, fn, asked)
    require "coropanic.uv".getaddrinfo = getaddrinfo
    if not ok then
      error(err, 0)
    end
  end

  it("lets the others run, and can be cancelled", function()
    local listener, port = pair.listen()
    with_lookups(function(asked)
      local connecting = co.spawn(socket.connect, "slow.example", port)
      local given_up = co.spawn(socket.connect, "other.example", port)
      pair.settle()
      assert.equal("waiting", connecting:status())
      given_up:cancel()
      given_up:join()
      assert.equal("cancelled", given_up:status())
      asked["slow.example"] { { family = "inet", addr = "127.0.0.1" } }
      connecting:await():close()
    end)
    listener:close()
  end)

  it("is not needed for an address", function()
    with_lookups(function(asked)
      local listener, port = pair.listen()
      assert(socket.connect("127.0.0.1", port)):close()
      assert.same({ nil, "connection refused" }, { socket.connect("::1", 1) })
      assert.is_nil(next(asked))
      listener:close()
    end)
  end)

  it("is luasocket's where that was replaced, or ours was", function()
    local listener, port = pair.listen()
    with_addresses({ "127.0.0.1" }, function()
      assert(socket.connect("db.example", port)):close()
    end)
    local getaddrinfo = socket.dns.getaddrinfo
    socket.dns.getaddrinfo = function() return { { family = "inet", addr = "127.0.0.1" } } end
    co.run(function() assert(socket.connect("db.example", port)):close() end)
    socket.dns.getaddrinfo = getaddrinfo
    listener:close()
  end)

  it("is done by libuv's threads", function()
    local awaiting = require "coropanic.uv"
    local getaddrinfo, asked = awaiting.getaddrinfo, {}
    awaiting.getaddrinfo = function(host, ...)
      asked[#asked + 1] = host
      return getaddrinfo(host, ...)
    end
    local ok, addresses = pcall(co.run, socket.dns.getaddrinfo, "localhost")
    awaiting.getaddrinfo = getaddrinfo
    assert.is_true(ok, tostring(addresses))
    assert.same({ "localhost" }, asked)
    assert.is_true(#addresses > 0)
  end)

  it("is luasocket's where there is no luv", function()
    local run = helpers.run_script([[
      package.preload.luv = function() error "no luv" end
      local co, socket = require "coropanic", require "coropanic.socket"
      co.run(function()
        local listener = socket.bind("127.0.0.1", 0)
        local _, port = listener:getsockname()
        print(socket.connect("localhost", port).class)
      end)
    ]])
    assert.equal("", run.stderr)
    assert.equal("tcp{client}\n", run.stdout)
  end)
end)
