--- socket.select in tasks: as luasocket's, and with what only tasks can do to a socket meanwhile.

local co = require "coropanic"
local socket = require "coropanic.socket"
local helpers = require "spec.helpers"
local pair = require "spec.io.socket_pair"

local luasocket = require "socket"

local with_pair, settle = pair.with_pair, pair.settle

local function closed_socket()
  local udp = socket.udp4()
  udp:close()
  return udp
end

describe("socket.select", function()
  it("sleeps when all sockets are closed, while the others run", function()
    helpers.run(function()
      local ticks = 0
      local other = co.spawn(function()
        for _ = 1, 9 do
          co.sleep(1)
          ticks = ticks + 1
        end
      end)
      assert.same({ {}, {}, "timeout" }, { socket.select({ closed_socket() }, { closed_socket() }, 5.5) })
      assert.equal(5.5, co.now())
      assert.equal(5, ticks)
      assert.is_false((co.with_timeout(2, socket.select, { closed_socket() })))
      assert.equal(7.5, co.now())
      other:join()
    end)
  end)

  it("sleeps for ever when there is nothing to wait for, until it is cancelled", function()
    helpers.run(function()
      for _, list in ipairs { {}, { closed_socket() }, { socket.tcp() } } do
        local task = co.spawn(socket.select, list, nil, -1)
        co.sleep(1000)
        assert.equal("waiting", task:status())
        task:cancel()
        task:join()
        assert.equal("cancelled", task:status())
      end
    end)
  end)

  it("returns a socket that another task closes, for reading it tells that", function()
    with_pair(function(client, server)
      local selecting = co.spawn(socket.select, { client }, { closed_socket() })
      settle()
      client:close()
      local readable, writable, err = selecting:await()
      assert.same({ { client, [client] = 1 }, {} }, { readable, writable })
      assert.is_nil(err)
      assert.same({ nil, "closed", "" }, { readable[1]:receive() })
      pair.fill(server)
    end)
  end)

  it("goes on with the others when one is closed that it does not wait for", function()
    with_pair(function(client, server)
      local other = pair.connected()
      local selecting = co.spawn(socket.select, { client })
      settle()
      other:close()
      settle()
      assert.equal("waiting", selecting:status())
      server:send "x"
      assert.equal(client, selecting:await()[1])
    end)
  end)

  it("works in coroutines of co.coroutine", function()
    with_pair(function(client, server)
      local wrapped = co.coroutine.wrap(function()
        local readable = socket.select({ client }, nil, 30)
        co.coroutine.yield(readable[1])
        return select(3, socket.select({ client }, nil, 0.001))
      end)
      co.spawn(function()
        settle()
        server:send "x"
      end)
      assert.equal(client, wrapped())
      assert.equal("x", client:receive(1))
      assert.equal("timeout", wrapped())
    end)
  end)

  it("leaves no task behind", function()
    with_pair(function(client)
      local before = #co.tasks()
      socket.select({ client }, nil, 0.001)
      assert.equal(before, #co.tasks())
      assert.is_false((co.with_timeout(0.001, socket.select, { client })))
      local task = co.spawn(socket.select, { client })
      settle()
      task:cancel()
      task:join()
      settle()
      assert.equal(before, #co.tasks())
    end)
  end)

  it("takes what has a descriptor, and leaves out what has none", function()
    with_pair(function(client, server)
      local source = socket.source("by-length", client, 1)
      server:send "x"
      assert.same({ source, [source] = 1 }, (socket.select({ {}, source, "text" }, nil, 5)))
    end)
  end)

  it("returns what luasocket returns, in and out of tasks", function()
    local listener, port = pair.listen()
    local a = assert(socket.connect("127.0.0.1", port))
    local b = assert(listener:accept())
    local c = assert(socket.connect("127.0.0.1", port))
    local d = assert(listener:accept())
    local names = { [a] = "a", [b] = "b", [c] = "c", [d] = "d", [listener] = "listener" }
    local function named(list)
      local lines = {}
      for key, value in pairs(list) do
        lines[names[key] or key] = names[value] or value
      end
      return lines
    end
    local function call(select, ...)
      local results = table.pack(pcall(select, ...))
      for i = 2, results.n do
        results[i] = type(results[i]) == "table" and named(results[i]) or results[i]
      end
      return results
    end
    b:send "one\ntwo\n"
    d:send "x"
    assert.equal("one", a:receive())
    local gone = closed_socket()
    local calls = {
      { { a, c }, nil, 0 }, { { c, a }, { b, d }, 0 }, { { a, a }, { d, d, b }, 0 }, { { b, d }, {}, 0 },
      { { c, c }, nil }, { { gone, c, gone }, { gone } }, { { b, gone }, nil, "0.001" }, { nil, nil, 0 },
      { { listener, b }, { listener }, 0 }, { { b }, { b }, 0.5 }, { { a }, 5 }, { 5 }, { {}, {}, "soon" },
      { { 1 } }, { { b, nil, a }, nil, 0 },
    }
    for i, arguments in ipairs(calls) do
      local expected = call(luasocket.select, arguments[1], arguments[2], arguments[3])
      local got = co.run(call, socket.select, arguments[1], arguments[2], arguments[3])
      if expected[1] then
        assert.same(expected, got, "call " .. i)
      else
        assert.is_false(got[1], "call " .. i)
      end
      assert.same(expected[1], call(socket.select, arguments[1], arguments[2], arguments[3])[1])
    end
    for object in pairs(names) do
      object:close()
    end
  end)
end)
