-- Machine ids leased from a Redis server.

local co = require "coropanic"
local helpers = require "spec.helpers"
local network = require "spec.trace.lease_network"
local redis_server = require "spec.io.redis_server"

-- Debian's redis-lua has no directory for Lua 5.4.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
local lease = network.load "coropanic.lease.redis"
local redis = require "redis"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- What co.trace.use passes as `hold`, with an event for each call that says something, and how far the lease
--- reaches by each.
local function recorder()
  local calls = { wanted = true, last = nil, to = {} }
  calls.event = co.event()
  function calls.hold(seconds, to)
    if seconds then
      calls[#calls + 1] = seconds
      calls.to[#calls] = to
      calls.event:set()
    end
    return calls.wanted, calls.last
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

--- What a script of the lease does, by the command that only it has.
local function purpose(words)
  local script = words[2]
  return script:find "'NX'" and "take" or script:find "'pexpire'" and "renew" or "give back"
end

--- A server in daemon tasks that answers what scripts are for with `answer(purpose, words)`, nil: by hanging
--- up. Its port, and a function that tells how many connections are open.
local function fake_server(answer)
  local port, connections = network.listen()
  local open = 0
  local function serve(connection)
    open = open + 1
    while true do
      local count = connection:receive "*l"
      if not count then break end
      local words = {}
      for i = 1, tonumber(count:sub(2)) do
        local length = tonumber(connection:receive("*l"):sub(2))
        words[i] = connection:receive(length + 2):sub(1, length)
      end
      local said = answer(purpose(words), words)
      if not said then break end
      connection:send(said)
    end
    connection:close()
    open = open - 1
  end
  local daemon = { daemon = true, context = co.context.background() }
  co.spawn_with(daemon, function()
    for connection in connections:iter() do co.spawn_with(daemon, serve, connection) end
  end)
  return port, function() return open end
end

--- Of a lease that reaches far.
local TAKEN = ("*2\r\n:0\r\n:%d\r\n"):format(1 << 50)

local function number(hex) return math.tointeger(tonumber(hex, 16)) end

local function now() return math.floor(network.gettime() * 1000) end

local function fails(message, fn, ...)
  local ok, why = co.pcall(fn, ...)
  assert.is_false(ok)
  helpers.assert_contains(message, why.message)
end

--- Waits until `check()`, whose value it returns. Looks often at first, and each time a little later: what it
--- asks is mostly a server.
local function eventually(check)
  local pause = 0.01
  for _ = 1, 200 do
    local value = check()
    if value then return value end
    co.sleep(pause)
    pause = pause * 1.1
  end
  error("it has not come about", 2)
end

local function new_id()
  return co.spawn_with({ detached_trace = true }, function() return co.trace.current().trace_id end):await()
end

local function milliseconds_of(id) return (number(id:sub(1, 16)) >> 22) + 1704067200000 end

local function machine_of(id) return number(id:sub(1, 16)) >> 12 & 0x3ff end

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

  co_it("leases a machine id of its own to each", seeded, function()
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

  it("makes snowflakes with it, and gives it back when the run ends", function()
    helpers.run(function()
      co.trace.use("snowflake", { lease = lease { port = port, first = 42, last = 42, prefix = "m:" } })
      assert.is_true(client:exists "m:42")
      assert.equal(42, machine_of(new_id()))
    end)
    assert.is_false(client:exists "m:42")
    local ok, why = pcall(co.run, function() end)
    assert.is_false(ok)
    assert.matches("the machine id is not leased any more", tostring(why), 1, true)
  end)

  co_it("holds it for less than the server does, and renews it", seeded, function()
    local calls = recorder()
    local machine = lease { port = port, ttl = 300 }(calls.hold)
    calls.wait(4)
    for i = 1, 4 do assert.is_true(calls[i] > 0 and calls[i] < 300) end
    assert.is_true(client:exists("coropanic:machine:" .. machine))
  end)

  co_it("gives it back when it is not wanted any more", seeded, function()
    local calls = recorder()
    local machine = lease { port = port, ttl = 100 }(calls.hold)
    calls.wanted = false
    calls.wait(2)
    assert.equal(0, calls[2])
    eventually(function() return not client:exists("coropanic:machine:" .. machine) end)
  end)

  it("gives it back when the run ends at once", function()
    local machine
    helpers.run(function() machine = lease { port = port }(recorder().hold) end)
    assert.is_false(client:exists("coropanic:machine:" .. machine))
  end)

  co_it("gives it back when what it was for has failed", seeded, function()
    local options = { lease = lease { port = port, ttl = 1000, first = 43, last = 43 } }
    co.trace.use("snowflake", options)
    new_id()
    co.trace.use "random"
    eventually(function() return not client:exists "coropanic:machine:43" end)
    options.epoch = 1
    fails("option 'epoch': machine id 43 has made ids", co.trace.use, "snowflake", options)
    assert.is_true(client:exists "coropanic:machine:43")
    eventually(function() return not client:exists "coropanic:machine:43" end)
  end)

  co_it("outlives the scope in which it was asked for", seeded, function()
    local calls = recorder()
    local context, cancel = co.context.with_cancel(co.ctx())
    local machine = co.with(context, lease { port = port, ttl = 300 }, calls.hold)
    cancel()
    calls.wait(4)
    assert.is_true(calls[4] > 0)
    assert.is_true(client:exists("coropanic:machine:" .. machine))
  end)

  co_it("may be given up waiting for, and is given back then", seeded, function()
    local said = {}
    local fake_port = fake_server(function(what)
      said[#said + 1] = what
      co.sleep(0.05)
      return what == "take" and TAKEN or ":1\r\n"
    end)
    local in_time, record = co.with_timeout(0.01, co.trace.use, "snowflake", {
      lease = lease { port = fake_port, ttl = 1000 },
    })
    assert.is_false(in_time)
    assert.equal("timeout", record.kind)
    eventually(function() return said[2] end)
    assert.same({ "take", "give back" }, said)
  end)

  co_it("lasts from the moment of asking", function()
    local fake_port = fake_server(function(what)
      co.sleep(0.06)
      return what == "take" and TAKEN or ":1\r\n"
    end)
    co.trace.use("snowflake", { lease = lease { port = fake_port, ttl = 0.05, first = 44, last = 44 } })
    fails("the machine id is not leased any more", new_id)
  end)

  co_it("loses it when somebody else has the key, and does not touch that", seeded, function()
    local calls, lost = recorder(), nil
    local machine = lease {
      port = port,
      ttl = 300,
      on_lost = function(...) lost = { ... } end,
    }(calls.hold)
    local key = "coropanic:machine:" .. machine
    client:set(key, "somebody")
    client:set(key .. ":last", "123")
    eventually(function() return lost end)
    assert.same({ machine, "its key has expired, or was taken away" }, lost)
    assert.equal(0, calls[#calls])
    assert.equal("somebody", client:get(key))
    assert.equal("123", client:get(key .. ":last"))
  end)

  co_it("makes no ids when it is lost, until another one is leased", function()
    local refused, leased_again
    local options = { port = port, ttl = 1000, first = 45, last = 45 }
    function options.on_lost(machine)
      assert.equal(45, machine)
      refused = { co.pcall(new_id) }
      co.trace.use("snowflake", { lease = lease { port = port, first = 46, last = 46 } })
      leased_again = true
    end
    co.trace.use("snowflake", { lease = lease(options) })
    assert.equal(45, machine_of(new_id()))
    client:del "coropanic:machine:45"
    eventually(function() return leased_again end)
    assert.is_false(refused[1])
    helpers.assert_contains("the machine id is not leased any more", refused[2].message)
    assert.equal(46, machine_of(new_id()))
  end)

  co_it("is renewed by a later attempt if one fails", seeded, function()
    local calls = recorder()
    local held_when_asked = {} -- how often it was held, at each attempt to renew it
    local fake_port = fake_server(function(what)
      if what == "take" then return TAKEN end
      held_when_asked[#held_when_asked + 1] = #calls
      return #held_when_asked > 3 and ":1\r\n" or nil
    end)
    lease { port = fake_port, ttl = 2 }(calls.hold)
    calls.wait(2)
    assert.same({ 1, 1, 1, 1 }, table.move(held_when_asked, 1, 4, 1, {}))
    assert.is_true(calls[2] > 0)
  end)

  co_it("is lost when no attempt has succeeded while it lasted", seeded, function()
    co.scope(function(scope)
      for reason, said in pairs {
        ["connection error: closed"] = false,
        ["redis error: NOPERM no scripts for you"] = "-NOPERM no scripts for you\r\n",
      } do
        scope:spawn(function()
          local calls, lost = recorder(), {}
          local fake_port = fake_server(function(what) return what == "take" and TAKEN or said end)
          local machine = lease {
            port = fake_port,
            ttl = 1,
            on_lost = function(...) lost[#lost + 1] = { ... } end,
          }(calls.hold)
          eventually(function() return lost[1] end)
          assert.same({ { machine, reason } }, lost)
          assert.equal(0, calls[2])
        end)
      end
    end)
  end)

  co_it("is renewed, if it can be, though it was known of only when it was over", seeded, function()
    local calls, lost = recorder(), false
    local fake_port = fake_server(function(what)
      if what ~= "take" then return ":1\r\n" end
      co.sleep(3)
      return TAKEN
    end)
    lease { port = fake_port, ttl = 2, on_lost = function() lost = true end }(calls.hold)
    calls.wait(2)
    assert.is_true(calls[2] > 0)
    assert.is_false(lost)
  end)

  co_it("is lost when the server says nothing", seeded, function()
    local why
    local fake_port = fake_server(function(what)
      if what ~= "take" then co.sleep(1000) end
      return TAKEN
    end)
    lease {
      port = fake_port,
      ttl = 0.2,
      timeout = 100,
      on_lost = function(_, reason) why = reason end,
    }(recorder().hold)
    assert.matches("^no answer within 0%.%d+ seconds$", eventually(function() return why end))
  end)

  co_it("leaves no connection open, however an exchange ends", seeded, function()
    local renewals, lost = 0, false
    local fake_port, open = fake_server(function(what)
      if what == "take" then return TAKEN end
      renewals = renewals + 1
      return "" -- nothing, and waits for more
    end)
    collectgarbage "stop" -- which would close them some day
    co.defer(collectgarbage, "restart")
    lease { port = fake_port, ttl = 0.3, on_lost = function() lost = true end }(recorder().hold)
    eventually(function() return renewals == 1 and open() == 1 end)
    eventually(function() return lost and open() == 0 end)
  end)

  it("does not keep a run from ending when the server says nothing", function()
    local ended
    local previous = co.on_exit(function() ended = co.now() end)
    helpers.run(function()
      local fake_port = fake_server(function(what)
        if what ~= "take" then co.sleep(1000) end
        return TAKEN
      end)
      lease { port = fake_port, timeout = 30 }(recorder().hold)
    end)
    co.on_exit(previous)
    assert.is_true(ended < 20)
  end)

  describe("keeps how far the ids have come:", function()
    local function last_of(machine) return math.tointeger(client:get(("m:%d:last"):format(machine))) end

    it("the last one, once it was given back", function()
      local id
      helpers.run(function()
        co.trace.use("snowflake", { lease = lease { port = port, first = 50, last = 50, prefix = "m:" } })
        id = new_id()
      end)
      assert.equal(milliseconds_of(id), last_of(50))
    end)

    it("nothing, when there were none", function()
      helpers.run(function() lease { port = port, first = 51, last = 51, prefix = "m:" }(recorder().hold) end)
      assert.equal(0, last_of(51))
      client:set("m:51:last", "12345")
      helpers.run(function() lease { port = port, first = 51, last = 51, prefix = "m:" }(recorder().hold) end)
      assert.equal(12345, last_of(51))
    end)

    co_it("nothing that it does not know, when the answer got lost", seeded, function()
      local given_back
      local fake_port = fake_server(function(what, words)
        if what == "take" then return nil end
        given_back = words
        return ":1\r\n"
      end)
      fails("no machine id could be leased: connection error: closed",
        lease { port = fake_port, first = 57, last = 57, prefix = "m:" }, recorder().hold)
      eventually(function() return given_back end)
      assert.same({ "2", "m:57", "m:57:last" }, table.move(given_back, 3, 5, 1, {}))
      assert.equal("", given_back[7])
    end)

    co_it("where they had come to, however often the answer to the taking gets lost", seeded, function()
      local given_back = 0
      local fake_port = fake_server(function(what, words)
        local answer = client:eval(words[2], 2, table.unpack(words, 4))
        if what == "take" then return nil end
        given_back = given_back + answer
        return ":1\r\n"
      end)
      for i = 1, 5 do
        fails("no machine id could be leased: connection error: closed",
          lease { port = fake_port, first = 58, last = 58, prefix = "m:", ttl = 1000 }, recorder().hold)
        eventually(function() return given_back == i end)
      end
      assert.is_true(last_of(58) <= now())
    end)

    co_it("what the lease reaches to, while there is one", seeded, function()
      local calls, before = recorder(), now()
      lease { port = port, first = 52, last = 52, prefix = "m:", ttl = 300 }(calls.hold)
      assert.is_true(calls.to[1] >= before + 300 and calls.to[1] <= now() + 300000)
      assert.equal(calls.to[1], last_of(52))
      calls.wait(3)
      assert.is_true(calls.to[3] >= calls.to[1])
      assert.is_true(last_of(52) >= calls.to[3])
      assert.is_true(calls.to[3] <= now() + 300000)
    end)

    co_it("further than the last one, when that is ahead of the clock", seeded, function()
      local calls = recorder()
      local ahead = now() + 1000000
      client:set("m:53:last", tostring(ahead))
      local _, last = lease { port = port, first = 53, last = 53, prefix = "m:", ttl = 300 }(calls.hold)
      assert.equal(ahead, last)
      assert.equal(ahead + 300000, calls.to[1])
      calls.last = ahead + 200000
      calls.wait(2)
      assert.equal(ahead + 500000, calls.to[2])
      assert.equal(ahead + 500000, last_of(53))
      calls.last = nil -- as of a message that was delayed
      calls.wait(3)
      assert.is_true(calls.to[3] < ahead)
      assert.equal(ahead + 500000, last_of(53))
    end)

    co_it("so that the next one is behind, though its clock is", function()
      local ahead = now() + 5000
      client:set("m:54:last", tostring(ahead))
      co.trace.use("snowflake", {
        lease = lease { port = port, first = 54, last = 54, prefix = "m:" },
        on_clock_back = "borrow",
      })
      assert.equal(ahead + 1, milliseconds_of(new_id()))
    end)

    it("so that the next one is behind, though its holder was killed and had a clock ahead", function()
      client:set("m:55:last", tostring(now() + 5000))
      local result = helpers.run_script(([[
        package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
        local co = require "coropanic"
        local lease = require "coropanic.lease.redis"
        co.run(function()
          co.trace.use("snowflake", {
            lease = lease { port = %d, first = 55, last = 55, prefix = "m:", ttl = 4 },
            on_clock_back = "borrow",
          })
          print(co.trace.extract({}).trace_id)
          os.exit(9, false)
        end)
      ]]):format(port))
      client:del "m:55" -- as the server does when its time is over
      assert.equal(9, result.status, result.stderr)
      local before = result.stdout:match "^(%x+)\n$"
      helpers.run(function()
        co.trace.use("snowflake", {
          lease = lease { port = port, first = 55, last = 55, prefix = "m:" },
          on_clock_back = "borrow",
        })
        assert.is_true(new_id() > before)
        assert.is_true(milliseconds_of(before) > now())
      end)
    end)
  end)

  describe("in a forked child", function()
    local script = [[
      package.path = package.path .. ";/usr/share/lua/5.3/?.lua"
      local co = require "coropanic"
      local lease = require "coropanic.lease.redis"
      local process = require "spec_fork"
      local client = require("redis").connect("127.0.0.1", %d)
      local child
      co.run(function()
        co.trace.use("snowflake", { lease = lease { port = %d, first = 56, last = 56, ttl = %g } })
        co.yield()
        child = process.fork()
        %s
      end)
      if child == 0 then os.exit(0, true) end
    ]]

    local function run(ttl, rest)
      local result = helpers.run_script(script:format(port, port, ttl, rest))
      assert.equal(0, result.status, result.stderr)
      return result.stdout
    end

    it("is not given back when the child's run ends", function()
      assert.equal("0\ntrue\n32\n", run(30, [[
        if child > 0 then
          print(process.wait(child))
          print(client:exists "coropanic:machine:56")
          print(#co.trace.extract({}).trace_id)
        end]]))
      assert.is_false(client:exists "coropanic:machine:56")
    end)

    it("is not renewed by the child", function()
      assert.equal("false\n", run(0.2, [[
        if child > 0 then os.exit(0, false) end
        co.sleep(0.3)
        print(client:exists "coropanic:machine:56")]]))
    end)
  end)

  co_it("does not begin without a server", seeded, function()
    local ok, why = pcall(lease { port = 1 }, recorder().hold)
    assert.is_false(ok)
    assert.matches("no machine id could be leased: could not connect to 127.0.0.1:1", why, 1, true)
  end)

  it("needs a task", function()
    assert.has_error(function() lease { port = port }(function() return true end) end,
      "a lease from Redis outside a task: a task renews it, so call co.trace.use in one")
  end)

  it("says what is wrong with its options", function()
    local function refuses(message, options) fails(message, lease, options) end
    refuses("bad argument #1 to 'lease' (table expected, got number)", 5)
    refuses("bad argument #1 to 'lease' (unknown option 'hots')", { hots = "x" })
    refuses("(option 'host': string expected, got 5)", { host = 5 })
    refuses("(option 'port': integer from 1 to 65535 expected, got string)", { port = "x" })
    refuses("(option 'ttl': seconds above 0 and at most 86400 expected, got 0)", { ttl = 0 })
    refuses("(option 'ttl': seconds above 0 and at most 86400 expected, got 1e+16)", { ttl = 1e16 })
    refuses("(option 'ttl': seconds above 0 and at most 86400 expected, got", { ttl = 0 / 0 })
    refuses("(option 'timeout': seconds above 0 and at most 86400 expected, got 1e+300)", { timeout = 1e300 })
    refuses("(option 'timeout': seconds above 0 and at most 86400 expected, got inf)",
      { timeout = math.huge })
    refuses("(option 'first': integer from 0 to 1023 expected, got 1.5)", { first = 1.5 })
    refuses("(option 'last': integer from 0 to 1023 expected, got 1024)", { last = 1024 })
    refuses("(option 'last': integer from 9 on expected, got 8)", { first = 9, last = 8 })
    refuses("(option 'on_lost': function expected, got boolean)", { on_lost = true })
  end)
end)
