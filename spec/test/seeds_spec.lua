local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

--- The order in which four tasks run.
local function order_of_tasks()
  local order = {}
  local tasks = {}
  for i = 1, 4 do
    tasks[i] = co.spawn(function() order[#order + 1] = i end)
  end
  for _, task in ipairs(tasks) do
    task:join()
  end
  return table.concat(order)
end

--- What a child process with the variable prints.
local function output_with(environment, source)
  return helpers.run_script(source, { environment = environment }).stdout
end

describe("the option seeds", function()
  it("runs the body under each seed from 1", function()
    local orders = {}
    test.run({ seeds = 20 }, function() orders[#orders + 1] = order_of_tasks() end)
    assert.equal(20, #orders)
    for seed, order in ipairs(orders) do
      assert.equal(order, co.run_with({ seed = seed }, order_of_tasks))
    end
  end)

  it("makes each a run of its own, whose clock begins at 0", function()
    test.run({ seeds = 3 }, function()
      assert.equal(0, co.now())
      co.sleep(1)
    end)
  end)

  it("stops at the first that fails, and says which", function()
    local runs = 0
    local _, failure = pcall(test.run, { seeds = 10 }, function()
      runs = runs + 1
      if runs == 4 then error "broken" end
    end)
    assert.equal(4, runs)
    assert.is_truthy(failure:find "\nseed 4 %(rerun with COROPANIC_SEED=4%)$")
  end)

  it("finds an order in which two tasks lose an update", function()
    local _, failure = pcall(test.run, { seeds = 100 }, function()
      local balance = 0
      local function pay(amount, turns)
        local read = balance
        for _ = 1, turns do
          co.yield()
        end
        balance = read + amount
      end
      local first = co.spawn(pay, 1, 0)
      co.spawn(pay, 2, 0):join()
      first:join()
      local third = co.spawn(pay, 3, 1)
      co.spawn(pay, 4, 0):join()
      third:join()
      if balance ~= 10 then
        error(("balance %d"):format(balance), 0)
      end
    end)
    helpers.assert_contains("balance 6", failure)
    helpers.assert_contains("COROPANIC_SEED=", failure)
  end)
end)

describe("the option seed", function()
  it("runs the body once under that seed, also beside seeds", function()
    for _, opts in ipairs { { seed = 7 }, { seed = 7, seeds = 100 } } do
      local orders = {}
      test.run(opts, function() orders[#orders + 1] = order_of_tasks() end)
      assert.same({ co.run_with({ seed = 7 }, order_of_tasks) }, orders)
    end
  end)
end)

describe("a test without a seed", function()
  it("runs in the usual order, and says nothing of seeds when it fails", function()
    local order
    test.run({}, function() order = order_of_tasks() end)
    assert.equal("1234", order)
    local _, failure = pcall(test.run, {}, error, "broken")
    helpers.assert_lacks("seed ", failure)
    helpers.assert_lacks("COROPANIC_SEED", failure)
  end)
end)

describe("COROPANIC_SEED", function()
  local SCRIPT = [[
    local co = require "coropanic"
    local test = require "coropanic.test"
    local runs = { seeds = 0, seed = 0, none = 0 }
    test.run({ seeds = 5 }, function() runs.seeds = runs.seeds + 1 end)
    test.run({ seed = 5 }, function() runs.seed = runs.seed + 1 end)
    test.run({}, function() runs.none = runs.none + 1 end)
    print(runs.seeds, runs.seed, runs.none)
    print(select(2, pcall(test.run, { seeds = 5, seed = 9 }, error, "broken", 0)):match "seed (%S+)")
  ]]

  it("is the one seed of every test that has any", function()
    assert.equal("1\t1\t1\n-3\n", output_with("COROPANIC_SEED=-3", SCRIPT))
  end)

  it("counts for nothing when it is empty", function()
    assert.equal("5\t1\t1\n9\n", output_with("COROPANIC_SEED=", SCRIPT))
  end)

  for _, text in ipairs { "abc", "1.5" } do
    it(("is refused when it is %q"):format(text), function()
      assert.equal(('false\tCOROPANIC_SEED: integer expected, got "%s"\n'):format(text),
        output_with("COROPANIC_SEED=" .. text, [[
          print(pcall(require("coropanic.test").run, { seeds = 5 }, function() end))
        ]]))
    end)
  end
end)
