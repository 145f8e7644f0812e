--- TLS over connections of coropanic.socket: luasec's wrap, handshake, receive and send park the task.

local co = require "coropanic"
local socket = require "coropanic.socket"
local certificate = require "spec.io.certificate"
local pair = require "spec.io.socket_pair"
local ssl = require "ssl"

local made

--- Two ends that have shaken hands.
local function secured()
  local client, server = pair.connected()
  client = assert(ssl.wrap(client, made.params "client"))
  server = assert(ssl.wrap(server, made.params "server"))
  local shaking = co.spawn(server.dohandshake, server)
  assert.is_true(client:dohandshake())
  assert.is_true(shaking:await())
  return client, server
end

describe("a connection with TLS", function()
  setup(function() made = certificate.make() end)

  teardown(function() made.remove() end)

  it("has both its ends in one process", function()
    co.run(function()
      local client, server = secured()
      local echo = co.spawn(function()
        local line = server:receive()
        server:send(line:upper() .. "\n")
        server:close()
      end)
      assert.equal(6, client:send "hello\n")
      assert.equal("HELLO", client:receive())
      assert.same({ nil, "closed", "" }, { client:receive() })
      assert.is_not_nil(client:getpeercertificate())
      client:close()
      echo:await()
    end)
  end)

  it("carries megabytes, and no text is torn", function()
    co.run(function()
      local client, server = secured()
      local SIZE, texts = 1000000, {}
      for i = 1, 3 do
        texts[i] = string.char(64 + i):rep(SIZE)
        co.spawn(client.send, client, texts[i])
      end
      assert.is_true(table.concat(texts) == server:receive(3 * SIZE))
      client:close()
      server:close()
    end)
  end)

  it("ends a record of a sender that was cancelled before it sends another", function()
    co.run(function()
      local client, server = secured()
      local sender = co.spawn(client.send, client, ("y"):rep(20000000))
      for _ = 1, 200 do
        pair.settle()
      end
      -- The system may still make room, as it moves what was sent on to the other side.
      while sender:status() == "ready" do
        co.yield()
      end
      assert.equal("waiting", sender:status())
      sender:cancel()
      sender:join()
      assert.equal("cancelled", sender:status())
      local reader = co.spawn(server.receive, server)
      assert.equal(6, client:send "after\n")
      local text = reader:await()
      assert.equal("yafter", text:sub(-6) .. (text:match "^y+()" == #text - 4 and "" or " and more"))
      client:close()
      server:close()
    end)
  end)

  it("keeps the bytes of a receive that was cancelled", function()
    co.run(function()
      local client, server = secured()
      local receiver = co.spawn(server.receive, server, 100)
      client:send "half a "
      pair.settle()
      receiver:cancel()
      client:send "line\n"
      assert.equal("half a line", server:receive())
      client:close()
      server:close()
    end)
  end)

  it("limits a handshake that nobody answers", function()
    co.run(function()
      local client, server = pair.connected()
      local secure = assert(ssl.wrap(client, made.params "client"))
      assert.is_false((co.with_timeout(0.01, secure.dohandshake, secure)))
      secure:settimeout(0.001)
      assert.same({ false, "wantread" }, { secure:dohandshake() })
      secure:settimeout(nil)
      local shaking = co.spawn(secure.dohandshake, secure)
      pair.settle()
      secure:close()
      assert.same({ false, "closed" }, { shaking:await() })
      assert.same({ false, "closed" }, { secure:dohandshake() })
      assert.same({ nil, "closed" }, { secure:info() })
      server:close()
    end)
  end)

  it("says that a certificate is refused", function()
    co.run(function()
      local client, server = pair.connected()
      local strict = made.params "client"
      strict.verify = "peer"
      client, server = assert(ssl.wrap(client, strict)), assert(ssl.wrap(server, made.params "server"))
      local shaking = co.spawn(server.dohandshake, server)
      assert.same({ false, "certificate verify failed" }, { client:dohandshake() })
      client:close()
      assert.is_false((shaking:await()))
      server:close()
    end)
  end)

  it("is not begun over bytes that were received before", function()
    co.run(function()
      local client, server = pair.connected()
      client:send "STARTTLS\ninjected\n"
      server:receive()
      assert.is_nil((ssl.wrap(server, made.params "server")))
      client:close()
      server:close()
    end)
  end)

  it("closes without waiting for a peer that takes nothing", function()
    co.run(function()
      local client, server = secured()
      local sender = co.spawn(client.send, client, ("y"):rep(20000000))
      pair.settle()
      sender:cancel()
      client:close()
      assert.matches("^SSL connection: .*closed", tostring(client))
      server:close()
    end)
  end)

  it("is what coropanic.ssl makes of luasocket's connections too", function()
    assert.equal(socket, require "coropanic.socket")
    local own = require "coropanic.ssl"
    co.run(function()
      local client, server = pair.connected()
      local secure = assert(own.wrap(client.raw, made.params "client"))
      local other = assert(own.wrap(server, made.params "server"))
      local shaking = co.spawn(other.dohandshake, other)
      assert.is_true(secure:dohandshake())
      assert.is_true(shaking:await())
      secure:close()
      other:close()
    end)
  end)
end)
