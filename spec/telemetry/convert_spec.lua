--- What the recorder's files become for other tools: `go tool trace` is the judge of Go's format; Chrome's is
--- held against its rules here.

local cjson = require "cjson"
local co = require "coropanic"
local go_tool = require "spec.go_tool"
local helpers = require "spec.helpers"
local programs = require "telemetry.programs"
local reader = require "coropanic.record.reader"

--- Returns the recorder's file of a seed's program. `events` is the ring's size.
local function file_of(seed, events)
  local recorder = co.record { events = events, stacks = seed % 2 }
  programs.run(seed)
  local bytes = recorder:snapshot()
  recorder:stop()
  return bytes
end

local function convert(format, bytes, last)
  local dump, pieces = reader.parse(bytes), {}
  if last then dump:keep_last(last) end
  require("coropanic.record." .. format).convert(dump, function(piece) pieces[#pieces + 1] = piece end)
  return table.concat(pieces), dump
end

local function write(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

--- Whether the text is complete and well-formed for Go, and the events that it found there.
local function go_reads(text) return go_tool.run("trace -d", text) end

local function occurrences(text, pattern) return select(2, text:gsub(pattern, "")) end

describe("a trace for Go", function()
  it("is what go tool trace accepts, of the programs of many seeds, whole and wrapped anywhere", function()
    for seed = 1, 50 do
      local ok, output = go_reads((convert("go", file_of(seed, 1 << seed % 14))))
      assert.is_true(ok, seed .. ": " .. output:sub(-300))
    end
  end)

  it("is accepted wherever the last events begin", function()
    local bytes = file_of(5, 65536)
    for last = 1, math.min(reader.parse(bytes).count, 70) do
      local ok, output = go_reads((convert("go", bytes, last)))
      assert.is_true(ok, last .. ": " .. output:sub(-300))
    end
  end)

  it("has a goroutine for each task, and a user task for each trace", function()
    local before = co.stats()
    local text, dump = convert("go", file_of(11, 65536))
    local after = co.stats()
    local ok, output = go_reads(text)
    assert.is_true(ok)
    local traces, count = {}, 0
    for e in dump:events() do
      if e.kind == "trace" and not traces[e.trace_id] then traces[e.trace_id], count = true, count + 1 end
    end
    assert.equal(after.spawned - before.spawned, occurrences(output, " GoCreate "))
    assert.is_true(occurrences(output, " UserTaskCreate ") >= count)
    for id in pairs(traces) do helpers.assert_contains(id, text) end
  end)
end)

describe("JSON for Chrome", function()
  --- Checks what importers of the format demand. Returns the number of events of each phase.
  local function check(text)
    local counts, open, pending, latest = {}, {}, {}, -1
    for _, e in ipairs(cjson.decode(text).traceEvents) do
      counts[e.ph] = (counts[e.ph] or 0) + 1
      if e.ph ~= "M" then
        assert.is_true(e.ts >= latest)
        latest = e.ts
      end
      local key = (e.cat or "") .. "/" .. tostring(e.id)
      if e.ph == "B" then
        assert.is_nil(open[e.tid])
        open[e.tid] = true
      elseif e.ph == "E" then
        assert.is_true(open[e.tid])
        open[e.tid] = nil
      elseif e.ph == "b" then
        pending[key] = pending[key] or {}
        table.insert(pending[key], e.name)
      elseif e.ph == "e" then
        assert.equal(table.remove(pending[key]), e.name)
      elseif e.ph == "s" or e.ph == "f" then
        assert.is_true(open[e.tid]) -- an arrow is of the slice around it
        if e.ph == "f" then assert.is_true(pending[key]) end
        pending[key] = e.ph == "s" or nil
      end
    end
    assert.is_nil(next(open))
    for _, names in pairs(pending) do assert.is_true(names == true or #names == 0) end
    return counts
  end

  it("is well-formed, of the programs of many seeds, whole and wrapped anywhere", function()
    for seed = 1, 100 do check((convert("chrome", file_of(seed, 1 << seed % 14)))) end
    local bytes = file_of(5, 65536)
    for last = 1, 200 do check((convert("chrome", bytes, last))) end
  end)

  it("has a slice for each turn", function()
    local before = co.stats().switches
    local text = convert("chrome", file_of(11, 65536))
    assert.equal(co.stats().switches - before, check(text).B)
  end)

  it("holds names of any bytes", function()
    local recorder = co.record()
    helpers.run(function() co.trace.event 'a"\\\n\255\xc3\xa4' co.trace.event "\xc3\xa4" end)
    local names = {}
    for _, e in ipairs(cjson.decode((convert("chrome", recorder:snapshot()))).traceEvents) do
      if e.cat == "event" and e.name ~= "trace" then names[#names + 1] = e.name end
    end
    recorder:stop()
    assert.equal('a"\\\n\xc3\xbf\xc3\x83\xc2\xa4', names[1])
    assert.equal("\xc3\xa4", names[2])
  end)
end)

describe("coropanic trace", function()
  local path

  setup(function() path = write(file_of(5, 1024)) end)
  teardown(function() os.remove(path) end)

  it("writes each format to stdout", function()
    local bytes = file_of(5, 1024)
    for _, format in ipairs { "go", "chrome" } do
      local result = helpers.run_command { "trace", "--to", format, path }
      assert.equal(0, result.status)
      assert.equal("", result.stderr)
      assert.equal((convert(format, bytes)):sub(1, 30), result.stdout:sub(1, 30))
    end
    local result = helpers.run_command { "trace", "--to=text", path }
    helpers.assert_contains("coropanic-events/1: ", result.stdout)
    helpers.assert_contains(" tasks live after ", result.stdout)
  end)

  it("writes only the last events if it is asked to", function()
    local result = helpers.run_command { "trace", "--to", "text", "--last", "3", path }
    assert.equal(1, occurrences(result.stdout, "coropanic%-events/1: 3 events"))
    assert.is_true(occurrences(result.stdout, "\n +%d+%.%d+ ms ") <= 4)
  end)

  it("says what is wrong with a file, and where", function()
    local cut = write(file_of(5, 1024):sub(1, 500))
    local result = helpers.run_command { "trace", "--to", "go", cut }
    os.remove(cut)
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "not a coropanic%-events/1 file: at offset 500: %d+ bytes expected")
    result = helpers.run_command { "trace", "--to", "go", "/nowhere" }
    assert.equal(1, result.status)
    assert.equal("coropanic trace: /nowhere: No such file or directory\n", result.stderr)
  end)
end)
