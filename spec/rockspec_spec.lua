-- The rockspec lists every C source by hand, as luarocks wants it.

describe("the rockspec", function()
  it("names every C source of the module, and nothing else", function()
    local spec = {}
    assert(loadfile("coropanic-scm-1.rockspec", "t", spec))()
    local listed = spec.build.modules["coropanic.core"].sources
    local pipe = assert(io.popen "ls csrc/core/*.c csrc/lua/*.c csrc/runtime/*.c")
    local found = {}
    for name in pipe:lines() do found[#found + 1] = name end
    pipe:close()
    table.sort(listed)
    table.sort(found)
    assert.same(found, listed)
  end)
end)
