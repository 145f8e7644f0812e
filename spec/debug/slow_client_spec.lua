-- coropanic.debug: clients that are slow, deaf or never done cost a bounded time and a bounded memory.

local client = require "spec.debug.client"
local co = require "coropanic"
local debug_server = require "coropanic.debug"
local helpers = require "spec.helpers"

describe("a connection", function()
  it("that sends its request byte by byte has 5 seconds for all of it", function()
    co.run_with({ clock = "virtual" }, function()
      local server <close> = debug_server.listen { port = 0 }
      local slow = client.connect(server.port)
      slow:settimeout(60)
      local began, sent = co.now(), 0
      local bytes = client.format(server.port, "/state")
      while server.connections > 0 or sent == 0 do
        sent = sent + 1
        slow:send(bytes:sub(sent, sent))
        co.sleep(0.9)
      end
      assert.is_true(sent < 10 and co.now() - began < 8)
      assert.equal(408, client.read(slow).status)
      slow:close()
    end)
  end)

  it("whose client stops reading is given up after 10 seconds, and costs no memory until then", function()
    co.run_with({ clock = "virtual" }, function()
      local server <close> = debug_server.listen { port = 0 }
      for _ = 1, 1000 do co.spawn_with({ daemon = true }, co.sleep, 1e6) end
      local deaf = client.connect(server.port)
      deaf:settimeout(60)
      -- Answers of 20 MB, more than the system keeps for a connection.
      deaf:send(client.format(server.port, "/state"):rep(100))
      assert.equal(200, client.read(deaf, true).status)
      helpers.settle()
      collectgarbage()
      local began, before = co.now(), collectgarbage "count"
      repeat
        co.sleep(1)
        collectgarbage()
        assert.is_true(collectgarbage "count" - before < 4096)
      until server.connections == 0 or co.now() - began > 60
      assert.is_true(co.now() - began < 15)
      assert.equal(200, client.get(server.port, "/state").status)
      deaf:close()
    end)
  end)

  it("whose client stops reading a stream is given up too", function()
    co.run_with({ clock = "virtual" }, function()
      local server <close> = debug_server.listen { port = 0 }
      local deaf = client.connect(server.port)
      deaf:send(client.format(server.port, "/state?since=0"))
      local name = ("x"):rep(200)
      local tasks = {}
      -- Each second another 1,000 tasks: the stream has to tell 300 KB more.
      for second = 1, 120 do
        for i = 1, 1000 do
          if tasks[i] then tasks[i]:cancel() end
          tasks[i] = co.spawn_with({ name = name .. second, daemon = true }, co.sleep, 1e6)
        end
        co.sleep(1)
        if server.connections == 0 then break end
      end
      assert.equal(0, server.connections)
      deaf:close()
    end)
  end)
end)
