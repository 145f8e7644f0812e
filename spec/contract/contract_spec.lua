-- The contract coropanic/1: golden records, the schema, and the stack hash as its page describes it.

local cjson = require "cjson"
local co = require "coropanic"
local helpers = require "spec.helpers"
local golden = require "contract.golden"
local panics = require "contract.panics"

local names = {}
for name in pairs(panics) do names[#names + 1] = name end
table.sort(names)

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function golden_paths()
  local paths = {}
  for i, name in ipairs(names) do paths[i] = golden.path(name) end
  return paths
end

--- Runs the validator; its output, and whether it had nothing to say.
local function validate(option, paths)
  -- Not under the sanitizers' preloaded runtimes, which Python is not made for.
  local command = ("env -u LD_PRELOAD /usr/bin/python3 spec/contract/validate.py %s %s 2>&1")
  local pipe = assert(io.popen(command:format(option, table.concat(paths, " "))))
  local output = pipe:read "a"
  return output, pipe:close()
end

describe("the record of", function()
  for _, name in ipairs(names) do
    it(name .. " is as its golden file has it", function()
      assert.equal(read(golden.path(name)), golden.text(panics[name]()))
    end)
  end
end)

--- Records at the edges of what there may be, as JSON by name.
local function odd_records()
  local records = {}
  local function add(name, record) records[name] = cjson.encode(record:to_table()) end
  local function add_panic(name, ...) add(name, select(2, co.pcall(...))) end

  local value = { code = ("\xff"):rep(5000), ["\xfe"] = { {}, { {} } }, [1.5] = 0 / 0 }
  add_panic("huge and not UTF-8", co.panic, value)
  add_panic("stripped", load(string.dump(function() error "x" end, true)))
  add_panic("without a name", load("error 'x'", "="))
  add_panic("out of memory", string.rep, "x", 1 << 50)
  add_panic("a stack overflow", (load "local function f() return 1 + f() end return f"()))
  add_panic("a long chain", co.call, function()
    for _ = 1, 20 do co.defer(co.panic, "again") end
    co.panic "first"
  end)
  local function again(n)
    if n == 0 then co.panic "root" end
    co.panic(select(2, co.pcall(again, n - 1)))
  end
  add_panic("causes of causes", again, 12)

  co.run_with({ clock = "virtual" }, function()
    local function child(options, fn, ...) return select(2, co.spawn_with(options, fn, ...):join()) end
    add("attributes in a list", child({ attributes = { 1, 2 } }, co.panic, "x"))
    add("no attributes", child({ name = "", attributes = {} }, co.panic, "x"))
    local function deep(n)
      if n == 0 then add_panic("many ancestors", co.panic, "deep") end
      if n > 0 then co.spawn(deep, n - 1):await() end
    end
    deep(40)
    add_panic("many suppressed", co.scope, function(scope)
      for _ = 1, 40 do
        scope:spawn(function()
          co.defer(co.panic, "second")
          co.sleep(1)
        end)
      end
      scope:spawn(co.panic, "first")
    end)
  end)
  add("many parked", select(2, pcall(co.run, function()
    for _ = 1, 110 do co.spawn(function() co.chan():recv() end) end
    co.chan():recv()
  end)))

  local recorder = co.record { stacks = 1 }
  co.run_with({ clock = "virtual" }, function()
    local child = co.spawn(function()
      co.trace.span("work", function() co.trace.event "half" end)
      co.pcall(co.call, function() co.defer(co.recover) error "recovered" end)
      co.yield()
      co.defer(function() add_panic("last events", co.panic, "x") end)
      co.chan():recv()
    end)
    co.sleep(1)
    child:cancel()
    child:join()
  end)
  recorder:stop()

  records["without a trace"] = helpers.run_script([[
    local co = require "coropanic"
    co.trace.use("snowflake", { lease = function(hold) return hold(0) and 900 end })
    local _, record = co.pcall(co.panic, "x")
    assert(record.trace_id == nil and record.span_id == nil)
    io.write(require("cjson").encode(record:to_table()))]]).stdout
  return records
end

--- Validates documents, given as JSON by name.
local function validate_texts(option, texts)
  local paths = {}
  for _, json in pairs(texts) do
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(json)
    paths[#paths + 1] = path
  end
  local output, ok = validate(option, paths)
  for _, path in ipairs(paths) do os.remove(path) end
  return output, ok
end

describe("the schema", function()
  it("allows records at the edges", function()
    local seen = {}
    local records = odd_records()
    for name, json in pairs(records) do
      for key in json:gmatch '"(%w+_omitted)"' do seen[key] = true end
      assert.truthy(utf8.len(json), name)
    end
    local output, ok = validate_texts("", records)
    assert.is_true(ok, output)
    assert.same({
      ancestors_omitted = true, chain_omitted = true, frames_omitted = true, parked_omitted = true,
      suppressed_omitted = true,
    }, seen)
  end)

  it("allows all golden records", function()
    local output, ok = validate("", golden_paths())
    assert.is_true(ok, output)
  end)

  it("refuses them when something is wrong with them", function()
    local output, ok = validate("--mutate", golden_paths())
    assert.is_true(ok, output)
  end)
end)

-- Written from docs/contract.md alone.
describe("the stack hash", function()
  local function fnv1a(text)
    local hash = 0xcbf29ce484222325
    for i = 1, #text do hash = (hash ~ text:byte(i)) * 0x100000001b3 end
    return ("%016x"):format(hash)
  end

  local function module_of(source)
    if source == "[C]" then return "[c]" end
    if source:find('[string "', 1, true) == 1 then return "[string]" end
    return (source:match "[^/\\]*$":gsub("%u", string.lower))
  end

  local function identity_in_version_1(frame) return frame.name or "?" end

  local function identity(frame)
    return frame.what == "main" and "main" or frame.fingerprint or frame.name or "?"
  end

  local function hash(frames, with_c, identity_of)
    local lines, last = {}, nil
    for _, frame in ipairs(frames) do
      local line = module_of(frame.source) .. ":" .. identity_of(frame) .. "\n"
      if (with_c or frame.what ~= "C") and line ~= last then
        lines[#lines + 1] = line
        last = line
      end
    end
    return fnv1a(table.concat(lines))
  end

  local function assert_hashes(record)
    local frames = record:to_table().frames or {}
    assert.equal(hash(frames, false, identity), record.stack_hash)
    assert.equal(hash(frames, true, identity), record.stack_hash_full)
    assert.same({ record.stack_hash, record.stack_hash_full }, { record:stack_hashes() })
    assert.same({ record.stack_hash, record.stack_hash_full }, { record:stack_hashes(2) })
    local hash_1, hash_1_full = record:stack_hashes(1)
    assert.equal(hash(frames, false, identity_in_version_1), hash_1)
    assert.equal(hash(frames, true, identity_in_version_1), hash_1_full)
  end

  it("is that of its page, in each version", function()
    for _, name in ipairs(names) do
      assert_hashes(panics[name]())
    end
  end)

  it("is that of its page for code that came from a string", function()
    local _, record = co.pcall(load "local function f() error 'x' end f() return 1")
    local frames = record:to_table().frames
    assert.same({ "f", "Lua", "main" }, { frames[1].name, frames[1].what, frames[2].what })
    assert_hashes(record)
  end)

  it("can be made again by a program in Python", function()
    local records = {}
    for _, name in ipairs(names) do
      records[name] = cjson.encode(panics[name]():to_table())
    end
    local output, ok = validate_texts("--hashes", records)
    assert.is_true(ok, output)
    for name, json in pairs(records) do
      records[name] = json:gsub('"what":"Lua"', '"what":"C"')
    end
    assert.is_nil(select(2, validate_texts("--hashes", records)))
  end)

  it("has versions 1 and 2", function()
    local _, record = co.pcall(co.panic, "x")
    assert.equal(2, record.hash_version)
    for _, version in ipairs { 0, 3, 1.5, "1", {} } do
      helpers.assert_error("bad argument #1 to 'stack_hashes'", record.stack_hashes, record, version)
    end
  end)

  it("has the vectors of its page", function()
    local vectors = 0
    for text, expected in read("docs/contract.md"):gmatch "| `([^`]*)` | `(%x+)` |" do
      assert.equal(expected, fnv1a((text:gsub("\\n", "\n"))))
      vectors = vectors + 1
    end
    assert.equal(5, vectors)
  end)
end)
