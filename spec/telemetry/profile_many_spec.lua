--- Profiles of waits and tasks in Go's pprof, and when there is much of them.

local co = require "coropanic"
local helpers = require "spec.helpers"
local pprof = require "telemetry.pprof"

local VIRTUAL = { clock = "virtual" }

local function with(label, value)
  return function(sample) return sample.labels[label] == value end
end

describe("a profile of waits", function()
  it("is bounded: it counts what it drops", function()
    local parts = { "local co, fs = ..., {}" }
    for i = 1, 9000 do parts[#parts + 1] = ("fs[%d] = function() co.sleep(0) return 1 end"):format(i) end
    parts[#parts + 1] = "return fs"
    local functions = load(table.concat(parts, "\n"), "=many")(co)
    local profile = co.profile.start { kind = "wait" }
    co.run_with(VIRTUAL, function()
      for _, f in ipairs(functions) do f() end
    end)
    local bytes = profile:stop()
    local read = pprof.read(bytes)
    assert.equal(8192, read.functions)
    local dropped = tonumber(read.comments[1]:match "^dropped: (%d+)")
    assert.equal(9000, dropped + pprof.total(read, 1))
    assert.is_true(#bytes < 8e6)
    helpers.assert_contains("dropped: ", pprof.go(bytes, "-comments"))
  end)

  it("does not grow beyond its bytes with ever new tasks", function()
    local profile = co.profile.start { kind = "wait" }
    co.run_with(VIRTUAL, function()
      for _ = 1, 60000 do co.spawn_with({ detached_trace = true }, co.sleep, 0):join() end
    end)
    local bytes = profile:stop()
    local read = pprof.read(bytes)
    local dropped = tonumber(read.comments[1]:match "^dropped: (%d+)")
    assert.equal(120000, dropped + pprof.total(read, 1))
    assert.is_true(#bytes < 16e6)
  end)

  it("is what Go's pprof can read", function()
    local profile = co.profile.start { kind = "wait" }
    co.run_with(VIRTUAL, function()
      local function fetch() co.sleep(1) end
      for i = 1, 3 do co.spawn_with({ name = "fetcher " .. i }, function() fetch() return nil end) end
    end)
    local bytes = profile:stop()
    local top = pprof.go(bytes, "-top -sample_index=delay -unit=s")
    helpers.assert_contains("Type: delay", top)
    helpers.assert_contains("3s   100%  fetch", top)
    helpers.assert_contains("3  100%", (pprof.go(bytes, "-top -sample_index=waits"):gsub(" +", "  ")))
    helpers.assert_contains("fetcher 2", pprof.go(bytes, "-tags"))
  end)
end)

describe("a profile of tasks", function()
  it("merges the equal stacks of many tasks", function()
    co.run_with(VIRTUAL, function()
      local parent = co.spawn(function()
        co.scope(function(s)
          for _ = 1, 20000 do s:spawn(co.sleep, 100) end
        end)
      end)
      co.yield()
      co.yield()
      local read = pprof.read(co.profile.take("tasks", 1))
      parent:cancel()
      assert.equal(20002, pprof.total(read, 1))
      assert.is_true(#read.samples < 6, #read.samples)
      assert.equal(20000e9, pprof.total(read, 2, with("wait", "sleep")))
      assert.equal(20000, pprof.total(read, 1, with("wait", "sleep")))
    end)
  end)

  it("is what Go's pprof can read", function()
    co.run_with(VIRTUAL, function()
      local function idle() co.sleep(9) end
      for _ = 1, 5 do co.spawn(function() idle() return nil end) end
      co.yield()
      local bytes = co.profile.take("tasks", 1)
      helpers.assert_contains("Type: blocked", pprof.go(bytes, "-top"))
      local top = pprof.go(bytes, "-top -sample_index=tasks -focus=idle"):gsub(" +", " ")
      helpers.assert_contains("5 83.33% idle", top)
    end)
  end)
end)
