--- What goes over one connection: nothing is lost to a cancellation, and tasks take turns.

local co = require "coropanic"
local helpers = require "spec.helpers"
local pair = require "spec.io.socket_pair"

local with_pair, settle = pair.with_pair, pair.settle

--- Cancels a receive that has got some bytes and waits for more.
local function cancel_receive(receiver, pattern, sender, bytes)
  local task = co.spawn(receiver.receive, receiver, pattern)
  sender:send(bytes)
  settle()
  assert.equal("waiting", task:status())
  task:cancel()
  task:join()
  assert.equal("cancelled", task:status())
end

describe("bytes that a cancelled receive had read are there for the next one", function()
  for _, first in ipairs { "*l", "*a", 100 } do
    it("whatever it asks for, after " .. first, function()
      with_pair(function(client, server)
        cancel_receive(server, first, client, "ab\rc")
        assert.equal("ab\rcd", server:receive(5, client:send "d" and ""))
        cancel_receive(server, first, client, "ab\rc")
        client:send "d\r\nnext\n"
        assert.equal("abcd", server:receive())
        assert.equal("next", server:receive "*l")
        cancel_receive(server, first, client, "ab\rc")
        cancel_receive(server, first, client, "de")
        client:send "f"
        client:close()
        assert.equal("ab\rcdef", server:receive "*a")
        assert.same({ nil, "closed", "" }, { server:receive "*a" })
      end)
    end)
  end

  it("and counted once, when somebody is given them", function()
    with_pair(function(client, server)
      cancel_receive(server, "*l", client, "abc")
      assert.equal(0, (server:getstats()))
      assert.is_true(server:dirty())
      assert.equal("ab", server:receive(2))
      assert.equal(2, (server:getstats()))
      server:setstats(10)
      assert.equal("c", server:receive(1))
      assert.equal(11, (server:getstats()))
      assert.is_false(server:dirty())
    end)
  end)

  it("after a time-out of co.with_timeout, as often as it runs out", function()
    helpers.run(function()
      local client, server = pair.connected()
      for _, part in ipairs { "abc", "de", "f" } do
        client:send(part)
        assert.is_false((co.with_timeout(1, server.receive, server, 9)))
      end
      client:send "ghi"
      assert.equal("abcdefghi", server:receive(9))
    end)
  end)

  it("outside tasks too", function()
    local client, server = pair.connected()
    local function lose(bytes)
      co.run(cancel_receive, server, "*a", client, bytes)
    end
    server:settimeout(0.01)
    lose "ab\rc"
    assert.is_true(server:dirty())
    assert.equal("ab", server:receive(2))
    assert.same({ nil, "timeout", "c" }, { server:receive() })
    lose "ab\rc\nd"
    assert.equal("abc", server:receive())
    client:send "ef"
    assert.equal("xdef", server:receive(4, "x"))
    lose "gh"
    assert.same({ nil, "timeout", "xgh" }, { server:receive(9, "x") })
    lose "ij"
    client:close()
    assert.equal("xij", server:receive("*a", "x"))
    assert.same({ nil, "closed", "x" }, { server:receive("*a", "x") })
    server:close()
  end)

  it("but what a time-out of the socket has returned is nobody else's", function()
    with_pair(function(client, server)
      for _, pattern in ipairs { "*l", "*a", 10 } do
        server:settimeout(0.001)
        client:send "ab"
        settle()
        assert.same({ nil, "timeout", "xab" }, { server:receive(pattern, "x") })
        client:send "cd\n"
        server:settimeout(nil)
        assert.equal("cd", server:receive "*l")
      end
    end)
  end)
end)

describe("a prefix", function()
  it("of as many bytes as are asked for is returned at once", function()
    with_pair(function(client, server)
      assert.same({ "xyz" }, { server:receive(3, "xyz") })
      assert.same({ "xyz" }, { server:receive(2, "xyz") })
      client:close()
      assert.same({ "xyz" }, { server:receive(3, "xyz") })
      assert.same({ nil, "closed", "xy" }, { server:receive(3, "xy") })
    end)
  end)

  it("is not waited for where nothing is asked for", function()
    with_pair(function(client, server)
      local nothing = co.spawn(server.receive, server, 0)
      settle()
      assert.equal("waiting", nothing:status())
      client:send "ab"
      assert.equal("", nothing:await())
      assert.equal("ab", server:receive(2))
    end)
  end)
end)

describe("an error that comes after bytes", function()
  it("is told when they are taken", function()
    with_pair(function(client, server)
      client:send "one\ntwo\nrest"
      client:close()
      assert.equal("one", server:receive())
      assert.equal("two", server:receive())
      assert.same({ nil, "closed", "rest" }, { server:receive() })
      assert.same({ nil, "closed", "" }, { server:receive() })
    end)
  end)
end)

describe("a line in many pieces", function()
  it("is searched once", function()
    with_pair(function(client, server)
      local find, searched = string.find, 0
      string.find = function(text, pattern, start, ...) -- luacheck: ignore
        searched = searched + #text - (start or 1) + 1
        return find(text, pattern, start, ...)
      end
      local reader = co.spawn(server.receive, server)
      for _ = 1, 300 do
        client:send "0123456789"
        co.yield()
        co.yield()
      end
      client:send "\n"
      local line = reader:await()
      string.find = find -- luacheck: ignore
      assert.equal(3000, #line)
      assert.is_true(searched < 10000, searched)
    end)
  end)
end)

describe("tasks that send on one connection", function()
  it("take turns, so that no text is torn", function()
    with_pair(function(client, server)
      local SIZE, texts = 3000000, {}
      local senders = {}
      for i = 1, 4 do
        texts[i] = string.char(64 + i):rep(SIZE)
        senders[i] = co.spawn(client.send, client, texts[i])
      end
      local received = server:receive(4 * SIZE)
      assert.is_true(table.concat(texts) == received)
      for _, sender in ipairs(senders) do
        assert.equal(SIZE, sender:await())
      end
    end)
  end)

  it("go on after one that was cancelled, and one whose time ran out", function()
    with_pair(function(client, server)
      local filled = pair.fill(client)
      local big = ("y"):rep(5000000)
      local first = co.spawn(client.send, client, big)
      local second = co.spawn(client.send, client, "never")
      local third = co.spawn(client.send, client, "last")
      settle()
      second:cancel()
      settle()
      assert.equal("waiting", third:status())
      client:settimeout(0)
      assert.same({ nil, "timeout", 2 }, { client:send("late", 3) })
      client:settimeout(nil)
      first:cancel()
      local rest = co.spawn(server.receive, server, "*a")
      assert.equal(4, third:await())
      client:close()
      local text = rest:await()
      assert.equal("last", text:sub(-4))
      assert.matches("^x+y*last$", text)
      assert.is_true(#text >= filled)
    end)
  end)

  it("are all told when it is closed", function()
    with_pair(function(client)
      pair.fill(client)
      local senders = {}
      for i = 1, 3 do
        senders[i] = co.spawn(client.send, client, "text", 2)
      end
      settle()
      client:close()
      for _, sender in ipairs(senders) do
        assert.same({ nil, "closed", 1 }, { sender:await() })
      end
    end)
  end)
end)

describe("tasks that receive from one connection", function()
  it("are served in the order in which they came", function()
    with_pair(function(client, server)
      local readers = {}
      for i, pattern in ipairs { "*l", 3, "*l", 2, "*a" } do
        readers[i] = co.spawn(server.receive, server, pattern)
      end
      settle()
      for byte in ("one\n123two\n45rest"):gmatch "." do
        client:send(byte)
      end
      client:close()
      local got = {}
      for i, reader in ipairs(readers) do
        got[i] = reader:await()
      end
      assert.same({ "one", "123", "two", "45", "rest" }, got)
    end)
  end)

  it("leave to the next what they had read when they are cancelled", function()
    with_pair(function(client, server)
      local first = co.spawn(server.receive, server, 100)
      local second = co.spawn(server.receive, server, "*l")
      client:send "half a "
      settle()
      first:cancel()
      client:send "line\n"
      assert.equal("half a line", second:await())
    end)
  end)

  it("do not wait behind another one for longer than their time", function()
    with_pair(function(_, server)
      local first = co.spawn(server.receive, server)
      settle()
      server:settimeout(0)
      assert.same({ nil, "timeout", "p" }, { server:receive("*l", "p") })
      first:cancel()
    end)
  end)
end)

describe("a deferred call of a task that is cancelled while it receives", function()
  it("may use the connection", function()
    with_pair(function(client, server)
      local task = co.spawn(co.func(function()
        co.defer(function()
          server:send "bye\n"
          server:settimeout(0.001)
          assert.same({ nil, "timeout", "part" }, { server:receive() })
        end)
        server:receive()
      end))
      client:send "part"
      settle()
      task:cancel()
      assert.equal("bye", client:receive())
      local _, record = task:join()
      assert.equal("cancelled", record.kind)
      assert.same({}, record.suppressed)
    end)
  end)
end)

describe("a connection that arrives when its accept is cancelled", function()
  it("is there for the next one", function()
    co.run(function()
      local socket = require "coropanic.socket"
      local listener, port = pair.listen()
      for _ = 1, 10 do
        local acceptor = co.spawn(listener.accept, listener)
        settle()
        local client = assert(socket.connect("127.0.0.1", port))
        acceptor:cancel()
        local accepted, connection = acceptor:join()
        if not accepted then
          listener:settimeout(5)
          connection = assert(listener:accept())
        end
        client:send "hello\n"
        assert.equal("hello", connection:receive())
        client:close()
        connection:close()
      end
      listener:close()
    end)
  end)
end)
