--- The guest in HAProxy: the services of spec/hosts/haproxy/services.lua.

local co = require "coropanic"
local socket = require "coropanic.socket"
local helpers = require "spec.helpers"
local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

local CONFIGURATION = [[
global
  nbthread $threads
  $load $here/spec/hosts/haproxy/services.lua
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
frontend services
  bind 127.0.0.1:$port
  http-request use-service lua.call if { path /call }
  http-request use-service lua.spawn if { path /spawn }
  http-request use-service lua.tasks
]]

local REQUEST = "%s /%s HTTP/1.0\r\nTraceparent: 00-%s-%s-01\r\nContent-Length: %d\r\n\r\n%s"
local PARENT = "b7ad6b7169203331"

--- A trace id of its own for each number.
local function trace_of(n) return ("0af7651916cd43dd8448eb21%08x"):format(n) end

for load, threads in pairs { ["lua-load"] = 1, ["lua-load-per-thread"] = 2 } do
  describe("HAProxy with " .. load, function()
    local folder, port, stop

    setup(function()
      folder = host.make_folder()
      port, stop = server_process.start("sh", function(free)
        local values = { load = load, threads = threads, here = host.HERE, port = free }
        host.write(folder .. "/haproxy.cfg", (CONFIGURATION:gsub("$(%l+)", values)))
        return { "-c", ("exec haproxy -db -f %s/haproxy.cfg 2>%s/log >/dev/null"):format(folder, folder) }
      end, host.environment())
    end)

    teardown(function()
      stop()
      os.execute("rm -r " .. folder)
    end)

    local function log() return host.read(folder .. "/log") end

    --- Waits until the log has so many such lines.
    local function wait_for(pattern, count)
      local finish = os.time() + 60
      while select(2, log():gsub(pattern, "")) < count do
        assert(os.time() < finish, pattern .. " is not in the log:\n" .. log())
        co.run(co.sleep, 0.02)
      end
    end

    --- What was logged, without the lines' heads: one text for each Lua state, whose lines may come in turns.
    local function logs_of_states()
      local texts = {}
      for line in log():gmatch " : ([^\n]*\n)" do
        local thread, rest = line:match "^thread (%d+): (.*)$"
        thread = thread or "none"
        texts[thread] = (texts[thread] or "") .. (rest or line)
      end
      return texts
    end

    --- Sends a request and returns its status, headers and body.
    local function get(path, trace, body)
      local connection = assert(socket.connect("127.0.0.1", port))
      connection:send(REQUEST:format(body and "POST" or "GET", path, trace or trace_of(0), PARENT,
        #(body or ""), body or ""))
      local text = connection:receive "*a"
      connection:close()
      local status, headers, rest = text:match "^HTTP/1.%d (%d+)(.-)\r\n\r\n(.*)$"
      return tonumber(status), headers, rest
    end

    local function body_of(...) return (select(3, get(...))) end

    it("runs handlers as tasks, which sleep, join, receive and send", function()
      assert.equal("slept", body_of "sleep")
      assert.equal("6", body_of "join")
      assert.equal("hello", body_of("echo", nil, "hello"))
    end)

    it("lets tasks use what waits in HAProxy", function()
      helpers.assert_contains("awaited true panic: refused\n", body_of "await")
    end)

    it("lets services that are no tasks call one, or spawn one", function()
      assert.equal("true 8", body_of "call?4")
      helpers.assert_contains("zero", body_of "call?0")
      assert.equal("ok", body_of "spawn")
      wait_for("spawned by a service", 1)
    end)

    it("runs what was spawned while its configuration was read", function()
      wait_for("spawned while loading", threads)
    end)

    it("continues the trace of the request, and says so in the response", function()
      local _, headers = get("sleep", trace_of(80))
      local span = headers:match("traceparent: 00%-" .. trace_of(80) .. "%-(%x+)%-01")
      assert.is_string(span)
      assert.not_equal(PARENT, span)
    end)

    it("answers 500 and logs the report if a handler panics", function()
      local status, _, body = get("panic?77", trace_of(77))
      assert.same({ 500, "trace " .. trace_of(77) .. "\n" }, { status, body })
      wait_for('"GET /panic" panicked, trace ' .. trace_of(77), 1)
    end)

    it("logs a report line by line, each with the thread's number if there are several Lua states", function()
      get("panic?78", trace_of(78))
      local head = threads > 1 and " : thread %d: " or " : "
      wait_for(head .. "panic: [^\n]*: panic 78\n", 1)
      wait_for(head .. '[^\n]*"GET /panic" panicked, trace ' .. trace_of(78), 1)
    end)

    it("ends a response that has begun as it is, if its handler panics", function()
      assert.equal("begun", body_of "late")
      wait_for("too late for a status", 1)
    end)

    it("refuses the applet to a task that outlives the service", function()
      assert.equal("ok", body_of "outlive")
      wait_for("applet:send after the end of the service", 1)
    end)

    it("answers what it can not do, and bad input, with clear errors", function()
      assert.equal([[
co.run is not available in HAProxy, whose loop runs the tasks (docs/portability.md): see coropanic.haproxy
co.step is not available in HAProxy, whose loop runs the tasks (docs/portability.md): see coropanic.haproxy
'call' is for coroutines of HAProxy: in a task, call the function itself
bad argument #1 to 'http' (function expected, got no value)
bad argument #1 to 'await' (function expected, got nil)]], body_of "refused")
    end)

    it("reports each panic of a load once, under its request's trace, and leaves no task behind", function()
      local CLIENTS, REQUESTS = 8, 12
      local PATHS = { "sleep", "panic?", "lost?", "join" }
      co.run(function()
        for client = 1, CLIENTS do
          co.spawn(function()
            for i = 1, REQUESTS do
              local n = 10000 + client * REQUESTS + i
              local path = PATHS[i % #PATHS + 1]
              local status = get(path .. n, trace_of(n))
              assert(status == (path == "panic?" and 500 or 200), path .. ": " .. tostring(status))
            end
          end)
        end
      end)
      local expected = CLIENTS * REQUESTS // 2
      wait_for(" panicked, trace 0af7651916cd43dd8448eb210000[23]", expected)
      local seen, count = {}, 0
      for _, text in pairs(logs_of_states()) do
        for n, trace in text:gmatch "panic: [^\n]*: %l+ (%d%d%d%d%d)\n[^\n]*, trace (%x+)," do
          assert.equal(trace_of(tonumber(n)), trace)
          assert.is_nil(seen[n])
          seen[n], count = true, count + 1
        end
      end
      assert.equal(expected, count)
      assert.equal("0", body_of "live")
    end)
  end)
end

describe("coropanic.haproxy", function()
  it("says outside HAProxy where it works", function()
    helpers.assert_error("coropanic.haproxy works in HAProxy only: load it in its Lua code", require,
      "coropanic.haproxy")
  end)
end)
