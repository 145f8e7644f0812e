-- luacheck: no max line length
-- The metrics of policies that have a name.
local co = require "coropanic"
local helpers = require "spec.helpers"
local metrics = require "coropanic.metrics"
local registry = require "coropanic.resilience.registry"
local resilience = require "coropanic.resilience"

local function virtual(fn) return co.run_with({ clock = "virtual", unhandled = function() end }, fn) end

--- The samples of the metrics of a kind whose policy has this name: "calls_total outcome=ok" -> value.
local function samples(kind, name)
  local found = {}
  for line in metrics.expose():gmatch "[^\n]+" do
    local sample, rest, value = line:match(("^coropanic_%s_([%%w_]+){%s=\"%s\",?(.-)} (%%S+)$"):format(kind, kind,
      (name:gsub("%p", "%%%0"))))
    if sample then
      local label = rest:gsub('"', "")
      found[label == "" and sample or sample .. " " .. label] = tonumber(value)
    end
  end
  return found
end

local function fail() error("down", 0) end

describe("metrics of policies", function()
  it("tell the state of a breaker, the outcomes of its calls, refusals and openings", function()
    virtual(function()
      local b = resilience.breaker { name = "m prices", consecutive = 2, open_for = 5, jitter = 0,
        ignore = function(record) return record.value == "fine" end }
      b:call(tostring, 1)
      co.pcall(b.call, b, error, "fine", 0)
      co.pcall(b.call, b, fail)
      assert.same({
        ["state state=closed"] = 1, ["state state=open"] = 0, ["state state=half-open"] = 0,
        ["state state=isolated"] = 0,
        ["calls_total outcome=ok"] = 1, ["calls_total outcome=failed"] = 1, ["calls_total outcome=ignored"] = 1,
        ["calls_total outcome=cancelled"] = 0, ["calls_total outcome=lost"] = 0,
        refused_total = 0, opened_total = 0,
      }, samples("breaker", "m prices"))
      co.pcall(b.call, b, fail)
      for _ = 1, 3 do co.pcall(b.call, b, fail) end
      local open = samples("breaker", "m prices")
      assert.same({ 0, 1, 2, 3, 1 }, {
        open["state state=closed"], open["state state=open"], open["calls_total outcome=failed"],
        open.refused_total, open.opened_total,
      })
      co.sleep(5)
      assert.equal(1, samples("breaker", "m prices")["state state=half-open"])
      b:call(tostring, 1)
      assert.equal(1, samples("breaker", "m prices")["state state=closed"])
      b:open()
      b:isolate()
      local isolated = samples("breaker", "m prices")
      assert.same({ 1, 2 }, { isolated["state state=isolated"], isolated.opened_total })
    end)
  end)

  it("tell what retries and hedges did, and their budget", function()
    virtual(function()
      local budget = resilience.budget { name = "m extra", ratio = 0, minimum = 3 }
      local r = resilience.retry { name = "m again", attempts = 3, base = 0, budget = budget }
      local h = resilience.hedge { name = "m twice", after = 1, budget = budget }
      for _ = 1, 2 do co.pcall(r.call, r, fail) end
      r:call(tostring, 1)
      assert.same({ ["calls_total outcome=ok"] = 1, ["calls_total outcome=failed"] = 2, retries_total = 3,
        denied_total = 1 }, samples("retry", "m again"))
      assert.same({ calls_total = 3, extra_total = 3, denied_total = 1 }, samples("budget", "m extra"))
      h:call(co.sleep, 2)
      assert.same({ ["calls_total outcome=ok"] = 1, ["calls_total outcome=failed"] = 0,
        ["hedges_total result=won"] = 0, ["hedges_total result=lost"] = 0, denied_total = 1 },
        samples("hedge", "m twice"))
      assert.equal("m extra", budget:stats().name)
    end)
  end)

  it("tell which hedges have won, and which have lost, also when the call is given up", function()
    virtual(function()
      local h, calls = resilience.hedge { name = "m race", after = 1, max = 3 }, 0
      local function second_is_fast()
        calls = calls + 1
        co.sleep(calls == 2 and 0.5 or 10)
      end
      h:call(second_is_fast) -- the second one wins
      h:call(co.sleep, 3.5) -- the first one
      co.with_timeout(1.5, h.call, h, co.sleep, 10) -- none
      local found = samples("hedge", "m race")
      assert.same({ 1, 3 }, { found["hedges_total result=won"], found["hedges_total result=lost"] })
      assert.equal(h:stats().hedges, h:stats().won + h:stats().lost)
    end)
  end)

  it("tell what runs and waits in a bulkhead", function()
    virtual(function()
      local b = resilience.bulkhead { name = "m room", permits = 2, queue = 1 }
      for _ = 1, 4 do co.spawn(co.pcall, b.call, b, co.sleep, 1) end
      co.yield()
      co.yield()
      local full = samples("bulkhead", "m room")
      assert.same({ 2, 1, 1, 0 }, { full.running, full.waiting, full.refused_total, full["calls_total outcome=ok"] })
      co.sleep(5)
      local empty = samples("bulkhead", "m room")
      assert.same({ 0, 0, 3 }, { empty.running, empty.waiting, empty["calls_total outcome=ok"] })
    end)
  end)

  it("tell trips and fallbacks of a boundary", function()
    virtual(function()
      local b = resilience.boundary { name = "m offers", trip = 2, fallback = function() return "old" end }
      local function time_out() co.panic(select(2, co.with_timeout(1, co.sleep, 60))) end
      assert.equal("old", b:run(function(run)
        run:compensate(tostring, 1)
        for _ = 1, 3 do run:spawn(time_out) end
        co.sleep(60)
      end))
      assert.equal("new", b:run(function() return "new" end))
      assert.same({ runs_total = 2, trips_total = 1, timeouts_total = b:stats().timeouts, compensations_total = 1,
        fallbacks_total = 1 }, samples("boundary", "m offers"))
    end)
  end)

  it("tell restarts of a supervisor, and the children that it has left behind", function()
    virtual(function()
      local lives = 0
      local s = resilience.supervisor {
        name = "m keeper", intensity = 5, backoff = false,
        children = {
          { "worker", function()
            lives = lives + 1
            co.sleep(lives < 3 and 1 or 1000)
          end },
          { "deaf", function()
            co.defer(co.sleep, 100)
            co.sleep(1000)
          end, shutdown = 1 },
        },
      }
      s:call(function()
        co.sleep(10)
        assert.same({ running = 2, restarts_total = 2, left_total = 0 }, samples("supervisor", "m keeper"))
      end)
      assert.same({ running = 0, restarts_total = 2, left_total = 1 }, samples("supervisor", "m keeper"))
    end)
  end)

  it("add up policies of the same name, and keep the counts of those that are gone", function()
    virtual(function()
      local kept = resilience.bulkhead { name = "m shared", permits = 1 }
      local gone = setmetatable({}, { __mode = "v" })
      for i = 1, 50 do
        gone[i] = resilience.bulkhead { name = "m shared", permits = 1 }
        gone[i]:call(tostring, 1)
      end
      kept:call(tostring, 1)
      assert.equal(51, samples("bulkhead", "m shared")["calls_total outcome=ok"])
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(gone))
      assert.equal(51, samples("bulkhead", "m shared")["calls_total outcome=ok"])
      assert.equal(0, samples("bulkhead", "m shared").running)
      kept:call(tostring, 1)
      assert.equal(52, samples("bulkhead", "m shared")["calls_total outcome=ok"])
    end)
  end)

  it("have no gauges of a policy that is gone", function()
    resilience.breaker { name = "m short-lived" }
    collectgarbage()
    collectgarbage()
    assert.is_nil(samples("breaker", "m short-lived")["state state=closed"])
    assert.equal(0, samples("breaker", "m short-lived").opened_total)
  end)

  it("do not list policies without a name", function()
    local before = #registry.list "breaker"
    local b = resilience.breaker {}
    assert.equal(before, #registry.list "breaker")
    assert.same({}, samples("breaker", b.name))
  end)

  it("escape names, and cannot be taken by other metrics", function()
    local b = resilience.retry { name = 'm "a"\\\n' }
    assert.is_truthy(metrics.expose():find([[coropanic_retry_denied_total{retry="m \"a\"\\\n"} ]] .. "0", 1, true))
    assert.equal(0, b:stats().denied)
    assert.has_error(function() metrics.counter("coropanic_retry_denied", { labels = { "retry" } }) end)
  end)

  it("stay as many as 100 names of a kind are, and hold no policy, however many are made", function()
    local kept = {}
    for i = 1, 3000 do kept[i] = resilience.boundary { name = "m many " .. i } end
    virtual(function()
      for i = 1, 3000 do kept[i]:call(tostring, 1) end
    end)
    assert.is_true(#registry.list "boundary" <= registry.MAX_NAMES + 1)
    local all = 0
    for value in metrics.expose():gmatch '\ncoropanic_boundary_runs_total{boundary="[mo][^"]*"} (%d+)' do
      all = all + tonumber(value)
    end
    assert.is_true(all >= 3000)
    assert.is_true(samples("boundary", "other").runs_total >= 2000)
    kept = nil
    collectgarbage()
    collectgarbage()
    for _, entry in ipairs(registry.list "boundary") do
      assert.is_false(entry.name:find "^m many" ~= nil and entry.live[1] ~= nil)
    end
    assert.is_nil(kept)
  end)

  it("show a kind only when there is one of it", function()
    local result = helpers.run_script [[
      local metrics = require "coropanic.metrics"
      assert(not metrics.expose():find "coropanic_breaker")
      local b = require("coropanic.resilience").breaker { name = "a" }
      assert(metrics.expose():find "coropanic_breaker_state" and not metrics.expose():find "coropanic_retry")
      print(b.name) ]]
    assert.same({ "", "a\n", 0 }, { result.stderr, result.stdout, result.status })
  end)
end)
