--- coropanic.prosody in the real Prosody: spec/hosts/prosody/mod_spec_tasks.lua is the module that it serves.

local co = require "coropanic"
local socket = require "coropanic.socket"
local helpers = require "spec.helpers"
local prosody_process = require "spec.hosts.prosody_process"

local PARENT = "b7ad6b7169203331"

--- A trace id of its own for each number.
local function trace_of(n)
  return ("0af7651916cd43dd8448eb21%08x"):format(n)
end

--- Reads a response. The body is that of its Content-Length.
local function receive(connection)
  local line = assert(connection:receive "*l")
  local response = { code = tonumber(line:match "^HTTP/1.1 (%d+)"), headers = {} }
  for header in function() return connection:receive "*l" end do
    local name, value = header:match "^(.-):%s*(.*)$"
    if not name then
      break
    end
    response.headers[name:lower()] = value
  end
  local length = tonumber(response.headers["content-length"] or 0)
  response.body = length > 0 and connection:receive(length) or "" -- to receive 0 bytes would wait for some
  return response
end

local function send(connection, path, trace)
  connection:send(("GET /tasks/%s HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-%s-%s-01\r\n\r\n"):format(
    path, trace, PARENT))
end

for _, backend in ipairs { "epoll", "select" } do
  describe("coropanic.prosody over net.server_" .. backend, function()
    local prosody

    local function connect()
      return assert(socket.connect("127.0.0.1", prosody.port))
    end

    local function get(path, trace)
      local connection = connect()
      send(connection, path, trace or trace_of(0))
      local response = receive(connection)
      connection:close()
      return response
    end

    setup(function()
      prosody = prosody_process.start { server = ("network_backend = %q\n"):format(backend) }
    end)

    teardown(function() prosody:stop() end)

    it("lets a handler sleep", function()
      local response = get "sleep?s=0.01"
      assert.same({ 200, "slept" }, { response.code, response.body })
    end)

    it("serves requests side by side: twenty wait for each other", function()
      local bodies = {}
      co.run(function()
        for i = 1, 20 do
          co.spawn(function() bodies[i] = get("meet").body end)
        end
      end)
      assert.equal(("met "):rep(20), table.concat(bodies, " ") .. " ")
    end)

    it("lets a handler join its own tasks", function()
      assert.equal("[8,10]", get("join?n=4").body)
    end)

    it("answers 500 and logs the report if a handler panics", function()
      local response = get("panic?id=77", trace_of(77))
      assert.equal(500, response.code)
      helpers.assert_contains("trace " .. trace_of(77), response.body)
      prosody:wait_for "panic: panic 77\n"
      prosody:wait_for(('"spec_tasks: GET /tasks/panic" panicked, trace %s'):format(trace_of(77)))
      assert.equal(1, prosody:count "panic: panic 77\n")
    end)

    it("logs the panic of a task that nobody joins, under the trace of its request", function()
      assert.equal("ok", get("lost?id=78", trace_of(78)).body)
      prosody:wait_for "panic: lost 78\n"
      prosody:wait_for("trace " .. trace_of(78))
    end)

    it("logs no panic that was caught", function()
      assert.equal("false panic 79", get("recovered?id=79").body)
      assert.equal(0, prosody:count "panic: panic 79\n")
    end)

    it("continues the trace of the request, and says so in the response", function()
      local trace, span = get("sleep?s=0", trace_of(80)).headers.traceparent:match "^00%-(%x+)%-(%x+)%-01$"
      assert.equal(trace_of(80), trace)
      assert.not_equal(PARENT, span)
    end)

    it("sends the trace with its own requests, and keeps their headers", function()
      local trace, span, custom = get("outgoing", trace_of(81)).body:match "^00%-(%x+)%-(%x+)%-01 (%w+)$"
      assert.same({ trace_of(81), "kept" }, { trace, custom })
      assert.not_equal(PARENT, span)
    end)

    it("returns nil and the reason if a request of its own has no response", function()
      assert.equal("connection refused", get("refused").body)
    end)

    it("awaits promises: results are returned, rejections are raised", function()
      assert.equal("kept false BROKEN", get("promise").body)
    end)

    it("takes what Prosody takes from a handler: a status, nothing, or that it has answered", function()
      assert.equal(204, get("status").code)
      assert.equal(404, get("nothing").code)
      assert.equal("sent by itself", get("own").body)
      prosody:wait_for "own: went on"
    end)

    it("lets handlers that are no tasks wait for one", function()
      assert.equal("10", get("call?n=5").body)
      assert.equal("false", get("call-panic").body)
      prosody:wait_for "panic: panic in call\n"
    end)

    it("keeps requests apart that come in one packet", function()
      local connection = connect()
      local request = "GET /tasks/trace HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-%s-%s-01\r\n\r\n"
      connection:send(request:format(trace_of(91), PARENT) .. request:format(trace_of(92), PARENT))
      for n = 91, 92 do
        local response = receive(connection)
        helpers.assert_contains(trace_of(n), response.body)
        helpers.assert_contains(trace_of(n), response.headers.traceparent)
      end
      connection:close()
    end)

    -- net.server_select does not look at a connection whose request is being handled.
    local it_if_epoll = backend == "epoll" and it or function() end

    it_if_epoll("cancels the task of a client that has gone", function()
      local connection = connect()
      send(connection, "wait?id=gone", trace_of(0))
      prosody:wait_for "wait gone: began"
      connection:setoption("linger", { on = true, timeout = 0 }) -- closes with a reset
      connection:close()
      prosody:wait_for "wait gone: gave back"
    end)

    it("answers 503 when the module is reloaded, after deferred calls have run, and serves on", function()
      local connection = connect()
      send(connection, "wait?id=reloaded", trace_of(0))
      prosody:wait_for "wait reloaded: began"
      assert.equal("reloading", get("reload?id=1").body)
      assert.equal(503, receive(connection).code)
      connection:close()
      assert.equal(1, prosody:count "wait reloaded: gave back")
      assert.equal("slept", get("sleep?s=0.01").body)
    end)

    it("answers 503 to what comes after the module has stopped its tasks", function()
      assert.equal("stopped", get("stop").body)
      assert.equal(503, get("sleep?s=0").code)
      assert.equal("false", get("call-panic").body)
      get "reload?id=2"
      prosody:wait_for "reloaded 2"
      assert.equal("slept", get("sleep?s=0").body)
    end)

    it("answers bad input with an error that says what was expected", function()
      assert.equal([[
bad argument #1 to 'start' (a module's own 'module' expected, got nil)
bad argument #1 to 'http' (function expected, got nil)
bad argument #1 to 'call' (function expected, got nil)
bad argument #1 to 'spawn_with' (table expected, got nil)
bad argument #1 to 'await' (promise expected, got string)
bad argument #1 to 'request' (string expected, got table)
'call' is for Prosody's handlers: in a task, call the function itself]],
        (get("refused-arguments").body:gsub("[^\n]-:%d+: ", "")))
    end)

    it("reports each panic of a load once, under its request's trace, and leaves no task behind", function()
      local CLIENTS, REQUESTS = 20, 40
      local REPORT = "panic: (%l+) (%d%d%d%d%d)\n[^\n]*\n[^\n]*, trace (%x+),"
      local wrong = {}
      co.run(function()
        for client = 1, CLIENTS do
          co.spawn(function()
            local connection = connect()
            for i = 1, REQUESTS do
              local n = 10000 + client * REQUESTS + i
              local path = i % 4 == 0 and "panic?id=" .. n or i % 4 == 1 and "lost?id=" .. n or "join?n=1"
              send(connection, path, trace_of(n))
              local response = receive(connection)
              if response.code ~= (i % 4 == 0 and 500 or 200) then
                wrong[#wrong + 1] = path .. ": " .. response.code
              end
            end
            connection:close()
          end)
        end
      end)
      assert.same({}, wrong)
      local expected = CLIENTS * REQUESTS // 4
      local reports
      repeat
        reports = {}
        for kind, n, trace in prosody:log():gmatch(REPORT) do
          reports[#reports + 1] = { kind, tonumber(n), trace }
        end
        co.run(co.sleep, 0.05)
      until #reports >= 2 * expected
      local seen = {}
      for _, report in ipairs(reports) do
        local kind, n, trace = table.unpack(report)
        assert.equal(trace_of(n), trace)
        assert.is_nil(seen[kind .. n])
        seen[kind .. n] = true
      end
      assert.equal(2 * expected, #reports)
      assert.equal("0", get("live").body)
    end)
  end)
end

describe("a Prosody that stops", function()
  it("first runs the deferred calls of all tasks", function()
    local prosody = prosody_process.start()
    local connection = assert(socket.connect("127.0.0.1", prosody.port))
    send(connection, "wait?id=last", trace_of(0))
    prosody:wait_for "wait last: began"
    helpers.assert_contains("wait last: gave back", prosody:stop())
    connection:close()
  end)
end)

describe("a Prosody that daemonizes", function()
  it("runs tasks, and keeps a panic handler that was set before", function()
    local prosody = prosody_process.daemonize { host = "own_panic_handler = true" }
    local connection = assert(socket.connect("127.0.0.1", prosody.port))
    send(connection, "join?n=4", trace_of(0))
    assert.equal("[8,10]", receive(connection).body)
    send(connection, "panic?id=5", trace_of(0))
    assert.equal(500, receive(connection).code)
    prosody:wait_for "own handler: panic 5"
    connection:close()
    helpers.assert_lacks("panicked, trace", prosody:stop())
  end)
end)

describe("coropanic.prosody", function()
  it("says outside Prosody where it works", function()
    helpers.assert_error("coropanic.prosody works in Prosody only: require it in one of its modules",
      require, "coropanic.prosody")
  end)
end)
