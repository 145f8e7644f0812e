--- The guest in the real nginx, with two workers: spec/hosts/nginx has its configuration and handlers.

local helpers = require "spec.helpers"
local nginx_process = require "spec.hosts.nginx_process"

local eventually = nginx_process.eventually

local PARENT = "b7ad6b7169203331"

--- A trace id of its own for each number.
local function trace_of(n)
  return ("0af7651916cd43dd8448eb21%08x"):format(n)
end

local function header_of(n)
  return ("traceparent: 00-%s-%s-01\r\n"):format(trace_of(n), PARENT)
end

describe("nginx", function()
  local nginx

  setup(function() nginx = nginx_process.start "spec/hosts/nginx/nginx.conf" end)
  teardown(function() nginx:stop() end)

  local function body_of(path, headers)
    local code, body = nginx:get(path, headers)
    assert.equal(200, code, path .. ": " .. body)
    return body
  end

  --- How often a deferred call or handler has run, in all workers.
  local function count(name) return tonumber(body_of("/content/count?name=" .. name:gsub(" ", "%%20"))) end

  local function wait_for_count(expected, name)
    eventually(name, function() return count(name) >= expected end)
    assert.equal(expected, count(name))
  end

  it("runs tasks in a content handler, and their deferred calls", function()
    assert.equal("55\ndeferred\n", body_of "/content/join")
  end)

  it("runs tasks in rewrite, access and content handlers, all under the request's trace", function()
    local expected = ""
    for _, phase in ipairs { "rewrite", "access", "content" } do
      expected = expected .. phase .. " 3 " .. trace_of(1) .. "\n"
    end
    local code, body, head = nginx:get("/phases/", header_of(1))
    assert.equal(200, code)
    helpers.assert_contains(expected, body)
    helpers.assert_contains("traceparent: 00-" .. trace_of(1), head)
  end)

  it("keeps one trace for all phases of a request that came without", function()
    local ids = {}
    for id in body_of("/phases/"):gmatch "%l+ 3 (%x+)" do ids[#ids + 1] = id end
    assert.equal(3, #ids)
    assert.same({ ids[1], ids[1] }, { ids[2], ids[3] })
  end)

  it("answers 500 in the phase whose handler panics, and later phases do not run", function()
    for _, phase in ipairs { "rewrite", "access", "content" } do
      assert.equal(500, (nginx:get("/phases/" .. phase, header_of(2))))
      nginx:wait_for("panic in " .. phase)
      assert.equal(1, nginx:count("panic in " .. phase))
    end
  end)

  it("has frames in init and set, but no tasks", function()
    local body = body_of "/content/init"
    helpers.assert_contains("no tasks in the phase init of nginx, which can not suspend", body)
    helpers.assert_contains("in init\n", body)
    helpers.assert_contains("no tasks in the phase set of nginx", body_of "/phases/")
  end)

  it("reports the panic of a handler once, under its request's trace, to log and handler", function()
    local before = count "handled"
    assert.equal(500, (nginx:get("/content/panic?id=30", header_of(30))))
    nginx:wait_for "panic 30"
    nginx:wait_for("trace " .. trace_of(30))
    assert.equal(1, nginx:count "panic 30")
    wait_for_count(before + 1, "handled")
  end)

  it("answers 500 for errors that are tables, and nginx never sees them", function()
    assert.equal(500, (nginx:get "/content/table_panic"))
    nginx:wait_for "E42"
    assert.equal(0, nginx:count "unknown reason")
  end)

  it("cuts off a response that has begun", function()
    local _, body = nginx:get "/content/cut"
    assert.equal("begun\n", body)
    nginx:wait_for "panic after the headers"
  end)

  it("reports the panic that nobody joins, under its request's trace, and none that was joined", function()
    assert.equal("false joined\n", body_of("/content/lost?id=31", header_of(31)))
    nginx:wait_for "lost 31"
    nginx:wait_for("trace " .. trace_of(31))
    assert.equal(1, nginx:count "lost 31")
    assert.equal(0, nginx:count "panic: joined")
  end)

  it("sends the trace with subrequests of several tasks at once", function()
    local a, b = body_of("/content/subrequests", header_of(40)):match "^(%S+)\n(%S+)\n$"
    assert.is_string(a, "a subrequest has another trace than its task")
    helpers.assert_contains(trace_of(40), a)
    helpers.assert_contains(trace_of(40), b)
    assert.not_equal(a, b)
  end)

  it("sends the trace to upstreams by proxy_set_header", function()
    local header, id = body_of("/proxied", header_of(41)):match "^(%S+) (%x+)"
    assert.equal(trace_of(41), id)
    assert.equal(trace_of(41), header:sub(4, 35))
    assert.not_equal(PARENT, header:sub(37, 52))
  end)

  it("begins a trace if the header comes twice or is none", function()
    local twice = body_of("/content/trace", header_of(42) .. header_of(43)):match " (%x+)"
    assert.is_false(twice == trace_of(42) or twice == trace_of(43))
    assert.equal(32, #body_of("/content/trace", "traceparent: 00-wrong\r\n"):match " (%x+)")
  end)

  it("parks only the task that waits for a cosocket", function()
    assert.equal("meanwhile, answered\n", body_of "/content/cosocket")
  end)

  it("keeps what functions of nginx that suspend return and raise", function()
    local values, place, other =
      body_of("/content/receiveuntil"):match "^(%d)\n(.-):%d+: expecting[^\n]+\n(.-):%d+: attempt"
    assert.equal("1", values)
    assert.truthy(place:find("handlers.lua", 1, true))
    assert.equal(place, other)
  end)

  it("begins new tasks when their spawner suspends in nginx", function()
    local ways = {}
    for way, before, begun, name in body_of("/content/begins"):gmatch "(%S+) (%l+) (%l+) (%l+)\n" do
      assert.same({ "false", "true", "content" }, { before, begun, name }, way)
      ways[#ways + 1] = way
    end
    assert.equal(10, #ways)
  end)

  it("begins none when a coroutine inside the spawner yields", function()
    assert.equal("1 2 3 false\n", body_of "/content/generator")
  end)

  it("runs tasks in timers, under the trace of the request that has set them", function()
    local before = count "timer deferred"
    assert.equal("set\n", body_of("/content/timer?id=50", header_of(50)))
    nginx:wait_for "panic: timer 50 given false"
    nginx:wait_for("trace " .. trace_of(50))
    wait_for_count(before + 1, "timer deferred")
  end)

  for _, name in ipairs { "exit", "exit_in_task" } do
    it("runs deferred calls once before ngx.exit: " .. name, function()
      assert.equal("before\n", body_of("/content/" .. name))
      wait_for_count(6, name)
    end)
  end

  it("runs deferred calls once before ngx.redirect and ngx.exec", function()
    assert.equal(302, (nginx:get "/content/redirect"))
    wait_for_count(6, "redirect")
    assert.equal("55\ndeferred\n", body_of "/content/exec")
    wait_for_count(6, "exec")
  end)

  it("counts no tasks that ngx.exec has kept from beginning", function()
    assert.equal("0\n", body_of "/content/exec_unborn")
  end)

  it("wakes a deferred call whose task has lost its light thread", function()
    assert.equal(204, (nginx:get "/content/woken"))
    wait_for_count(1, "woken")
  end)

  it("waits for tasks that nobody joins", function()
    body_of "/content/forget"
    wait_for_count(3, "forgotten")
  end)

  it("runs deferred calls outside tasks before ngx.exit", function()
    assert.equal(204, (nginx:get "/bare/frames"))
    wait_for_count(2, "frames")
  end)

  it("wakes the joiner of a task whose thread was killed, after its deferred calls", function()
    assert.equal("1 false ngx.thread.kill cancelled\n", body_of "/content/kill")
    wait_for_count(2, "kill")
  end)

  it("runs deferred calls once when the client has gone", function()
    local connection = nginx:send "/content/abort"
    wait_for_count(1, "begun")
    connection:close()
    wait_for_count(1, "aborted")
    wait_for_count(6, "abort")
  end)

  it("splits a report that is longer than nginx's lines", function()
    nginx:get("/content/long", header_of(60))
    nginx:wait_for("trace " .. trace_of(60)) -- which comes behind the message
    local digits = select(2, nginx:log():gsub("0123456789", ""))
    assert.is_true(digits > 400, digits .. " of 409 parts have come")
  end)

  it("makes other ids in each worker", function()
    local seen, workers, total = {}, {}, 0
    eventually("answers of two workers", function()
      local worker, ids = body_of("/content/ids"):match "^(%d+) (.*)\n$"
      workers[worker] = true
      for id in ids:gmatch "%x+" do
        assert.is_nil(seen[id], "an id was made twice")
        seen[id] = true
        total = total + 1
      end
      return workers["0"] and workers["1"]
    end)
    assert.is_true(total >= 100)
  end)

  it("lets no light thread end by an error of its own", function()
    assert.is_nil(nginx:log():match "[^\n]*thread aborted[^\n]*")
  end)

  it("answers bad input with an error that says what was expected", function()
    local bad_argument, nested = body_of("/content/refused"):match "^(.-)\n(.-)\n$"
    helpers.assert_contains("bad argument #1 to 'serve' (function expected, got nil)", bad_argument)
    helpers.assert_contains("co.run inside a task", nested)
  end)
end)
