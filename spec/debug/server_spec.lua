-- coropanic.debug: the server, and who may ask it. Bad requests get answers, and clients that are slow, dead
-- or many hold nobody up.

local client = require "spec.debug.client"
local co = require "coropanic"
local debug_server = require "coropanic.debug"
local access = require "coropanic.debug.access"
local helpers = require "spec.helpers"

local function status_of(port, bytes)
  local response = client.send(port, bytes)
  return response and response.status
end

describe("debug.listen", function()
  it("tells its address, and the port that the system has chosen", function()
    client.with_server(nil, function(server)
      assert.is_true(server.port > 0)
      assert.equal("127.0.0.1:" .. server.port, server.address)
      assert.equal("http://127.0.0.1:" .. server.port .. "/", server.url)
      assert.equal(200, client.get(server.port, "/state").status)
    end)
  end)

  it("keeps no run going, and hides no deadlock", function()
    co.run(function() debug_server.listen { port = 0 } end)
    local ok, record = pcall(co.run, function()
      local server = debug_server.listen { port = 0 }
      client.get(server.port, "/state")
      co.chan():recv()
    end)
    assert.same({ false, "deadlock" }, { ok, record.kind })
  end)

  it("may be called outside tasks, and in a scope, which does not wait for the server", function()
    local server = debug_server.listen { port = 0 }
    co.run(function() assert.equal(200, client.get(server.port, "/state").status) end)
    co.run(function()
      local inner
      co.scope(function() inner = debug_server.listen { port = 0 } end)
      assert.equal(200, client.get(inner.port, "/state").status)
      inner:close()
    end)
  end)

  it("stops when it is closed", function()
    co.run(function()
      local server = debug_server.listen { port = 0 }
      local connection = client.connect(server.port)
      connection:send(client.format(server.port, "/state"))
      client.read(connection)
      server:close()
      server:close()
      helpers.settle()
      assert.is_nil((connection:receive "*l"))
      connection:close()
      assert.is_nil((require("coropanic.socket").connect("127.0.0.1", server.port)))
      for _, task in ipairs(co.tasks()) do assert.is_nil(task.name:find "^debug") end
    end)
  end)

  it("says why it can not listen", function()
    client.with_server(nil, function(server)
      helpers.assert_error("can not listen at 127.0.0.1:" .. server.port, debug_server.listen,
        { port = server.port })
    end)
  end)

  it("refuses options that it does not know", function()
    local listen = debug_server.listen
    helpers.assert_error("bad argument #1 to 'listen' (table expected, got number)", listen, 1)
    helpers.assert_error("bad argument #1 to 'listen' (unknown option 'ports')", listen, { ports = 1 })
    helpers.assert_error("option 'port': integer from 0 to 65535 expected, got 70000", debug_server.listen,
      { port = 70000 })
    helpers.assert_error("option 'host': name or address expected, got boolean", debug_server.listen,
      { host = true })
    helpers.assert_error("option 'token': string of 1 to 256 characters", listen, { token = "a b" })
    helpers.assert_error("option 'title': string of at most 200 bytes", debug_server.listen,
      { title = ("x"):rep(201) })
  end)
end)

describe("a request", function()
  it("may be one of several on a connection, sent together or in pieces", function()
    client.with_server(nil, function(server)
      local connection = client.connect(server.port)
      local bytes = client.format(server.port, "/report.txt")
      connection:send(bytes .. bytes)
      assert.equal(200, client.read(connection).status)
      assert.equal(200, client.read(connection).status)
      for i = 1, #bytes, 7 do
        connection:send(bytes:sub(i, i + 6))
        co.yield()
      end
      assert.equal(200, client.read(connection).status)
      connection:send(client.format(server.port, "/report.txt", { "Connection: close" }))
      assert.equal("close", client.read(connection).headers.connection)
      assert.is_nil(client.read(connection))
      connection:close()
    end)
  end)

  it("by HEAD has the headers without the body", function()
    client.with_server(nil, function(server)
      local response = client.get(server.port, "/report.txt", nil, "HEAD")
      assert.equal(200, response.status)
      assert.is_true(tonumber(response.headers["content-length"]) > 0)
    end)
  end)

  it("that changes something is refused", function()
    client.with_server(nil, function(server)
      for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS", "TRACE" } do
        local response = client.get(server.port, "/state", nil, method)
        assert.same({ 405, "GET, HEAD" }, { response.status, response.headers.allow })
      end
    end)
  end)

  it("that is malformed gets the status that says so", function()
    client.with_server(nil, function(server)
      local host = "Host: 127.0.0.1:" .. server.port .. "\r\n"
      local cases = {
        [400] = {
          "nonsense\r\n\r\n", "GET\r\n\r\n", "GET /state\r\n\r\n",
          "GET  /state HTTP/1.1\r\n" .. host .. "\r\n",
          "GET state HTTP/1.1\r\n" .. host .. "\r\n", "GET /state HTTP/1.1\r\n\r\n",
          "GET /state HTTP/1.1\n" .. host .. "\r\n", "GET /st\1ate HTTP/1.1\r\n" .. host .. "\r\n",
          "GET /state HTTP/1.1\r\n" .. host .. host .. "\r\n",
          "GET /state HTTP/1.1\r\n" .. host .. "a b: c\r\n\r\n",
          "GET /state HTTP/1.1\r\n" .. host .. " folded\r\n\r\n",
          "GET /state HTTP/1.1\r\n" .. host .. "Content-Length: x\r\n\r\n",
          "G\255T /state HTTP/1.1\r\n" .. host .. "\r\n",
        },
        [413] = { "GET /state HTTP/1.1\r\n" .. host .. "Content-Length: 5\r\n\r\nhello" },
        [414] = { "GET /" .. ("a"):rep(5000) .. " HTTP/1.1\r\n" .. host .. "\r\n" },
        [431] = {
          "GET /state HTTP/1.1\r\n" .. host .. "X: " .. ("a"):rep(17000) .. "\r\n\r\n", ("a"):rep(20000),
          "GET /state HTTP/1.1\r\n" .. host .. ("X: 1\r\n"):rep(200) .. "\r\n",
        },
        [501] = { "GET /state HTTP/1.1\r\n" .. host .. "Transfer-Encoding: chunked\r\n\r\n" },
        [505] = { "PRI * HTTP/2.0\r\n\r\n", "GET /state HTTP/3.0\r\n" .. host .. "\r\n" },
        [404] = { client.format(server.port, "/../etc/passwd"), client.format(server.port, "/state/") },
      }
      for status, requests in pairs(cases) do
        for _, bytes in ipairs(requests) do
          assert.equal(status, status_of(server.port, bytes), bytes:sub(1, 100))
        end
      end
      assert.equal(200, client.get(server.port, "/state").status)
    end)
  end)

  it("of random bytes is answered or dropped, and the server goes on", function()
    client.with_server(nil, function(server)
      local random = helpers.random(7)
      local valid = client.format(server.port, "/state")
      for _ = 1, 100 do
        local at = random(#valid)
        local bytes = valid:sub(1, at - 1) .. string.char(random(256) - 1) .. valid:sub(at + 1)
        bytes = bytes .. "\r\n\r\n"
        local response = client.send(server.port, bytes)
        if response then assert.is_true(response.status >= 200 and response.status < 600) end
      end
      assert.equal(200, client.get(server.port, "/state").status)
    end)
  end)

  it("has answers that no other site may read, show or keep", function()
    client.with_server(nil, function(server)
      for _, path in ipairs { "/state", "/report.txt", "/nothing" } do
        local headers = client.get(server.port, path).headers
        assert.is_nil(headers["access-control-allow-origin"])
        helpers.assert_contains("default-src 'none'", headers["content-security-policy"])
        assert.same({ "nosniff", "same-origin", "no-referrer", "DENY" }, {
          headers["x-content-type-options"], headers["cross-origin-resource-policy"],
          headers["referrer-policy"], headers["x-frame-options"],
        })
      end
    end)
  end)
end)

describe("the page", function()
  it("comes with a policy that lets it run its own script alone", function()
    client.with_server(nil, function(server)
      local page = require "coropanic.debug.page"
      local response = client.get(server.port, "/")
      assert.same({ 200, page.html }, { response.status, response.body })
      local policy = response.headers["content-security-policy"]
      helpers.assert_contains("default-src 'none'; script-src '" .. page.script_hash .. "'", policy)
      helpers.assert_contains("connect-src 'self'", policy)
    end)
  end)

  it("names no other server", function()
    local html = require("coropanic.debug.page").html
    for url in html:gmatch "https?://[%w./-]+" do assert.equal("http://www.w3.org/", url:sub(1, 18)) end
  end)
end)

describe("a request for another host", function()
  it("is refused, because a name of another site may lead here", function()
    client.with_server(nil, function(server)
      local port = tostring(server.port)
      for _, host in ipairs {
        "evil.example", "evil.example:" .. port, "127.0.0.1.evil.example:" .. port, "127.0.0.1:1",
        "127.0.0.1", "", "localhost:" .. port .. "x", "127.0.0.1:" .. port .. "@evil.example", "[::1",
        "192.168.0.1:" .. port,
      } do
        assert.equal(403, client.get(server.port, "/state", { "Host: " .. host }).status, host)
      end
      for _, host in ipairs { "127.0.0.1:", "localhost:", "LOCALHOST:", "[::1]:" } do
        assert.equal(200, client.get(server.port, "/state", { "Host: " .. host .. port }).status, host)
      end
    end)
  end)

  it("may be for any address if the server listens at all of them", function()
    local is_host = access.hosts("0.0.0.0", 6669)
    assert.same({ true, true, true, false }, {
      is_host "10.0.0.7:6669", is_host "[fe80::1]:6669", is_host "localhost:6669",
      is_host "evil.example:6669",
    })
    local is_named = access.hosts("debug.internal", 80)
    assert.same({ true, true, false }, {
      is_named "debug.internal", is_named "debug.internal:80", is_named "localhost",
    })
  end)
end)

describe("a request of another site's page", function()
  it("is refused", function()
    client.with_server(nil, function(server)
      local function status(...) return client.get(server.port, "/state", { ... }).status end
      assert.equal(403, status "Origin: http://evil.example")
      assert.equal(403, status "Origin: null")
      assert.equal(403, status "Sec-Fetch-Site: cross-site")
      assert.equal(200, status("Origin: http://127.0.0.1:" .. server.port))
      assert.equal(200, status "Sec-Fetch-Site: same-origin")
      assert.equal(200, status("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"))
    end)
  end)
end)

describe("a token", function()
  it("is asked for on every path, as a header or in the query", function()
    client.with_server({ token = "sesame" }, function(server)
      assert.equal("http://127.0.0.1:" .. server.port .. "/?token=sesame", server.url)
      for _, path in ipairs { "/state", "/task/1", "/report.txt", "/nothing" } do
        local response = client.get(server.port, path)
        local asked = response.headers["www-authenticate"]
        assert.same({ 401, 'Bearer realm="coropanic"' }, { response.status, asked })
      end
      local function status(path, ...) return client.get(server.port, path, { ... }).status end
      assert.equal(200, status "/state?token=sesame")
      assert.equal(200, status("/state", "Authorization: Bearer sesame"))
      assert.equal(200, status "/state?x=1&token=ses%61me")
      for _, wrong in ipairs { "", "s", "sesam", "sesamesesame", "sesamf", "Sesame" } do
        assert.equal(401, status("/state?token=" .. wrong), wrong)
      end
    end)
  end)

  it("is compared whatever the other's length", function()
    assert.is_true(access.is_equal("abc", "abc"))
    for _, given in ipairs { "", "a", "abd", "abcabc", "xbc", "abcd" } do
      assert.is_false(access.is_equal(given, "abc"))
    end
  end)
end)

describe("a connection", function()
  it("beyond the eighth is turned away at once, and one that ends makes room", function()
    client.with_server(nil, function(server)
      local open = {}
      for i = 1, 8 do
        open[i] = client.connect(server.port)
        open[i]:send "GET /state"
      end
      helpers.settle()
      local response = client.get(server.port, "/state")
      assert.same({ 503, "1" }, { response.status, response.headers["retry-after"] })
      open[1]:close()
      co.sleep(0.01)
      assert.equal(200, client.get(server.port, "/state").status)
      for i = 2, 8 do open[i]:close() end
    end)
  end)

  it("whose client leaves in the middle of anything is given up", function()
    client.with_server(nil, function(server)
      for _, bytes in ipairs { "", "GET /st", client.format(server.port, "/state?since=0"),
        client.format(server.port, "/state"):rep(20) } do
        for _ = 1, 10 do
          local connection = client.connect(server.port)
          connection:send(bytes)
          connection:close()
          co.sleep(0.002)
        end
      end
      assert.equal(200, client.get(server.port, "/state").status)
    end)
  end)

  it("that sends nothing for 5 seconds, or not all of a request, is closed", function()
    co.run_with({ clock = "virtual" }, function()
      local server <close> = debug_server.listen { port = 0 }
      local silent, slow = client.connect(server.port), client.connect(server.port)
      silent:settimeout(60)
      slow:settimeout(60)
      slow:send "GET /state HTTP/1.1\r\n"
      assert.equal(408, client.read(slow).status)
      assert.is_nil(client.read(silent))
      silent:close()
      slow:close()
    end)
  end)
end)
