-- What the benchmark makes of the peers' figures, and whether its tables fit together. Nothing is timed here.

package.path = "bench/?.lua;" .. package.path

local peers = require "peers"
local report = require "report"
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
    assert.equal(0.2, statistics.cost { seconds_longest = 0.2 })
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

  local function measurement(size, ours, theirs)
    return {
      workload = workload,
      size = size,
      results = { coropanic = ours, lua = theirs },
      why = { go = "missing" },
    }
  end

  local rows = report.rows {
    measurement(5, seconds(4e-9), seconds(8e-9)),
    measurement(7, seconds(13e-9), seconds(8e-9)),
  }

  it("says whether the target is met", function()
    assert.equal("0.50", rows[1].ratio)
    assert.equal("2 times faster", rows[1].target)
    assert.equal("met", rows[1].verdict)
    assert.equal("missed", rows[3].verdict)
  end)

  it("says who is missing, and compares with nothing", function()
    assert.equal("go", rows[2].peer)
    assert.equal("missing", rows[2].verdict)
    assert.is_true(rows[2].not_measured)
    assert.equal("", rows[2].ratio)
    assert.is_nil(rows[4].not_measured) -- no target at that size
  end)

  it("compares sizes with each other", function()
    assert.equal("coropanic 5", rows[5].peer)
    assert.equal("3.25", rows[5].ratio)
    assert.equal("missed", rows[5].verdict)
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

describe("the benchmark's workloads", function()
  local names = {}
  for _, peer in ipairs(peers) do names[peer.name] = true end

  for _, workload in ipairs(workloads) do
    it(workload.name .. " names peers and sizes that exist", function()
      local takes_part, sizes = {}, {}
      for _, name in ipairs(workload.peers) do
        assert.is_true(names[name], name)
        takes_part[name] = true
      end
      for _, size in ipairs(workload.sizes) do sizes[size] = true end
      for name in pairs(workload.limits or {}) do assert.is_true(takes_part[name], name) end
      for _, target in ipairs(workload.targets) do
        if target.against then assert.is_true(takes_part[target.against], target.against) end
        if target.against_size then assert.is_true(sizes[target.against_size]) end
        for _, size in ipairs(target.sizes or {}) do assert.is_true(sizes[size], size) end
      end
    end)
  end
end)
