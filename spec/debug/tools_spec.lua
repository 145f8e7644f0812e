-- coropanic.debug: what pprof, `go tool trace`, Prometheus and others read.

local cjson = require "cjson"
local client = require "spec.debug.client"
local co = require "coropanic"
local go_tool = require "spec.go_tool"
local helpers = require "spec.helpers"
local pprof = require "telemetry.pprof"
local reader = require "coropanic.record.reader"

local function stop_recording()
  local recorder = co.recorder()
  if recorder then recorder:stop() end
end

describe("debug.listen answers tools:", function()
  after_each(stop_recording)

  it("profiles for go tool pprof", function()
    client.with_server(nil, function(server)
      co.spawn_with({ name = "sleeper", daemon = true }, co.sleep, 1000)
      helpers.settle()
      for _, path in ipairs { "tasks", "wait?seconds=0.05", "alloc?seconds=0.01", "profile?seconds=0.05" } do
        local response = client.get(server.port, "/debug/pprof/" .. path)
        assert.equal(200, response.status, response.body)
        local output = pprof.go(response.body, "-raw")
        if path == "tasks" then assert.truthy(output:find("sleeper", 1, true), output) end
      end
      assert.equal(200, client.get(server.port, "/debug/pprof/").status)
    end)
  end)

  it("no profile that it does not know, nor a second one of a kind, nor for a time that is none", function()
    client.with_server(nil, function(server)
      assert.equal(404, client.get(server.port, "/debug/pprof/heap").status)
      for _, text in ipairs { "x", "-1", "1e9", "301", "0x10", "" } do
        local response = client.get(server.port, "/debug/pprof/profile?seconds=" .. text)
        assert.equal(400, response.status)
        assert.truthy(response.body:find("'seconds' is to be a number from 0 to 300", 1, true))
      end
      local profile = co.profile.start { kind = "wait" }
      assert.equal(409, client.get(server.port, "/debug/pprof/wait?seconds=0").status)
      profile:stop()
    end)
  end)

  it("a profile ends with the server", function()
    client.with_server(nil, function(server)
      local connection = client.connect(server.port)
      connection:send(client.format(server.port, "/debug/pprof/wait?seconds=300"))
      repeat
        co.sleep(0.001)
        local ok, profile = pcall(co.profile.start, { kind = "wait" })
        if ok then profile:stop() end
      until not ok
      server:close()
      helpers.settle()
      co.profile.start({ kind = "wait" }):stop()
      connection:close()
    end)
  end)

  it("what is recorded, for go tool trace, Chrome, people and itself", function()
    client.with_server(nil, function(server)
      local recorder = co.record()
      co.spawn(co.yield)
      helpers.settle()
      local as_go = client.get(server.port, "/debug/trace")
      local ok, output = go_tool.run("trace -d", as_go.body)
      assert.is_true(ok, output:sub(1, 300))
      assert.is_table(cjson.decode(client.get(server.port, "/debug/trace?format=chrome").body))
      assert.truthy(client.get(server.port, "/debug/trace?format=text").body:find "^coropanic%-events/1: ")
      local parsed = reader.parse(client.get(server.port, "/debug/trace?format=events").body)
      assert.is_true(parsed:events()().kind ~= nil)
      assert.equal(recorder, co.recorder())
    end)
  end)

  it("what happens in the next seconds, also if nothing was recorded, and then stops recording", function()
    client.with_server(nil, function(server)
      assert.equal(409, client.get(server.port, "/debug/trace").status)
      local task = co.spawn(function()
        repeat co.sleep(0.001) until co.recorder()
        co.spawn(co.yield)
      end)
      local response = client.get(server.port, "/debug/trace?seconds=0.1&format=text")
      assert.truthy(response.body:find("spawned at", 1, true), response.body)
      assert.is_nil(co.recorder())
      task:join()
      assert.equal(400, client.get(server.port, "/debug/trace?format=perfetto").status)
      assert.equal(400, client.get(server.port, "/debug/trace?seconds=soon").status)
    end)
  end)

  it("the last events as JSON", function()
    client.with_server(nil, function(server)
      assert.equal(409, client.get(server.port, "/events").status)
      co.record()
      for _ = 1, 20 do co.spawn(co.yield) end
      helpers.settle()
      local told = cjson.decode(client.get(server.port, "/events?last=5").body)
      assert.same({ "coropanic-events-json/1", 0, 5 }, { told.contract, told.lost, #told.events })
      assert.is_string(told.events[1].kind)
      assert.equal(400, client.get(server.port, "/events?last=1001").status)
    end)
  end)

  it("metrics, as Accept asks", function()
    client.with_server(nil, function(server)
      local plain = client.get(server.port, "/metrics")
      assert.truthy(plain.headers["content-type"]:find("version=0.0.4", 1, true))
      assert.truthy(plain.body:find("\ncoropanic_switches_total %d"))
      local open = client.get(server.port, "/metrics", { "Accept: application/openmetrics-text" })
      assert.truthy(open.body:find "# EOF\n$")
    end)
  end)

  it("counters and live traces as JSON", function()
    client.with_server(nil, function(server)
      client.get(server.port, "/debug/vars")
      local task = co.spawn_with({ daemon = true, detached_trace = true }, co.sleep, 1000)
      helpers.settle()
      local told = cjson.decode(client.get(server.port, "/debug/vars").body)
      assert.equal(co.stats().panics, told.stats.panics)
      assert.is_true(told.memory_bytes > 0)
      assert.equal(1, told.traces[task.trace_id].tasks)
      co.trace.usage(false)
    end)
  end)
end)
