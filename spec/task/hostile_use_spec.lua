-- What scripts do to tasks behind the scheduler's back.

local co = require "coropanic"
local helpers = require "spec.helpers"

describe("a budget beyond all time", function()
  it("lets a run go on", function()
    local ran = false
    co.run_with({ budget = math.huge }, function()
      co.spawn(function() ran = true end)
      co.yield()
    end)
    assert.is_true(ran)
  end)

  it("lets a step run what is ready", function()
    local ran = false
    co.spawn(function() ran = true end)
    assert.is_false(co.step(math.huge))
    assert.is_true(ran)
  end)
end)

describe("a hook", function()
  it("can not run the loop, and the panic of main comes once", function()
    local reported = {}
    local panics = co.on_panic(function(record) reported[#reported + 1] = record.message end)
    local spawns = co.on_spawn(function() co.step() end)
    local ok, record = pcall(co.run, function() error "main" end)
    co.on_spawn(spawns)
    co.on_panic(panics)
    assert.is_false(ok)
    helpers.assert_contains("main", record.message)
    assert.equal(1, #reported)
    helpers.assert_contains("not in a handler or hook", reported[1])
  end)

  it("that calls goexit ends itself, and not the task that it runs for", function()
    local panics = co.on_panic(function() end)
    local result = co.run(function()
      local spawns = co.on_spawn(co.goexit)
      co.spawn(function() end)
      co.on_spawn(spawns)
      co.yield()
      return "main went on"
    end)
    co.on_panic(panics)
    assert.equal("main went on", result)
  end)
end)

describe("a record that is raised again while a frame further out unwinds it", function()
  it("is a panic of its own: recovering it does not recover the outer one", function()
    local _, record = co.pcall(error, "x")
    local ok = pcall(co.call, function()
      co.defer(function()
        co.call(function()
          co.defer(function() co.recover() end)
          error(record)
        end)
      end)
      error(record)
    end)
    assert.is_false(ok)
  end)
end)
