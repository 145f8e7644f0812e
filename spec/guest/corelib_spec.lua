-- The library of the core, coropanic/corelib.so, as its header promises it.

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function sorted(names)
  table.sort(names)
  return names
end

local HEADER = read "csrc/coropanic_core.h"

describe("the library of the core", function()
  it("exports the functions of its header, and nothing else", function()
    local exported, declared = {}, {}
    for name in HEADER:gmatch "\nCP_CORE_API [^;]-(cp_core_[%w_]+)%(" do declared[#declared + 1] = name end
    local build = os.getenv "BUILD" or "build"
    local symbols = output("nm --dynamic --defined-only " .. build .. "/coropanic/corelib.so")
    for name in symbols:gmatch " T ([^\n]+)" do exported[#exported + 1] = name end
    assert.is_true(#declared > 20)
    assert.same(sorted(declared), sorted(exported))
  end)

  it("is declared to LuaJIT as in its header, and in its version", function()
    local module = read "lua/coropanic/guest/core/ffi.lua"
    --- The declarations as one line of words each.
    local function words(text, start)
      local lines = {}
      for declaration in text:gmatch("\n%s*" .. start .. "([^;{}()]-cp_core_[%w_]+%([^;]-%));") do
        lines[#lines + 1] = declaration:gsub("%s+", " ")
      end
      return sorted(lines)
    end
    local in_header = words(HEADER, "CP_CORE_API ")
    assert.is_true(#in_header > 20)
    assert.same(in_header, words(module:match "ffi%.cdef %[%[(.-)%]%]", ""))
    assert.equal(HEADER:match "CP_CORE_VERSION (%d+)", module:match "local VERSION = (%d+)")
  end)
end)
