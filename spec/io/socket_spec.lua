--- luasocket for tasks: sockets on 127.0.0.1, and libraries that know nothing of tasks.

local co = require "coropanic"
local socket = require "coropanic.socket"
local helpers = require "spec.helpers"

local luasocket = require "socket"

--- A server socket, and the port that the system gave it.
local function listen(backlog)
  local listener = assert(socket.bind("127.0.0.1", 0, backlog))
  local _, port = listener:getsockname()
  return listener, math.tointeger(tonumber(port))
end

--- Two connected sockets; in a task.
local function connected()
  local listener, port = listen()
  local client = assert(socket.connect("127.0.0.1", port))
  local server = assert(listener:accept())
  listener:close()
  return client, server
end

--- A port that nobody listens at.
local function dead_port()
  local listener, port = listen()
  listener:close()
  return port
end

--- Runs a test with two connected sockets.
local function with_pair(fn)
  co.run(function()
    local client, server = connected()
    fn(client, server)
    client:close()
    server:close()
  end)
end

describe("a socket in a task", function()
  it("accepts, connects, sends and receives while other tasks run", function()
    local listener, port = listen()
    co.run(function()
      local server = co.spawn(function()
        local connection = assert(listener:accept())
        local line = connection:receive()
        connection:send(line:upper() .. "\n")
        connection:close()
      end)
      local client = assert(socket.connect("127.0.0.1", port))
      assert.equal("waiting", server:status())
      assert.equal(6, client:send "hello\n")
      assert.equal("HELLO", client:receive())
      assert.same({ nil, "closed", "" }, { client:receive() })
      client:close()
    end)
    listener:close()
  end)

  it("connects by name, and to the address that answers", function()
    local listener, port = listen()
    co.run(function()
      assert.is_truthy(socket.connect("localhost", port))
      assert.is_truthy(socket.connect4("localhost", port))
      assert.equal(1, socket.tcp4():connect("127.0.0.1", port))
    end)
    listener:close()
  end)

  it("connects by any family that the host's name stands for", function()
    local getaddrinfo = luasocket.dns.getaddrinfo
    local v4, v6 = { family = "inet", addr = "127.0.0.1" }, { family = "inet6", addr = "::1" }
    for _, found in ipairs { { v4, v6 }, { v6, v4 } } do
      for _, answering in ipairs(found) do
        local listener = assert(socket.bind(answering.addr, 0))
        local _, port = listener:getsockname()
        luasocket.dns.getaddrinfo = function() return found end
        local ok, err = pcall(co.run, function()
          local client = socket.tcp()
          client:settimeout(5)
          assert.same({ 1 }, { client:connect("name", port) })
          assert.equal(answering.addr, (client:getpeername()))
          local other = socket.tcp6():connect("name", port)
          assert.equal(answering == v6 and 1 or nil, other)
          assert(listener:accept()):close()
          client:settimeout(0)
          assert.same({ nil, "closed", "" }, { client:receive(1) })
        end)
        luasocket.dns.getaddrinfo = getaddrinfo
        listener:close()
        assert.is_true(ok, tostring(err))
      end
    end
  end)

  it("says why it can not connect", function()
    co.run(function()
      assert.same({ nil, "connection refused" }, { socket.connect("127.0.0.1", dead_port()) })
      local _, err = socket.connect("name.invalid", 80)
      assert.is_string(err)
    end)
  end)

  describe("receives", function()
    local function pieces_of(server, pieces)
      return co.spawn(function()
        for _, piece in ipairs(pieces) do
          co.yield()
          co.yield()
          server:send(piece)
        end
        server:shutdown "send"
      end)
    end

    it("a line that comes in pieces", function()
      with_pair(function(client, server)
        pieces_of(server, { "one", " li", "ne\r\nnext\n" })
        assert.equal("one line", client:receive "*l")
        assert.equal("next", client:receive())
      end)
    end)

    it("a number of bytes that come in pieces", function()
      with_pair(function(client, server)
        pieces_of(server, { "12", "345", "6789" })
        assert.equal("1234567", client:receive(7))
        assert.equal("89", client:receive "2")
      end)
    end)

    it("everything until the end", function()
      with_pair(function(client, server)
        pieces_of(server, { "some ", "", "text" })
        assert.equal("some text", client:receive "*a")
        assert.same({ nil, "closed", "" }, { client:receive "*a" })
      end)
    end)

    it("with a prefix, which counts", function()
      with_pair(function(client, server)
        pieces_of(server, { "345", "line\n", "end" })
        assert.equal("12345", client:receive(5, "12"))
        assert.equal("the line", client:receive("*l", "the "))
        assert.equal("the end", client:receive("*a", "the "))
      end)
    end)

    it("what there is when the other side ends in between", function()
      with_pair(function(client, server)
        pieces_of(server, { "half a ", "line" })
        assert.same({ nil, "closed", "half a line" }, { client:receive() })
      end)
    end)

    it("a number of bytes, however many", function()
      with_pair(function(client, server)
        local text = ("0123456789abcdef"):rep(50000)
        pieces_of(server, { text, "the rest" })
        local received = client:receive(#text, "pre") .. client:receive(3)
        assert.is_true("pre" .. text == received)
        assert.equal("the rest", client:receive(8))
        assert.same({ nil, "closed", "" }, { client:receive(1) })
      end)
    end)

    it("nothing of what is no pattern", function()
      with_pair(function(client)
        for _, pattern in ipairs { "*x", -1, {} } do
          local record = helpers.record_of(client.receive, client, pattern)
          assert.matches("bad argument", record.message)
        end
      end)
    end)

    it("megabytes that are sent at the same time", function()
      with_pair(function(client, server)
        local text = ("0123456789abcdef"):rep(200000)
        local sender = co.spawn(function()
          assert.equal(#text, server:send(text))
          server:shutdown "send"
        end)
        assert.is_true(text == client:receive "*a")
        assert.is_true(sender:join())
      end)
    end)
  end)

  describe("sends", function()
    it("a part of a text", function()
      with_pair(function(client, server)
        assert.equal(4, client:send("abcdef", 2, 4))
        assert.equal(6, client:send("abcdef", -2))
        assert.equal("bcdef", server:receive(5))
      end)
    end)

    it("and says how far it came when the time runs out", function()
      with_pair(function(client)
        client:settimeout(0.01)
        local text = ("x"):rep(50000000)
        local sent, err, last = client:send(text)
        assert.is_nil(sent)
        assert.equal("timeout", err)
        assert.is_true(last > 0 and last < #text)
      end)
    end)
  end)

  describe("with a time-out", function()
    it("of 0 does not wait", function()
      with_pair(function(client)
        client:settimeout(0)
        assert.same({ nil, "timeout", "" }, { client:receive() })
      end)
    end)

    it("returns what has come by then", function()
      with_pair(function(client, server)
        client:settimeout(0.01)
        server:send "half"
        assert.same({ nil, "timeout", "half" }, { client:receive() })
      end)
    end)

    --- How long a line may take of which a byte comes each 4 virtual seconds.
    local function receive_slowly(mode)
      return helpers.run(function()
        local client, server = connected()
        client:settimeout(5, mode)
        co.spawn(function()
          for byte in ("ab\n"):gmatch "." do
            co.sleep(4)
            server:send(byte)
          end
        end)
        return client:receive()
      end)
    end

    it("limits each wait", function() assert.equal("ab", receive_slowly "b") end)

    it("limits the whole call if it is a total", function()
      local line, err, partial = receive_slowly "t"
      assert.same({ nil, "timeout", "a" }, { line, err, partial })
    end)

    it("limits accept", function()
      helpers.run(function()
        local listener = listen()
        listener:settimeout(3)
        assert.same({ nil, "timeout" }, { listener:accept() })
        assert.equal(3, co.now())
        listener:close()
      end)
    end)

    it("tells what it was set to", function()
      local client = socket.tcp()
      assert.same({ -1, -1 }, { client:gettimeout() })
      client:settimeout(2)
      client:settimeout(9, "t")
      assert.same({ 2, 9 }, { client:gettimeout() })
      client:close()
    end)
  end)

  it("that is closed wakes those who wait for it", function()
    with_pair(function(client)
      local listener = listen()
      local receiver = co.spawn(function() return client:receive() end)
      local acceptor = co.spawn(function() return listener:accept() end)
      co.yield()
      client:close()
      listener:close()
      assert.same({ true, nil, "closed", "" }, { receiver:join() })
      assert.same({ true, nil, "closed" }, { acceptor:join() })
    end)
  end)

  it("lets the others run although there is always something to read", function()
    with_pair(function(client, server)
      server:send(("x"):rep(100))
      local others = 0
      local other = co.spawn(function()
        while others < 50 do
          others = others + 1
          co.yield()
        end
      end)
      for _ = 1, 100 do
        client:receive(1)
      end
      assert.equal("done", other:status())
    end)
  end)

  it("can be cancelled although there is always something to read", function()
    with_pair(function(client, server)
      server:send(("x"):rep(1000))
      local received = 0
      local task = co.spawn(function()
        for _ = 1, 1000 do
          received = received + #client:receive(1)
        end
      end)
      co.yield()
      co.yield()
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
      assert.is_true(received < 10)
    end)
  end)

  it("ends with its task's cancellation", function()
    with_pair(function(client)
      local task = co.spawn(client.receive, client)
      co.yield()
      task:cancel()
      local _, record = task:join()
      assert.equal("cancelled", record.kind)
    end)
  end)

  it("knows its addresses and options", function()
    with_pair(function(client, server)
      local host, port = client:getsockname()
      local peer_host, peer_port = server:getpeername()
      assert.equal(host, peer_host)
      assert.equal(tonumber(port), tonumber(peer_port))
      assert.equal(1, client:setoption("tcp-nodelay", true))
      assert.is_true(client:getoption "tcp-nodelay")
      assert.is_true(client:getfd() >= 0)
      assert.is_false(client:dirty())
      assert.equal("inet4", client:getfamily())
      assert.matches("^tcp{client}", tostring(client))
    end)
  end)

  it("can be a datagram socket", function()
    co.run(function()
      local server, client = socket.udp(), socket.udp()
      server:setsockname("127.0.0.1", 0)
      local host, port = server:getsockname()
      local echo = co.spawn(function()
        local text, from, from_port = server:receivefrom()
        return server:sendto(text:upper(), from, from_port)
      end)
      co.yield()
      client:setpeername(host, port)
      assert.equal(5, client:send "hello")
      assert.equal("HELLO", client:receive())
      assert.is_truthy(echo:await())
      client:settimeout(0)
      assert.same({ nil, "timeout" }, { client:receive() })
      client:close()
      server:close()
    end)
  end)
end)

describe("a socket outside tasks", function()
  it("blocks as luasocket's does", function()
    local listener, port = listen()
    local client = assert(socket.connect("127.0.0.1", port))
    local server = assert(listener:accept())
    assert.equal(3, client:send "ab\n")
    assert.equal("ab", server:receive())
    server:settimeout(0.001)
    assert.same({ nil, "timeout", "" }, { server:receive() })
    co.run(function()
      client:send "in a task\n"
      assert.equal("in a task", server:receive())
    end)
    assert.same({ nil, "timeout", "" }, { server:receive() })
    for _, object in ipairs { listener, client, server } do
      object:close()
    end
  end)
end)

describe("a time-out that is set outside tasks", function()
  it("holds there after the socket was used in a task, and the other way round", function()
    local listener, port = listen()
    local client = assert(socket.connect("127.0.0.1", port))
    local server = assert(listener:accept())
    co.run(function() client:settimeout(0) end)
    client:settimeout(nil)
    client:settimeout(0.02, "t")
    assert.same({ nil, "timeout", "" }, { client:receive() })
    assert.same({ -1, 0.02 }, { client.raw:gettimeout() })
    client:settimeout(nil, "t")
    co.run(function()
      local receiver = co.spawn(client.receive, client)
      co.yield()
      server:send "late\n"
      assert.equal("late", receiver:await())
    end)
    for _, object in ipairs { listener, client, server } do
      object:close()
    end
  end)
end)

describe("socket.select", function()
  it("waits for the first of several sockets", function()
    with_pair(function(client, server)
      local other = listen()
      local waiting = co.spawn(socket.select, { other, client }, nil)
      for _ = 1, 5 do
        co.yield()
      end
      assert.equal("waiting", waiting:status())
      server:send "x"
      local readable, writable, err = waiting:await()
      assert.same({ client }, { table.unpack(readable) })
      assert.is_truthy(readable[client])
      assert.same({}, writable)
      assert.is_nil(err)
      other:close()
    end)
  end)

  it("returns at once what is ready", function()
    with_pair(function(client)
      local readable, writable = socket.select({ client }, { client })
      assert.equal(0, #readable)
      assert.equal(client, writable[1])
    end)
  end)

  it("counts what has been read ahead", function()
    with_pair(function(client, server)
      server:send "one\ntwo\n"
      assert.equal("one", client:receive())
      assert.is_true(client:dirty())
      assert.equal(client, socket.select({ client }, nil, 0)[1])
    end)
  end)

  it("ends when the time runs out", function()
    helpers.run(function()
      local client = connected()
      local _, _, err = socket.select({ client }, nil, 7)
      assert.equal("timeout", err)
      assert.equal(7, co.now())
      socket.select(nil, nil, 2)
      assert.equal(9, co.now())
    end)
  end)
end)

describe("socket.sleep", function()
  it("parks the task", function()
    helpers.run(function()
      socket.sleep(60)
      socket.sleep(-1)
      assert.equal(60, co.now())
    end)
  end)
end)

describe("socket.protect", function()
  it("turns exceptions of try into results", function()
    local finalized = false
    local try = socket.newtry(function() finalized = true end)
    local fn = socket.protect(function(...) return try(...) end)
    assert.same({ 1, 2 }, { fn(1, 2) })
    assert.same({ nil, "reason" }, { fn(nil, "reason") })
    assert.is_true(finalized)
    assert.same({ nil, "other" }, { socket.protect(function() socket.try(false, "other") end)() })
  end)

  it("lets its function suspend", function()
    helpers.run(function()
      local fn = socket.protect(function()
        co.sleep(1)
        socket.try(nil, "late")
      end)
      assert.same({ nil, "late" }, { fn() })
    end)
  end)

  it("catches an exception that has passed a frame", function()
    local fn = socket.protect(co.func(function() socket.try(nil, "reason") end))
    assert.same({ nil, "reason" }, { fn() })
  end)

  it("raises everything else again", function()
    local value = {}
    local ok, err = pcall(socket.protect(function() error(value) end))
    assert.is_false(ok)
    assert.equal(value, err)
  end)

  it("does not stop a cancellation", function()
    helpers.run(function()
      local task = co.spawn(socket.protect(function() co.sleep(60) end))
      co.yield()
      task:cancel()
      local _, record = task:join()
      assert.equal("cancelled", record.kind)
    end)
  end)
end)

--- Modules that were loaded before, so that they are loaded again over the installed socket.
local function with_installed(names, fn)
  local kept = {}
  for _, name in ipairs(names) do
    kept[name], package.loaded[name] = package.loaded[name], nil
  end
  local previous = socket.install()
  local ok, err = pcall(fn)
  package.loaded.socket = previous
  for _, name in ipairs(names) do
    package.loaded[name] = kept[name]
  end
  if not ok then
    error(err, 0)
  end
end

describe("socket.install", function()
  it("stands in for luasocket and returns what was there", function()
    with_installed({}, function() assert.equal(socket, require "socket") end)
    assert.equal(luasocket, require "socket")
  end)

  it("has everything that luasocket has", function()
    for name in pairs(luasocket) do
      assert.is_not_nil(socket[name], name)
    end
  end)

  it("lets socket.http serve many tasks at once", function()
    with_installed({ "socket.http" }, function()
      local http = require "socket.http"
      local CLIENTS = 20
      local listener, port = listen(CLIENTS)
      local waiting, resume = 0, nil
      co.run(function()
        local function serve(connection)
          local path = connection:receive():match "^GET (%S+)"
          repeat
          until connection:receive() == ""
          -- All requests are under way before the first is answered.
          waiting = waiting + 1
          if waiting == CLIENTS then
            resume()
          end
          while waiting < CLIENTS do
            co.yield()
          end
          local body = "you asked for " .. path
          connection:send(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
          connection:close()
        end
        co.spawn_with({ daemon = true }, function()
          while true do
            co.spawn(serve, assert(listener:accept()))
          end
        end)
        local clients = {}
        for i = 1, CLIENTS do
          clients[i] = co.spawn(function()
            return http.request(("http://127.0.0.1:%d/%d"):format(port, i))
          end)
        end
        co.await(function(r) resume = r end)
        for i, client in ipairs(clients) do
          local body, code = client:await()
          assert.equal("you asked for /" .. i, body)
          assert.equal(200, code)
        end
        assert.same({ nil, "connection refused" }, { http.request("http://127.0.0.1:" .. dead_port()) })
      end)
      listener:close()
    end)
  end)

  it("lets redis-lua serve many tasks at once", function()
    local port, stop = require("spec.io.redis_server").start()
    local path = package.path
    package.path = path .. ";/usr/share/lua/5.3/?.lua"
    with_installed({ "redis" }, function()
      local redis = require "redis"
      co.run(function()
        local order = {}
        local popper = co.spawn(function()
          local client = redis.connect("127.0.0.1", port)
          local popped = client:blpop("queue", 0)
          order[#order + 1] = "popped"
          return popped
        end)
        local counters = {}
        for i = 1, 10 do
          counters[i] = co.spawn(function()
            local client = redis.connect("127.0.0.1", port)
            for _ = 1, 20 do
              client:incr "count"
            end
            client:quit()
          end)
        end
        for _, counter in ipairs(counters) do
          assert.is_true(counter:join())
        end
        order[#order + 1] = "counted"
        local client = redis.connect("127.0.0.1", port)
        assert.equal("200", client:get "count")
        client:rpush("queue", "item")
        assert.same({ "queue", "item" }, popper:await())
        assert.same({ "counted", "popped" }, order)
      end)
    end)
    package.path = path
    stop()
  end)
end)
