-- What the benchmark makes of the peers' figures, and whether its tables fit together. Nothing is timed here.

package.path = "bench/?.lua;" .. package.path

local headline = require "headline"
local peers = require "peers"
local rows = require "rows"
local statistics = require "statistics"
local workloads = require "workloads"

local function seconds(...)
  local results = {}
  for i, value in ipairs { ... } do results[i] = { operations = 2, seconds = 2 * value } end
  return results
end

describe("the benchmark's figures", function()
  it("are the cost of one operation", function()
    assert.equal(0.5, statistics.cost { operations = 4, seconds = 2 })
    assert.equal(100, statistics.cost { operations = 3, bytes = 300 })
  end)

  it("may be others than that cost", function()
    assert.equal(0.2, statistics.cost({ seconds_longest = 0.2 }, "longest"))
  end)

  it("have a median, a least and a greatest one", function()
    assert.same({ median = 3, least = 1, greatest = 9 }, statistics.spread { 9, 1, 3 })
    assert.same({ median = 2, least = 1, greatest = 4 }, statistics.spread { 4, 1, 1, 3 })
  end)

  it("are compared round by round", function()
    -- The second round was slow for both: its ratio is as the others'.
    local ratio = statistics.ratio(seconds(1, 10, 1), seconds(2, 20, 2))
    assert.same({ median = 0.5, least = 0.5, greatest = 0.5 }, ratio)
  end)
end)

describe("a row of the benchmark", function()
  local workload = {
    name = "walk",
    unit = { name = "ns", per = 1e9 },
    peers = { "lua", "go" },
    targets = {
      { against = "lua", times_faster = 2 },
      { against = "go", at_most = 1, sizes = { 5 } },
      { against_size = 5, at_most = 3, sizes = { 7 } },
    },
  }

  local function measurement(size, ours, theirs, collector)
    return {
      workload = workload,
      size = size,
      collector = collector or "generational",
      results = { coropanic = ours, lua = theirs },
      why = { go = "missing" },
    }
  end

  local list = rows.of {
    measurement(5, seconds(4e-9), seconds(8e-9)),
    measurement(5, seconds(5e-9), seconds(8e-9), "stopped"),
    measurement(7, seconds(13e-9), seconds(8e-9)),
  }

  it("says whether the target is met", function()
    assert.equal("0.50", list[1].ratio)
    assert.equal("2 times faster", list[1].target)
    assert.equal("met", list[1].verdict)
    assert.equal("missed", list[5].verdict)
  end)

  it("says who is missing, and compares with nothing", function()
    assert.equal("go", list[2].peer)
    assert.equal("missing", list[2].verdict)
    assert.is_true(list[2].not_measured)
    assert.equal("", list[2].ratio)
    assert.is_nil(list[6].not_measured) -- no target at that size
  end)

  it("has no target while the collector is stopped", function()
    assert.equal("stopped", list[3].collector)
    assert.equal("0.62", list[3].ratio)
    assert.equal("", list[3].target)
    assert.equal("", list[3].verdict)
  end)

  it("compares sizes with each other, under the same collector", function()
    assert.equal("coropanic 5", list[7].peer)
    assert.equal("3.25", list[7].ratio)
    assert.equal("missed", list[7].verdict)
  end)

  it("has the cost alone where there is nobody to compare with", function()
    local alone = { name = "stand", unit = workload.unit, peers = {}, targets = { { at_most_cost = 3 } } }
    local made = rows.of {
      { workload = alone, size = 1, collector = "any", results = { coropanic = seconds(4e-9) }, why = {} },
    }
    assert.equal(1, #made)
    assert.equal("4.00 ns", made[1].ours)
    assert.equal("at most 3 ns", made[1].target)
    assert.equal("missed", made[1].verdict)
    assert.equal("", made[1].collector)
  end)

  it("shows each figure of a run", function()
    local several = { name = "wait", unit = workload.unit, peers = {}, targets = {} }
    several.figures = { "each", "p99" }
    local result = { operations = 1, seconds = 5e-9, seconds_p99 = 7e-9 }
    local made = rows.of {
      { workload = several, size = 1, collector = "any", results = { coropanic = { result } }, why = {} },
    }
    assert.equal("wait", made[1].label)
    assert.equal("wait p99", made[2].label)
    assert.equal("7.00 ns", made[2].ours)
  end)
end)

describe("the benchmark's peers", function()
  -- Which of them are installed is another question.
  it("have the programs in Lua that they are started with", function()
    for _, peer in ipairs(peers) do
      local commands = { peer.program }
      for _, command in pairs(peer.programs or {}) do commands[#commands + 1] = command end
      for _, command in ipairs(commands) do
        local path = command:match "bench/%S+%.lua"
        local file = path and assert(io.open(path))
        if file then file:close() end
      end
    end
  end)
end)

describe("the headline", function()
  local workload_of = {}
  for _, workload in ipairs(workloads) do
    for _, figure in ipairs(workload.figures or { "each" }) do
      local label = figure == "each" and workload.name or workload.name .. " " .. figure
      workload_of[label] = workload
    end
  end

  local function contains(list, value)
    for _, other in ipairs(list) do
      if other == value then return true end
    end
    return false
  end

  for _, entry in ipairs(headline.LIST) do
    it("names rows that exist: " .. entry[1], function()
      local workload = workload_of[entry[1]]
      assert.is_true(contains(workload.sizes, entry[2]))
      for i = 4, #entry do
        local peer = entry[i][1]
        local size = math.tointeger(tonumber(peer:match "^coropanic (%d+)$"))
        assert.is_true(contains(size and workload.sizes or workload.peers, size or peer), peer)
      end
    end)
  end

  it("shows both modes of the collector", function()
    local function measurement(collector, ours, theirs)
      return {
        workload = workload_of["switch"],
        size = 1000,
        collector = collector,
        results = { coropanic = seconds(ours), floor = seconds(theirs) },
        why = {},
      }
    end
    local text = headline.of {
      measurements = { measurement("generational", 6e-8, 5e-8), measurement("incremental", 4e-8, 5e-8) },
    }
    assert.truthy(text:find("| a task gives way among 1,000, in order of memory | 60.0 ns: 1.20 |"
      .. " 40.0 ns: 0.80 | a bare loop of `lua_resume` in C |", 1, true), text)
  end)
end)

describe("the benchmark's workloads", function()
  local names = {}
  for _, peer in ipairs(peers) do names[peer.name] = true end

  local COLLECTORS = { generational = true, incremental = true, stopped = true, any = true }

  for _, workload in ipairs(workloads) do
    it(workload.name .. " names peers and sizes that exist", function()
      local takes_part, sizes = {}, {}
      for _, name in ipairs(workload.peers) do
        assert.is_true(names[name], name)
        takes_part[name] = true
      end
      for _, size in ipairs(workload.sizes) do sizes[size] = true end
      for _, collector in ipairs(workload.collectors) do assert.is_true(COLLECTORS[collector], collector) end
      for name in pairs(workload.limits or {}) do assert.is_true(takes_part[name], name) end
      for _, target in ipairs(workload.targets) do
        if target.against then assert.is_true(takes_part[target.against], target.against) end
        if target.against_size then assert.is_true(sizes[target.against_size]) end
        for _, size in ipairs(target.sizes or {}) do assert.is_true(sizes[size], size) end
      end
    end)
  end
end)
