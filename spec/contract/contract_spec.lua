-- The contract coropanic/1: golden records, the schema, and the stack hash as its page describes it.

local cjson = require "cjson"
local golden = require "contract.golden"
local panics = require "contract.panics"

local names = {}
for name in pairs(panics) do names[#names + 1] = name end
table.sort(names)

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- Runs the validator; its output, and whether it had nothing to say.
local function validate(option)
  local paths = {}
  for i, name in ipairs(names) do paths[i] = golden.path(name) end
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

describe("the schema", function()
  it("allows all golden records", function()
    local output, ok = validate ""
    assert.is_true(ok, output)
  end)

  it("refuses them when something is wrong with them", function()
    local output, ok = validate "--mutate"
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

  local function hash(frames, with_c)
    local lines, last = {}, nil
    for _, frame in ipairs(frames) do
      local line = module_of(frame.source) .. ":" .. (frame.name or "?") .. "\n"
      if (with_c or frame.what ~= "C") and line ~= last then
        lines[#lines + 1] = line
        last = line
      end
    end
    return fnv1a(table.concat(lines))
  end

  it("is that of its page", function()
    for _, name in ipairs(names) do
      local record = cjson.decode(read(golden.path(name)))
      if record.frames then
        assert.equal(hash(record.frames, false), record.stack_hash, name)
        assert.equal(hash(record.frames, true), record.stack_hash_full, name)
      end
    end
  end)

  it("is that of its page for code that came from a string", function()
    local _, record = require "coropanic".pcall(load "local function f() error 'x' end f() return 1")
    local frames = record:to_table().frames
    assert.equal("f", frames[1].name)
    assert.equal(hash(frames, false), record.stack_hash)
    assert.equal(hash(frames, true), record.stack_hash_full)
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
