-- Where reports say that something was made: in the code that uses our Lua files, not in these.

local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function place_of_current() return co.current().spawned_at end

describe("the place where a task was spawned", function()
  it("is the line that has a boundary spawn it", function()
    local task, here, given, here_given
    co.run(function()
      resilience.boundary():run(function(b)
        task, here = b:spawn(function() end), helpers.here()
        given, here_given = b:spawn_with({ name = "given" }, function() end), helpers.here()
      end)
    end)
    assert.equal(here, task.spawned_at)
    assert.equal(here_given, given.spawned_at)
  end)

  it("is the line that runs a supervisor", function()
    local place, here
    co.run(function()
      local s = resilience.supervisor {
        children = { { id = "a", fn = function() place = place_of_current() end, restart = "temporary" } },
      }
      here = helpers.here(1)
      s:run()
    end)
    assert.equal(here, place)
  end)

  it("is the line that calls a hedge", function()
    local place, here
    co.run(function()
      local h = resilience.hedge()
      place, here = h:call(place_of_current), helpers.here()
    end)
    assert.equal(here, place)
  end)

  it("is in our file if the task of the spawner runs no other code", function()
    local place
    co.run(function()
      local s = resilience.supervisor {
        children = { { id = "a", fn = function() place = place_of_current() end, restart = "temporary" } },
      }
      co.spawn(s.run, s):await()
    end)
    assert.match("coropanic/resilience/child%.lua:%d+$", place)
  end)
end)
