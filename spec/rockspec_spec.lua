-- The rockspec lists every source by hand, as luarocks wants it.

local function modules()
  local spec = {}
  assert(loadfile("coropanic-scm-1.rockspec", "t", spec))()
  return spec.build.modules
end

local function files(command)
  local pipe = assert(io.popen(command))
  local found = {}
  for name in pipe:lines() do
    found[#found + 1] = name
  end
  pipe:close()
  table.sort(found)
  return found
end

describe("the rockspec", function()
  it("names every C source of its modules, and nothing else", function()
    local listed = {}
    for _, source in pairs(modules()) do
      if type(source) == "table" then table.move(source.sources, 1, #source.sources, #listed + 1, listed) end
    end
    table.sort(listed)
    assert.same(files "find csrc -name '*.c' -not -path 'csrc/otlp/*' -not -path 'csrc/corelib/*'", listed)
  end)

  it("names every Lua module, by the name under which it is required", function()
    local listed = {}
    for name, source in pairs(modules()) do
      if type(source) == "string" then
        listed[#listed + 1] = source
        local path = name:gsub("%.", "/")
        assert.is_true(source == "lua/" .. path .. ".lua" or source == "lua/" .. path .. "/init.lua", name)
      end
    end
    table.sort(listed)
    assert.same(files "find lua -name '*.lua'", listed)
  end)
end)
