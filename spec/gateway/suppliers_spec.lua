-- The gateway's suppliers and their policies, by the virtual clock.

package.path = "./examples/gateway/?.lua;" .. package.path
local co = require "coropanic"
local metrics = require "coropanic.metrics"

--- Suppliers that nobody has asked before.
local function new_suppliers()
  package.loaded.suppliers = nil
  local suppliers = require "suppliers"
  package.loaded.suppliers = nil
  return suppliers
end

local function virtual(fn) return co.run_with({ clock = "virtual", seed = 7 }, fn) end

--- Asks so many times at once.
local function burst(suppliers, sku, count)
  local answers, records = {}, {}
  co.scope(function(scope)
    for i = 1, count do
      scope:spawn(function() answers[i], records[i] = suppliers.offers(sku) end)
    end
  end)
  return answers, records
end

local FRESH = { acme = { 384, 3840, 38400 }, bolt = { 384, 3840, 38400 }, crow = { 384, 3840, 38400 } }

describe("the gateway's suppliers", function()
  -- The metrics of suppliers that are gone would be added: so differences are taken.
  local before
  local function value_of(sample)
    return tonumber(metrics.expose():match("\n" .. sample:gsub("%p", "%%%0") .. " (%S+)")) or 0
  end
  local SAMPLES = {
    trips = 'coropanic_boundary_trips_total{boundary="offers"}',
    opened = 'coropanic_breaker_opened_total{breaker="bolt"}',
    refused = 'coropanic_breaker_refused_total{breaker="bolt"}',
    extra = 'coropanic_budget_extra_total{budget="suppliers"}',
    calls = 'coropanic_budget_calls_total{budget="suppliers"}',
  }
  local function since(name) return value_of(SAMPLES[name]) - before[name] end
  before_each(function()
    before = {}
    for name, sample in pairs(SAMPLES) do before[name] = value_of(sample) end
  end)

  it("all answer, each question once", function()
    local suppliers = new_suppliers()
    virtual(function()
      local answers, records = burst(suppliers, 42, 20)
      for i = 1, 20 do
        assert.same({ sku = 42, quantities = { 1, 10, 100 }, offers = FRESH }, answers[i])
        assert.same({}, records[i])
      end
      for _, book in pairs(suppliers.ledger()) do
        assert.same({ asked = 60, answered = 60, given_up = 0 }, book)
      end
    end)
  end)

  it("trip the boundary when one does not answer, and the last offers are served", function()
    local suppliers = new_suppliers()
    virtual(function()
      suppliers.offers(42)
      suppliers.set("bolt", false)
      local answer, records = suppliers.offers(42)
      table.sort(answer.stale)
      assert.same({ "acme", "bolt", "crow" }, answer.stale)
      assert.same({ FRESH, true }, { answer.offers, answer.fallback })
      assert.equal(1, #records)
      assert.equal("context deadline exceeded", records[1].message)
      assert.equal(1, since "trips")
    end)
  end)

  it("open the breaker of one alone, and close it again", function()
    local suppliers = new_suppliers()
    virtual(function()
      suppliers.offers(42)
      suppliers.set("bolt", false)
      for _ = 1, 20 do
        if since "opened" == 0 then burst(suppliers, 42, 5) end
      end
      local asked = suppliers.ledger().bolt.asked
      local began = co.now()
      local answer, records = suppliers.offers(42)
      assert.same({ FRESH, { "bolt" }, nil, 0 }, { answer.offers, answer.stale, answer.fallback, #records })
      assert.is_true(co.now() - began < 0.01)
      assert.equal(asked, suppliers.ledger().bolt.asked)
      assert.equal(3, since "refused")
      assert.same({ "bolt" }, (suppliers.offers(7)).left_out)
      suppliers.set("bolt", true)
      co.sleep(1.3)
      suppliers.offers(42) -- a question of it is the probe
      assert.is_nil((suppliers.offers(42)).stale)
    end)
  end)

  it("are asked little more often while one does not answer", function()
    local suppliers = new_suppliers()
    virtual(function()
      suppliers.set("bolt", false)
      for _ = 1, 30 do burst(suppliers, 42, 5) end
      local asked, calls, extra = 0, since "calls", since "extra"
      for _, book in pairs(suppliers.ledger()) do
        asked = asked + book.asked
        assert.equal(book.asked, book.answered + book.given_up)
      end
      assert.equal(30 * 5 * 9, calls)
      assert.is_true(extra > 0 and extra <= math.max(10, 0.1 * calls))
      assert.is_true(asked + since "refused" <= calls + extra)
    end)
  end)

  it("give up on what a request that is cancelled has asked", function()
    local suppliers = new_suppliers()
    virtual(function()
      suppliers.set("bolt", false)
      local task = co.spawn(suppliers.offers, 42)
      co.sleep(0.05)
      task:cancel()
      task:join()
      assert.same({ asked = 3, answered = 0, given_up = 3 }, suppliers.ledger().bolt)
      assert.same({ asked = 3, answered = 3, given_up = 0 }, suppliers.ledger().acme)
    end)
  end)
end)
