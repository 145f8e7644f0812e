-- How the guard of the hot paths counts and judges. Nothing is counted here.

package.path = "bench/?.lua;" .. package.path

local instructions = require "instructions"
local misses = require "misses"
local verdicts = require "verdicts"

local function lines(text) return text:gmatch "[^\n]+" end

describe("counts of instructions", function()
  it("are summed, without what calls cost: that is counted in the functions called", function()
    local counts = instructions.parse(lines [[
# callgrind format
positions: line
events: Ir
fl=(1) a.c
fn=(1) first
10 5
+2 7
cfi=(2) b.c
cfn=(2) second
calls=3 4
* 600
fl=(2)
fn=(2)
4 600
totals: 612]])
    assert.equal(612, counts.total)
    assert.same({ ["a.c"] = 12, ["b.c"] = 600 }, counts.by_file)
  end)

  it("belong to the file of a line, into whatever function it was inlined", function()
    local counts = instructions.parse(lines [[
fl=(1) a.c
fn=(1) first
1 5
fi=(2) inline.h
7 2
-1 1
fe=(1)
2 4]])
    assert.same({ ["a.c"] = 9, ["inline.h"] = 3 }, counts.by_file)
  end)
end)

describe("counts of cache misses", function()
  it("are those of reads and writes of data, of the whole program", function()
    local count = misses.parse(lines [[
desc: LL cache: 262144 B, 64 B, 8-way associative
events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw
fn=first
10 5 1 1 2 1 1 1 1 1
summary: 500 40 30 200 25 20 100 9 7]])
    assert.equal(27, count)
  end)
end)

describe("the guard's verdict", function()
  local function verdict(before, now)
    local list = verdicts.compare({ path = before }, { path = now }, 0.03)
    assert.equal(1, #list)
    return list[1]
  end

  it("lets a hot path grow by the limit and no more", function()
    assert.is_false(verdict(1000, 1030).failed)
    local grown = verdict(1000, 1031)
    assert.is_true(grown.failed)
    assert.equal("has grown", grown.text)
    assert.is_true(math.abs(grown.change - 0.031) < 1e-9)
  end)

  it("asks for a lower baseline when a path has shrunk, and does not fail", function()
    assert.equal("", verdict(1000, 970).text)
    local shrunk = verdict(1000, 960)
    assert.is_false(shrunk.failed)
    assert.equal("has shrunk: lower the baseline", shrunk.text)
  end)

  it("fails for a path without a baseline, and for a baseline without a path", function()
    assert.is_true(verdict(nil, 5).failed)
    assert.equal("has no baseline", verdict(nil, 5).text)
    assert.is_true(verdict(5, nil).failed)
    assert.equal("is in the baseline only", verdict(5, nil).text)
  end)

  it("names every path once, in order", function()
    local names = {}
    for i, v in ipairs(verdicts.compare({ c = 1, a = 1 }, { b = 1, a = 1 }, 0.03)) do names[i] = v.path end
    assert.same({ "a", "b", "c" }, names)
  end)

  it("says what differs between two machines", function()
    local before = { compiler = "gcc 12", libc = "2.36", flags = "-O2" }
    local now = { compiler = "gcc 13", libc = "2.36", lua = "5.4.6" }
    assert.same({
      "compiler: gcc 12 then, gcc 13 now",
      "flags: -O2 then, none now",
      "lua: none then, 5.4.6 now",
    }, verdicts.differences(before, now))
  end)
end)

describe("the guarded hot paths", function()
  local hot_paths, cold_paths = require "hot_paths", require "cold_paths"

  it("all have a baseline", function()
    local file <close> = assert(io.open "bench/baseline.json")
    local baseline = require("cjson").decode(file:read "a")
    for path in pairs(hot_paths) do assert.is_number(baseline.instructions[path], path) end
    for path in pairs(cold_paths) do assert.is_number(baseline.misses[path], path) end
  end)

  it("run", function()
    for path, operate in pairs(hot_paths) do
      local spawned = require("coropanic").stats().spawned
      operate(200)
      if path ~= "func" and path ~= "defer" then
        assert.is_true(require("coropanic").stats().spawned > spawned, path)
      end
    end
    for _, operate in pairs(cold_paths) do operate(2000) end
  end)
end)
