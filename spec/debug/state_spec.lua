-- coropanic.debug: what /state, its stream, /task and /report.txt say of the program.

local cjson = require "cjson"
local client = require "spec.debug.client"
local co = require "coropanic"
local debug_server = require "coropanic.debug"
local helpers = require "spec.helpers"
local redact = require "coropanic.redact"
local report = require "coropanic.report"
local slices = require "coropanic.debug.slices"
local state = require "coropanic.debug.state"

local function get_state(port) return cjson.decode(client.get(port, "/state").body) end

local function by_id(list)
  local found = {}
  for _, item in ipairs(list) do found[item.id] = item end
  return found
end

local function has_edge(edges, from, kind, to)
  for _, edge in ipairs(edges) do
    if edge.from == from and edge.kind == kind and edge.to == to then return true end
  end
  return false
end

local function node(task) return "t" .. task.id end

local function warning(told, kind)
  for _, one in ipairs(told.warnings) do
    if one.kind == kind then return one end
  end
end

describe("the state", function()
  it("has a row for each task of co.tasks, with what it waits for", function()
    client.with_server(nil, function(server)
      local mutex = co.mutex()
      local owner = co.spawn_with({ name = "owner" }, function()
        mutex:lock()
        co.sleep(60)
      end)
      co.yield()
      local waiter = co.spawn_with({ name = "waiter", daemon = true }, function() mutex:lock() end)
      co.yield()
      local told = get_state(server.port)
      local rows = by_id(told.tasks)
      local live = {}
      for _, task in ipairs(co.tasks()) do live[task.id] = true end
      -- The connection has ended since.
      for id, row in pairs(rows) do assert.is_true(live[id] or row.name == "debug connection") end
      for id in pairs(live) do assert.truthy(rows[id]) end
      assert.equal("coropanic-explorer/1", told.contract)
      local row = rows[waiter.id]
      assert.same({ "waiter", "waiting", true, co.current().id, "lock", waiter.trace_id, waiter.spawned_at },
        { row.name, row.status, row.daemon, row.parent, row.operation, row.trace_id, row.spawned_at })
      assert.same({ owner.id }, row.blockers)
      helpers.assert_contains("held by task", row.waiting_on)
      owner:cancel()
    end)
  end)

  it("has the arrows that the report draws, and those of locks and cancellations", function()
    client.with_server(nil, function(server)
      local task = co.spawn(co.sleep, 60)
      local joiner = co.spawn(function() task:join() end)
      local victim = co.spawn(co.sleep, 60)
      co.yield()
      victim:cancel()
      helpers.settle()
      local edges = get_state(server.port).edges
      assert.is_true(has_edge(edges, node(co.current()), "spawned", node(joiner)))
      assert.is_true(has_edge(edges, node(joiner), "waits", node(task)))
      assert.is_true(has_edge(edges, node(co.current()), "cancelled", node(victim)))
      for from, arrow, to in report.topology():gmatch "\n  (t%d+) (%-[-.]-%->)[^t\n]*(t%d+)\n" do
        local kind = arrow == "-->" and "spawned" or "waits"
        assert.is_true(has_edge(edges, from, kind, to), from .. arrow .. to)
      end
      task:cancel()
    end)
  end)

  it("shows the way of a panic up to the task that gets it", function()
    client.with_server(nil, function(server)
      local child
      local parent = co.spawn_with({ name = "parent" }, function()
        child = co.spawn_with({ name = "child" }, co.panic, "no such price")
        child:await()
      end)
      parent:join()
      local told = get_state(server.port)
      assert.is_true(has_edge(told.edges, node(child), "panic", node(parent)))
      assert.is_true(has_edge(told.edges, node(parent), "panic", node(co.current())))
      assert.same({ child.id, "no such price" }, { told.panics[1].task, told.panics[1].message })
    end)
  end)

  it("tells of a wait that goes on, but for other tasks", function()
    co.run(function()
      local source = state.new("test", function() return false end)
      local gate, last = co.chan(), nil
      local owner = co.spawn(function()
        co.scope(function(scope)
          scope:spawn(gate.recv, gate)
          last = scope:spawn(co.sleep, 60)
        end)
      end)
      co.yield()
      local before = source:get()
      gate:send "go on"
      co.sleep(0.25)
      local made = source:get()
      assert.same({ last.id }, cjson.decode(made.texts[owner.id] .. "}").blockers)
      assert.is_true(made.version > before.version)
      owner:cancel()
    end)
  end)

  it("warns of tasks that wait for each other", function()
    client.with_server(nil, function(server)
      local a, b = co.mutex(), co.mutex()
      local first = co.spawn(function()
        a:lock()
        co.sleep(0.001)
        b:lock(60)
      end)
      local second = co.spawn(function()
        b:lock()
        co.sleep(0.001)
        a:lock(60)
      end)
      co.sleep(0.01)
      local cycle = warning(get_state(server.port), "cycle").tasks
      table.sort(cycle)
      assert.same({ first.id, second.id }, cycle)
      first:cancel()
      second:cancel()
    end)
  end)

  it("warns of cancelled tasks that nobody has looked at", function()
    client.with_server(nil, function(server)
      local lost = co.spawn_with({ name = "lost" }, co.sleep, 60)
      local seen = co.spawn_with({ name = "seen" }, co.sleep, 60)
      co.yield()
      lost:cancel()
      seen:cancel()
      seen:join()
      local told = get_state(server.port)
      local ended = by_id(told.ended)
      assert.same({ true, nil }, { ended[lost.id].lost, ended[seen.id].lost })
      local found = {}
      for _, id in ipairs(warning(told, "lost").tasks) do found[id] = true end
      assert.same({ true, nil }, { found[lost.id], found[seen.id] })
    end)
  end)

  it("writes any bytes of a name as text", function()
    client.with_server(nil, function(server)
      local name = '<script>alert("1")</script>\\\n\1\255é'
      local task = co.spawn_with({ name = name }, co.sleep, 60)
      co.yield()
      local body = client.get(server.port, "/state").body
      helpers.assert_lacks("<", body)
      local shown = '<script>alert("1")</script>\\\n\1\239\191\189é'
      assert.equal(shown, by_id(cjson.decode(body).tasks)[task.id].name)
      task:cancel()
    end)
  end)

  it("lists 1,000 tasks, and counts the others in groups", function()
    client.with_server(nil, function(server)
      local jobs = co.chan()
      for _ = 1, 3000 do co.spawn_with({ daemon = true }, jobs.recv, jobs) end
      co.yield()
      local told = get_state(server.port)
      assert.equal(1000, #told.tasks)
      assert.equal(told.live - 1000, told.omitted)
      assert.is_true(told.live >= 3002)
      assert.same({ 3000, "receive" }, { told.groups[1].count, told.groups[1].operation })
    end)
  end)

  it("lets the other tasks run while it is made", function()
    co.run(function()
      local jobs, turns = co.chan(), 0
      for _ = 1, 20000 do co.spawn_with({ daemon = true }, jobs.recv, jobs) end
      local ticker = co.spawn_with({ daemon = true }, function()
        while true do
          turns = turns + 1
          co.yield()
        end
      end)
      co.yield()
      local before, seconds = turns, slices.SECONDS
      slices.SECONDS = 0
      state.new("test", function() return false end):get()
      slices.SECONDS = seconds
      -- 20,000 slots in steps of 2,048, and 1,000 rows in steps of 16, described and written.
      assert.is_true(turns - before >= 20000 / 2048 + 2 * 1000 / 16)
      ticker:cancel()
    end)
  end)

  it("is made once for all who ask at the same time", function()
    co.run(function()
      local source = state.new("test", function() return false end)
      local got = {}
      local all = co.waitgroup()
      for i = 1, 5 do all:spawn(function() got[i] = source:get() end) end
      all:wait()
      for i = 2, 5 do assert.equal(got[1], got[i]) end
    end)
  end)
end)

describe("the version of the state", function()
  it("is the same while nothing happens, and then a client that knows it gets 304", function()
    client.with_server(nil, function(server)
      -- On one connection, since the descriptor for which this task waits is in its row.
      local connection = client.connect(server.port)
      local function ask(etag)
        co.sleep(0.3)
        connection:send(client.format(server.port, "/state", etag and { "If-None-Match: " .. etag }))
        return client.read(connection)
      end
      ask()
      local first = ask()
      local second = ask(first.headers.etag)
      assert.same({ 304, "", first.headers.etag }, { second.status, second.body, second.headers.etag })
      local task = co.spawn(co.sleep, 60)
      local third = ask(first.headers.etag)
      assert.equal(200, third.status)
      assert.are_not.equal(first.headers.etag, third.headers.etag)
      connection:close()
      task:cancel()
    end)
  end)

  it("comes with changes as server-sent events", function()
    client.with_server(nil, function(server)
      local connection = client.connect(server.port)
      connection:send(client.format(server.port, "/state?since=0"))
      local head = client.read(connection)
      assert.same({ 200, "text/event-stream" }, { head.status, head.headers["content-type"] })
      local event = client.next_event(connection)
      assert.equal("state", event.event)
      local known = by_id(cjson.decode(event.data).tasks)
      local task = co.spawn_with({ name = "new" }, co.sleep, 60)
      event = client.next_event(connection)
      local change = cjson.decode(event.data)
      assert.equal("change", event.event)
      assert.equal("new", by_id(change.tasks)[task.id].name)
      assert.is_nil(by_id(change.tasks)[co.current().id] and known[task.id])
      task:cancel()
      event = client.next_event(connection)
      change = cjson.decode(event.data)
      assert.same({ task.id }, change.gone)
      assert.is_true(by_id(change.ended)[task.id].lost)
      connection:close()
    end)
  end)

  it("is refused if it is no number", function()
    client.with_server(nil, function(server)
      for _, since in ipairs { "x", "-1", "1e9", ("9"):rep(40) } do
        assert.equal(400, client.get(server.port, "/state?since=" .. since).status)
      end
    end)
  end)
end)

describe("a task's page", function()
  it("has the stack of a live task", function()
    client.with_server(nil, function(server)
      local task = co.spawn_with({ name = "reader" }, function() co.sleep(60) end)
      co.yield()
      local told = cjson.decode(client.get(server.port, "/task/" .. task.id).body)
      assert.same({ "reader", task.span_id }, { told.task.name, told.task.span_id })
      helpers.assert_contains("in sleep", told.stack)
      helpers.assert_contains("state_spec.lua", told.stack)
      task:cancel()
    end)
  end)

  it("has the panics of a task that has ended", function()
    client.with_server(nil, function(server)
      local task = co.spawn(co.panic, "broken")
      task:join()
      local told = cjson.decode(client.get(server.port, "/task/" .. task.id).body)
      assert.equal("panicked", told.ended.status)
      helpers.assert_contains("panic: broken", told.panics[1].report)
      assert.equal("broken", told.panics[1].panic.message)
    end)
  end)

  it("does not exist for other numbers", function()
    client.with_server(nil, function(server)
      for _, id in ipairs { "0", "999999999", ("9"):rep(100) } do
        assert.equal(404, client.get(server.port, "/task/" .. id).status)
      end
    end)
  end)
end)

describe("a panic", function()
  it("is shown as the hook of coropanic.redact leaves it", function()
    client.with_server(nil, function(server)
      local before = redact.set(function(panic) panic.message, panic.value = "hidden", nil end)
      local task = co.spawn(co.panic, "card 4111111111111111")
      task:join()
      for _, path in ipairs { "/state", "/report.txt", "/task/" .. task.id } do
        local body = client.get(server.port, path).body
        helpers.assert_lacks("4111111111111111", body)
        helpers.assert_contains("hidden", body)
      end
      redact.set(before)
    end)
  end)

  it("that was recovered is marked, and has no arrows", function()
    client.with_server(nil, function(server)
      co.call(function()
        co.defer(function() co.recover() end)
        co.panic "only for a while"
      end)
      local told = get_state(server.port)
      local last = told.panics[#told.panics]
      assert.same({ "only for a while", true }, { last.message, last.recovered })
    end)
  end)
end)

describe("the report", function()
  it("is an outline of the tasks, with the warnings and the panics", function()
    client.with_server(nil, function(server)
      local task = co.spawn_with({ name = "outer" }, function()
        co.spawn_with({ name = "inner", daemon = true }, co.sleep, 60)
        co.sleep(60)
      end)
      co.yield()
      co.spawn(co.panic, "broken"):join()
      local response = client.get(server.port, "/report.txt")
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      helpers.assert_contains('\n  task ' .. task.id .. ' "outer" waiting (sleep)', response.body)
      local inner = '\n    task ' .. task.id + 1 .. ' "inner" (daemon) waiting (sleep)'
      helpers.assert_contains(inner, response.body)
      helpers.assert_contains("panic: broken", response.body)
      task:cancel()
    end)
  end)
end)

describe("debug.handler", function()
  it("answers requests of a host with a server of its own", function()
    co.run(function()
      local request = { method = "GET", path = "/state", headers = {} }
      local response = debug_server.handler(request, { title = "shop" })
      assert.same({ 200, "shop" }, { response.status, cjson.decode(response.body).title })
      assert.equal(404, debug_server.handler({ method = "GET", path = "/nothing" }).status)
      assert.equal(405, debug_server.handler({ method = "POST", path = "/state" }).status)
      local stream = debug_server.handler({ method = "GET", path = "/state?since=0" }).stream
      helpers.assert_contains("event: state\n", stream())
    end)
  end)

  it("asks for the token that it is given", function()
    co.run(function()
      local request = { method = "GET", path = "/state", query = "token=wrong", headers = {} }
      assert.equal(401, debug_server.handler(request, { token = "secret" }).status)
      request.query = "token=secret"
      assert.equal(200, debug_server.handler(request, { token = "secret" }).status)
    end)
  end)

  it("works outside tasks", function()
    assert.equal(200, debug_server.handler({ method = "GET", path = "/state" }).status)
  end)

  it("refuses what is no request", function()
    helpers.assert_error("bad argument #1 to 'handler' (table expected, got nil)", debug_server.handler)
    helpers.assert_error("bad argument #1 to 'handler' (field 'path': string expected, got nil)",
      debug_server.handler, { method = "GET" })
    helpers.assert_error("bad argument #2 to 'handler' (unknown option 'port')", debug_server.handler,
      { method = "GET", path = "/" }, { port = 1 })
  end)
end)

describe("a storm of panics", function()
  it("is only counted if there are too many in a second", function()
    client.with_server(nil, function(server)
      for _ = 1, 1000 do co.pcall(co.panic, "storm") end
      local told = get_state(server.port)
      assert.is_true(#told.panics <= 16)
      assert.is_true(told.stats.panics_forgotten >= 1000 - 2 * 100)
    end)
  end)
end)
