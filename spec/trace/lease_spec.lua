-- Machine ids leased from a Redis server.

local co = require "coropanic"
local redis_server = require "spec.io.redis_server"
local socket = require "coropanic.socket"

-- Debian's redis-lua has no directory for Lua 5.4.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local lease = require "coropanic.lease.redis"
local redis = require "redis"

--- What co.trace.use passes as `hold`, with an event for each call.
local function recorder()
  local calls = { wanted = true }
  calls.event = co.event()
  function calls.hold(seconds)
    calls[#calls + 1] = seconds
    calls.event:set()
    return calls.wanted
  end
  --- Waits until `hold` was called n times.
  function calls.wait(n)
    while #calls < n do
      calls.event:clear()
      calls.event:wait()
    end
  end
  return calls
end

--- A server in daemon tasks that answers each command with `answer(name)`, nil: by hanging up.
local function fake_server(answer)
  local listener = assert(socket.bind("127.0.0.1", 0))
  local function serve(connection)
    while true do
      local count = connection:receive "*l"
      if not count then break end
      local words = {}
      for i = 1, tonumber(count:sub(2)) do
        local length = tonumber(connection:receive("*l"):sub(2))
        words[i] = connection:receive(length + 2):sub(1, length)
      end
      local said = answer(words[1])
      if not said then break end
      connection:send(said)
    end
    connection:close()
  end
  co.spawn_with({ daemon = true }, function()
    while true do
      local connection = listener:accept()
      if connection then co.spawn_with({ daemon = true }, serve, connection) end
    end
  end)
  return math.tointeger(tonumber((select(2, listener:getsockname()))))
end

local function number(hex) return math.tointeger(tonumber(hex, 16)) end

describe("coropanic.lease.redis", function()
  local port, stop, client

  before_each(function()
    port, stop = redis_server.start()
    client = redis.connect("127.0.0.1", port)
  end)

  after_each(function()
    co.trace.use "random"
    stop()
  end)

  it("leases a machine id of its own to each", function()
    co.run(function()
      local taken = {}
      for _ = 1, 3 do
        local machine = lease { port = port, first = 10, last = 12 }(recorder().hold)
        assert.is_true(machine >= 10 and machine <= 12)
        assert.is_nil(taken[machine])
        taken[machine] = true
        assert.is_true(client:pttl("coropanic:machine:" .. machine) > 0)
      end
      assert.has_error(function() lease { port = port, first = 10, last = 12 }(recorder().hold) end,
        "no machine id could be leased: all from 10 to 12 are taken")
    end)
  end)

  it("makes snowflakes with it, and gives it back when the run ends", function()
    co.run(function()
      co.trace.use("snowflake", { lease = lease { port = port, first = 42, last = 42, prefix = "m:" } })
      assert.is_true(client:exists "m:42")
      local t = co.spawn_with({ detached_trace = true }, function() return co.trace.current().trace_id end)
      assert.equal(42, number(t:await():sub(1, 16)) >> 12 & 0x3ff)
    end)
    assert.is_false(client:exists "m:42")
    local ok, why = pcall(co.run, function() end)
    assert.is_false(ok)
    assert.matches("the machine id is not leased any more", tostring(why), 1, true)
  end)

  it("holds it for less than the server does, and renews it", function()
    co.run(function()
      local calls = recorder()
      local machine = lease { port = port, ttl = 0.3 }(calls.hold)
      calls.wait(4)
      for i = 1, 4 do assert.is_true(calls[i] > 0 and calls[i] < 0.3) end
      assert.is_true(client:exists("coropanic:machine:" .. machine))
    end)
  end)

  it("gives it back when it is not wanted any more", function()
    co.run(function()
      local calls = recorder()
      local machine = lease { port = port, ttl = 0.1 }(calls.hold)
      calls.wanted = false
      calls.wait(3)
      assert.equal(0, calls[3])
      while client:exists("coropanic:machine:" .. machine) do co.sleep(0.01) end
    end)
  end)

  it("loses it when somebody else has the key, and does not touch that", function()
    co.run(function()
      local calls, lost = recorder(), nil
      local machine = lease {
        port = port,
        ttl = 0.3,
        on_lost = function(...) lost = { ... } end,
      }(calls.hold)
      client:set("coropanic:machine:" .. machine, "somebody")
      while not lost do co.sleep(0.01) end
      assert.same({ machine, "its key has expired, or was taken away" }, lost)
      assert.equal(0, calls[#calls])
      assert.equal("somebody", client:get("coropanic:machine:" .. machine))
    end)
  end)

  it("is not held any longer while the server does not answer, and held again if it is still ours", function()
    co.run(function()
      local calls = recorder()
      local held_when_asked = {} -- how often it was held, at each attempt to renew it
      local fake_port = fake_server(function(command)
        if command == "SET" then return "+OK\r\n" end
        held_when_asked[#held_when_asked + 1] = #calls
        return #held_when_asked > 3 and ":1\r\n" or nil
      end)
      lease { port = fake_port, ttl = 0.1, timeout = 0.2 }(calls.hold)
      calls.wait(2)
      assert.same({ 1, 1, 1, 1 }, table.move(held_when_asked, 1, 4, 1, {}))
      calls.wanted = false
    end)
  end)

  it("does not begin without a server", function()
    co.run(function()
      local ok, why = pcall(lease { port = 1 }, recorder().hold)
      assert.is_false(ok)
      assert.matches("no machine id could be leased: could not connect to 127.0.0.1:1", why, 1, true)
    end)
  end)

  it("needs a task", function()
    assert.has_error(function() lease { port = port }(function() return true end) end,
      "a lease from Redis outside a task: a task renews it, so call co.trace.use in one")
  end)

  it("says what is wrong with its options", function()
    local function fails(message, options)
      local ok, why = pcall(lease, options)
      assert.is_false(ok)
      assert.matches(message, why, 1, true)
    end
    fails("bad argument #1 to 'lease' (table expected, got number)", 5)
    fails("bad argument #1 to 'lease' (unknown option 'hots')", { hots = "x" })
    fails("(option 'host': string expected, got 5)", { host = 5 })
    fails("(option 'port': integer from 1 to 65535 expected, got string)", { port = "x" })
    fails("(option 'ttl': seconds above 0 expected, got 0)", { ttl = 0 })
    fails("(option 'timeout': seconds above 0 expected, got inf)", { timeout = math.huge })
    fails("(option 'first': integer from 0 to 1023 expected, got 1.5)", { first = 1.5 })
    fails("(option 'last': integer from 0 to 1023 expected, got 1024)", { last = 1024 })
    fails("(option 'last': integer from 9 on expected, got 8)", { first = 9, last = 8 })
    fails("(option 'on_lost': function expected, got boolean)", { on_lost = true })
  end)
end)
