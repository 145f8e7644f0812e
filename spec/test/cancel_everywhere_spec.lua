local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

local function failure_of(...)
  local ok, err = pcall(test.cancel_everywhere, ...)
  if ok then
    error("it has passed", 2)
  end
  return err
end

describe("test.cancel_everywhere", function()
  it("cancels the body at each of its suspension points, then lets it end", function()
    local runs = {}
    local steps
    local points = test.cancel_everywhere({}, function()
      steps = {}
      for i, suspend in ipairs {
        co.yield,
        function() co.sleep(10) end,
        function() co.sleep(0) end,
        function() co.spawn(co.yield):join() end,
        function() co.await(function(resume) co.spawn(resume) end) end,
      } do
        steps[i] = i
        suspend()
      end
      steps[#steps + 1] = "end"
    end, function(k, task) runs[k] = table.concat(steps, " ") .. " " .. task:status() end)
    assert.equal(5, points)
    assert.same({
      "1 cancelled",
      "1 2 cancelled",
      "1 2 3 cancelled",
      "1 2 3 4 cancelled",
      "1 2 3 4 5 cancelled",
      "1 2 3 4 5 end done",
    }, runs)
  end)

  it("cancels where the body waits: no time passes any more", function()
    local times = {}
    test.cancel_everywhere({}, function()
      co.sleep(5)
      co.sleep(5)
    end, function(k) times[k] = co.now() end)
    assert.same({ 0.0, 5.0, 10.0 }, times)
  end)

  it("counts exactly, in whatever order tasks run and however many wake at once", function()
    local function body()
      co.defer(co.yield)
      for _ = 1, 3 do
        co.spawn(function() co.sleep(1) end)
      end
      for _ = 1, 4 do
        co.sleep(1)
        co.sleep(0)
        co.yield()
      end
    end
    assert.equal(13, test.cancel_everywhere({ leftovers = "ignore" }, body))
    assert.equal(13, test.cancel_everywhere({ leftovers = "ignore", seeds = 5 }, body))
    assert.equal(2, test.cancel_everywhere({ clock = "monotonic" }, function()
      co.sleep(0.0001)
      co.sleep(0.0001)
    end))
  end)

  it("is done at once with a body that does not suspend", function()
    local calls = {}
    assert.equal(0, test.cancel_everywhere({}, function() end, function(k) calls[#calls + 1] = k end))
    assert.same({ 1 }, calls)
  end)

  it("fails where check fails, and says at which point and where", function()
    local open, parked_at = 0, nil
    local failure = failure_of({}, function()
      co.yield()
      open = open + 1
      parked_at = helpers.here(1)
      co.sleep(1)
      open = open - 1
    end, function() assert.equal(0, open) end)
    assert.equal("failure", debug.getmetatable(failure).__type)
    helpers.assert_contains("Expected objects to be equal", tostring(failure))
    helpers.assert_contains("\ncancelled at suspension point 2, " .. parked_at, tostring(failure))
  end)

  it("names the seed as well", function()
    local failure = failure_of({ seeds = 3 }, co.yield, function() error("no", 0) end)
    helpers.assert_contains("\nseed 1 (rerun with COROPANIC_SEED=1)\n", failure)
    helpers.assert_contains("\ncancelled at suspension point 1, ", failure)
  end)

  it("fails when a task is left over", function()
    local failure = failure_of({}, function()
      local child = co.spawn_with({ name = "child" }, co.sleep, 5)
      co.yield()
      child:join()
    end)
    helpers.assert_contains("1 task is left over", failure)
    helpers.assert_contains('"child"', failure)
    helpers.assert_contains("cancelled at suspension point 1", failure)
  end)

  it("fails when the body panics, on its way out too", function()
    local failure = failure_of({}, function() error("of its own", 0) end)
    helpers.assert_contains("of its own", failure)
    helpers.assert_contains("\ncancelled nowhere", failure)
    failure = failure_of({}, function()
      co.defer(error, "on the way out", 0)
      co.yield()
    end)
    helpers.assert_contains("on the way out", failure)
    helpers.assert_contains("\ncancelled at suspension point 1", failure)
  end)

  it("gives up a body that never stops suspending", function()
    local place = helpers.here(1)
    local failure = failure_of({}, function()
      while true do
        co.yield()
      end
    end)
    assert.equal(place .. ": still suspends after 1000 suspension points", failure)
  end)

  it("leaves the hook on_suspend as it was, which goes on being called", function()
    local names = {}
    local function hook(task) names[task.name] = true end
    co.on_suspend(hook)
    test.cancel_everywhere({}, co.yield)
    pcall(test.cancel_everywhere, {}, co.yield, error)
    assert.equal(hook, co.on_suspend(nil))
    assert.is_true(names.body)
  end)

  it("refuses bad arguments", function()
    for message, arguments in pairs {
      ["bad argument #1 to 'cancel_everywhere' (table expected, got function)"] = { print, print },
      ["bad argument #2 to 'cancel_everywhere' (function expected, got nil)"] = {},
      ["bad argument #3 to 'cancel_everywhere' (function expected, got number)"] = { {}, print, 1 },
    } do
      assert.equal(message, failure_of(table.unpack(arguments, 1, 3)))
    end
  end)
end)
