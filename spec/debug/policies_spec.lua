-- coropanic.debug: what /state, its stream and /report.txt say of policies, and of deadlocks foretold.

local cjson = require "cjson"
local client = require "spec.debug.client"
local co = require "coropanic"
local helpers = require "spec.helpers"
local policies = require "coropanic.debug.policies"
local resilience = require "coropanic.resilience"

local function get_state(port) return cjson.decode(client.get(port, "/state").body) end

--- The policies of this name, with their figures; those of other specs may still be there.
local function find(told, name)
  local found = {}
  for i, policy in ipairs(told.policies) do
    if policy.name == name then found[#found + 1] = { policy = policy, figures = told.figures[i] } end
  end
  return found
end

local function fail() error("down", 0) end

describe("the state of policies", function()
  before_each(function() collectgarbage() end)

  it("tells a breaker's state, and the trace that has opened it", function()
    client.with_server(nil, function(server)
      local b = resilience.breaker { name = "d <prices>", consecutive = 2 }
      co.pcall(b.call, b, tostring, 1)
      local closed = find(get_state(server.port), "d <prices>")[1]
      assert.same({ kind = "breaker", name = "d <prices>", state = "closed" }, closed.policy)
      assert.same({ 1, 0 }, { closed.figures.ok, closed.figures.refused })
      local trace_id
      co.spawn_with({ detached_trace = true }, function()
        trace_id = co.trace.current().trace_id
        for _ = 1, 3 do co.pcall(b.call, b, fail) end
      end):join()
      helpers.settle()
      co.sleep(0.2) -- the state may be so old
      local open = find(get_state(server.port), "d <prices>")[1]
      assert.same({ "open", trace_id }, { open.policy.state, open.policy.opened_by })
      assert.same({ 1, 2, 1, 1 },
        { open.figures.ok, open.figures.failed, open.figures.refused, open.figures.opened })
      assert.is_true(open.figures.retry_after > 0)
      local report = client.get(server.port, "/report.txt").body
      helpers.assert_contains('breaker "d <prices>" is open because of trace ' .. trace_id .. ": ", report)
    end)
  end)

  it("tells a supervisor's children, their tasks, restarts, and last panics", function()
    local before = co.on_panic(function() end)
    client.with_server(nil, function(server)
      local lives, last = 0, nil
      local s = resilience.supervisor {
        name = "d keeper", intensity = 5, backoff = false,
        children = {
          { "relay", function() co.sleep(60) end, restart = "transient" },
          { "redis", function()
            lives = lives + 1
            last = co.current()
            if lives <= 2 then fail() end
            co.sleep(60)
          end },
        },
      }
      s:call(function()
        co.sleep(0.01)
        local told = find(get_state(server.port), "d keeper")[1]
        local relay, redis = told.policy.children[1], told.policy.children[2]
        assert.same({ "relay", "running", "transient", 0, nil },
          { relay.id, relay.status, relay.restart, relay.restarts, relay.last_panic })
        assert.same({ "redis", "running", "permanent", 2, last.id },
          { redis.id, redis.status, redis.restart, redis.restarts, redis.task })
        assert.equal(32, #redis.last_panic)
        assert.equal(2, told.figures.restarts)
        local report = client.get(server.port, "/report.txt").body
        local line = "  child redis is running as task %d, permanent, 2 restarts, has panicked in trace %s\n"
        helpers.assert_contains(line:format(last.id, redis.last_panic), report)
      end)
    end)
    co.on_panic(before)
  end)

  it("tells what is in a bulkhead, and what a budget has left", function()
    client.with_server(nil, function(server)
      local room = resilience.bulkhead { name = "d room", permits = 1, queue = 1 }
      local budget = resilience.budget { name = "d budget", minimum = 1 }
      for _ = 1, 3 do budget:take() end
      local first = co.spawn(room.call, room, co.sleep, 60)
      co.yield()
      local second = co.spawn(room.call, room, co.sleep, 60)
      co.yield()
      local told = get_state(server.port)
      local figures = find(told, "d room")[1].figures
      assert.same({ 1, 1, 0 }, { figures.running, figures.waiting, figures.refused })
      figures = find(told, "d budget")[1].figures
      assert.same({ 1, 2 }, { figures.extra, figures.denied })
      first:cancel()
      second:cancel()
    end)
  end)

  it("has a new version when a state changes, and none for a call", function()
    client.with_server(nil, function(server)
      local b = resilience.breaker { name = "d version" }
      local before = get_state(server.port)
      b:call(tostring, 1)
      co.sleep(0.2)
      local same = get_state(server.port)
      assert.equal(1, find(same, "d version")[1].figures.ok)
      assert.equal(before.version, same.version)
      b:isolate()
      co.sleep(0.2)
      local isolated = get_state(server.port)
      assert.equal("isolated", find(isolated, "d version")[1].policy.state)
      assert.is_true(isolated.version > same.version)
    end)
  end)

  it("comes with the stream: figures with each point, states with a change", function()
    client.with_server(nil, function(server)
      local b = resilience.breaker { name = "d stream" }
      local connection = client.connect(server.port)
      connection:send(client.format(server.port, "/state?since=0"))
      client.read(connection, true)
      local function next_of(kind)
        while true do
          local event = client.next_event(connection)
          if event.event == kind then return cjson.decode(event.data) end
        end
      end
      local state = next_of "state"
      b:call(tostring, 1)
      local point = next_of "point"
      state.figures = point.figures
      assert.is_nil(point.policies)
      assert.equal(1, find(state, "d stream")[1].figures.ok)
      b:open()
      local change = next_of "change"
      assert.equal("open", find(change, "d stream")[1].policy.state)
      connection:close()
    end)
  end)

  it("lists at most so many, and counts the others", function()
    local kept = {}
    for i = 1, policies.MAX + 20 do kept[i] = resilience.bulkhead { name = "d many", permits = 1 } end
    client.with_server(nil, function(server)
      local told = get_state(server.port)
      assert.equal(policies.MAX, #told.policies)
      assert.equal(policies.MAX, #told.figures)
      assert.is_true(told.policies_omitted >= 20)
      helpers.assert_contains(("\n... %d policies left out\n"):format(told.policies_omitted),
        client.get(server.port, "/report.txt").body)
    end)
    assert.equal(0, kept[1]:stats().refused)
  end)

  it("is an empty list without policies", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local client = require "spec.debug.client"
      client.with_server(nil, function(server)
        local body = client.get(server.port, "/state").body
        print(body:match '"policies":[^,]*', body:match '"figures":[^,]*')
      end) ]]
    assert.same({ "", '"policies":[]\t"figures":[]\n' }, { result.stderr, result.stdout })
  end)
end)

describe("a deadlock that co.order foretells", function()
  local order, handler
  before_each(function()
    handler = co.on_panic(function() end)
    order = co.order()
    order:reset()
  end)
  after_each(function()
    order:stop()
    order:reset()
    co.on_panic(handler)
  end)

  local function foretold(port)
    local list = {}
    for _, warning in ipairs(get_state(port).warnings) do
      if warning.kind == "order" then list[#list + 1] = warning end
    end
    return list
  end

  local function nest(outer, inner)
    local _ <close> = outer:guard()
    local _ <close> = inner:guard()
    return co.current().id
  end

  it("is a warning of the state, with its text and its tasks", function()
    client.with_server(nil, function(server)
      local cart, stock = co.mutex { name = "d cart" }, co.mutex { name = "d stock" }
      local _, first = co.spawn(nest, cart, stock):join()
      assert.same({}, foretold(server.port))
      local _, second = co.spawn(nest, stock, cart):join()
      co.sleep(0.2)
      local warnings = foretold(server.port)
      assert.same({ "possible deadlock: d stock, d cart", { first, second } },
        { warnings[1].text, warnings[1].tasks })
      assert.equal(order:warnings()[1].text, warnings[1].detail)
      local report = client.get(server.port, "/report.txt").body
      helpers.assert_contains("\n  " .. warnings[1].detail .. "\n", report)
    end)
  end)

  it("is told of when there are many, the last 16", function()
    client.with_server(nil, function(server)
      for i = 1, 20 do
        local a, b = co.mutex { name = "d a" .. i }, co.mutex { name = "d b" .. i }
        co.spawn(nest, a, b):join()
        co.spawn(nest, b, a):join()
      end
      local warnings = foretold(server.port)
      assert.equal(16, #warnings)
      assert.equal("possible deadlock: d b20, d a20", warnings[16].text)
    end)
  end)
end)
