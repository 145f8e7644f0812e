--- TLS with others: OpenSSL's programs as the peer, and luasec's https, which knows nothing of tasks.

local co = require "coropanic"
local luv = require "luv"
local socket = require "coropanic.socket"
local ssl = require "coropanic.ssl"
local uv = require "coropanic.uv"
local certificate = require "spec.io.certificate"
local pair = require "spec.io.socket_pair"
local server_process = require "spec.server_process"

local made

local function secure(connection, mode) return assert(ssl.wrap(connection, made.params(mode))) end

--- Accepts one connection with TLS.
local function accept(listener)
  local connection = secure(assert(listener:accept()), "server")
  assert(connection:dohandshake())
  return connection
end

--- Counts the turns of a task that runs beside others, until the function returned is called.
---@return fun(): integer
local function count_turns()
  local turns, ended = 0, false
  co.spawn(function()
    while not ended do
      turns = turns + 1
      co.yield()
    end
  end)
  return function()
    ended = true
    return turns
  end
end

describe("TLS", function()
  setup(function() made = certificate.make() end)

  teardown(function() made.remove() end)

  it("talks to OpenSSL's server, while other tasks run", function()
    local port, stop = server_process.start("sh", function(port)
      local command = "exec openssl s_server -accept %d -cert %s -key %s -rev -quiet >/dev/null 2>&1"
      return { "-c", command:format(port, made.certificate, made.key) }
    end)
    finally(stop)
    co.run(function()
      local conversations = {}
      for i = 1, 3 do -- the server serves one after the other: two wait for their handshake
        conversations[i] = co.spawn(function()
          local client = secure(assert(socket.connect("127.0.0.1", port)), "client")
          assert(client:dohandshake())
          assert(client:send(("abc%d\n"):format(i)))
          local answer = client:receive()
          client:close()
          return answer
        end)
      end
      local turns = count_turns()
      for i, conversation in ipairs(conversations) do
        assert.equal(i .. "cba", conversation:await())
      end
      assert.is_true(turns() > 10)
    end)
  end)

  it("serves OpenSSL's client", function()
    co.run(function()
      local listener, port = pair.listen()
      local server = co.spawn(function()
        local connection = accept(listener)
        local line = connection:receive()
        connection:send(("x"):rep(300000) .. line:reverse() .. "\n")
        connection:close()
      end)
      local stdin, stdout = luv.new_pipe(), luv.new_pipe()
      local process = assert(luv.spawn("openssl", {
        args = { "s_client", "-quiet", "-connect", "127.0.0.1:" .. port },
        env = { "PATH=" .. os.getenv "PATH" },
        stdio = { stdin, stdout },
      }, function() end))
      uv.write(stdin, "hello\n")
      local parts = {}
      repeat
        local part = uv.read_start(stdout)
        parts[#parts + 1] = part
      until not part
      for _, handle in ipairs { stdin, stdout, process } do
        uv.close(handle)
      end
      server:await()
      listener:close()
      local text = table.concat(parts)
      assert.equal(300006, #text)
      assert.equal("olleh\n", text:sub(-6))
    end)
  end)

  it("carries luasec's https to a server in the same process", function()
    local previous = socket.install()
    local function forget()
      package.loaded["ssl.https"], package.loaded["socket.http"] = nil, nil
    end
    finally(function()
      package.loaded.socket = previous
      forget()
    end)
    forget() -- whoever has loaded them over luasocket
    local https = require "ssl.https"
    co.run(function()
      local listener, port = pair.listen()
      local server = co.spawn(function()
        local connection = accept(listener)
        local request = connection:receive()
        repeat
          local line = connection:receive()
        until line == ""
        co.sleep(0.01) -- the client waits, in this process
        connection:send "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        connection:close()
        return request
      end)
      local turns = count_turns()
      local body, status = https.request(("https://127.0.0.1:%d/a"):format(port))
      assert.equal("hello", body)
      assert.equal(200, status)
      assert.equal("GET /a HTTP/1.1", server:await())
      assert.is_true(turns() > 10)
      listener:close()
    end)
  end)
end)
