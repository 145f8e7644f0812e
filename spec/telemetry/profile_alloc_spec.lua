--- co.profile of kind "alloc".

local co = require "coropanic"
local helpers = require "spec.helpers"
local pprof = require "telemetry.pprof"

--- Allocates so many megabytes in strings of `size` bytes.
local function strings(megabytes, size)
  for _ = 1, megabytes * 1e6 // size do
    local _ = ("x"):rep(size)
  end
end

local function profile_of(fn, ...) return pprof.of_run({ kind = "alloc" }, fn, ...) end

local function by(name)
  return function(sample) return pprof.has(sample, name) end
end

describe("a profile of allocations", function()
  it("says how much each function has allocated", function()
    local function large() strings(150, 50000) end
    local function small() strings(200, 1000) end
    local read = profile_of(function()
      large()
      small()
    end)
    assert.same({ "alloc_objects/count", "alloc_space/bytes" }, read.types)
    assert.equal(512 * 1024, read.period)
    -- Lua makes a large string in a buffer of the same size, so it allocates both. With 400 samples and
    -- more, 30 % is six times the standard deviation.
    local space = { pprof.total(read, 2, by "large"), pprof.total(read, 2, by "small") }
    assert.is_true(space[1] > 0.7 * 300e6 and space[1] < 1.3 * 300e6, space[1])
    assert.is_true(space[2] > 0.7 * 200e6 and space[2] < 1.3 * 200e6, space[2])
    local objects = pprof.total(read, 1, by "small")
    assert.is_true(objects > 0.7 * 200000 and objects < 1.3 * 200000, objects)
  end)

  it("counts of a table that grows what it grows by", function()
    local function grow()
      for _ = 1, 200 do
        local t = {}
        for i = 1, 2 ^ 15 do t[i] = i end
        assert(#t == 2 ^ 15)
      end
    end
    local read = profile_of(function()
      grow()
      return nil
    end)
    local space = pprof.total(read, 2, by "grow")
    assert.is_true(space > 0.7 * 200 * 2 ^ 19 and space < 1.4 * 200 * 2 ^ 19, space)
  end)

  it("has the labels of the task", function()
    local task
    local read = profile_of(function()
      task = co.spawn_with({ name = "eater" }, co.profile.labels, { route = "/a" }, strings, 50, 10000)
    end)
    local own = pprof.total(read, 2, function(s)
      return s.labels.task == task.id .. " eater" and s.labels.route == "/a" and s.labels.task_id == task.id
    end)
    assert.is_true(own > 30e6, own)
  end)

  it("is off when it has ended", function()
    profile_of(strings, 20, 1000)
    assert.is_nil((debug.gethook()))
    local profile = co.profile.start { kind = "alloc" }
    assert.is_true(pprof.total(pprof.read(profile:stop()), 2) < 50e6)
  end)

  it("leaves a universe that is closed while it runs in order", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      KEPT = co.profile.start { kind = "alloc" }
      co.run(function() local t = {} for i = 1, 1e5 do t[i] = { i } end end)
      print "ok"
      os.exit(0, true)
    ]]
    assert.same({ "", "ok\n", 0 }, { result.stderr, result.stdout, result.status })
  end)

  it("runs beside a cpu profile", function()
    local cpu = co.profile.start { kind = "cpu", hz = 1000 }
    local till = os.clock() + 0.1
    local read = profile_of(function()
      while os.clock() < till do strings(1, 1000) end
    end)
    assert.is_true(pprof.total(pprof.read(cpu:stop()), 1) > 5)
    assert.is_true(pprof.total(read, 2) > 0)
  end)

  it("is what Go's pprof can read", function()
    local function eat() strings(100, 10000) end
    local _, bytes = profile_of(function()
      eat()
      return nil
    end)
    local top = pprof.go(bytes, "-top -cum")
    helpers.assert_contains("Type: alloc_space", top)
    helpers.assert_contains("eat", top)
  end)
end)
