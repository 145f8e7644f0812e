-- coropanic.portable where Lua lacks the functions: its own ones, against Lua 5.4's.

--- Loads the module as a Lua without these libraries does.
local function load_without(...)
  local removed = {}
  for i, place in ipairs { ... } do
    removed[i] = place[1][place[2]]
    place[1][place[2]] = nil
  end
  package.loaded["coropanic.portable"] = nil
  local ok, portable = pcall(require, "coropanic.portable")
  for i, place in ipairs { ... } do place[1][place[2]] = removed[i] end
  package.loaded["coropanic.portable"] = nil
  return assert(ok and portable, portable)
end

describe("the portable functions", function()
  local portable = load_without({ table, "move" }, { math, "type" }, { math, "tointeger" }, { _G, "utf8" })

  it("move a part of a table, also to places that overlap", function()
    assert.same({ 1, 1, 2, 3 }, portable.move({ 1, 2, 3 }, 1, 3, 2))
    assert.same({ 2, 3, 3 }, portable.move({ 1, 2, 3 }, 2, 3, 1))
    assert.same({ 2, 3 }, portable.move({ 1, 2, 3 }, 2, 3, 1, {}))
    assert.same({}, portable.move({ 1 }, 1, 0, 1, {}))
  end)

  it("tell whole numbers from others", function()
    assert.equal("integer", portable.math_type(3))
    assert.equal("float", portable.math_type(3.5))
    assert.equal("float", portable.math_type(1 / 0))
    assert.is_nil(portable.math_type "3")
    assert.equal(3, portable.tointeger(3))
    assert.is_nil(portable.tointeger(3.5))
    assert.is_nil(portable.tointeger "3")
  end)

  it("count characters, and find the first byte that is not UTF-8", function()
    for text, expected in pairs {
      [""] = { 0 }, plain = { 5 }, ["Am\195\169lie"] = { 6 }, ["\244\143\191\191!"] = { 2 },
      ["a\195"] = { nil, 2 }, ["\195\169\237\160\128"] = { nil, 3 }, ["\255"] = { nil, 1 },
    } do
      assert.same(expected, { portable.utf8_len(text) })
      if utf8 and expected[1] then assert.equal(utf8.len(text), (portable.utf8_len(text))) end
    end
    assert.equal(2, portable.utf8_len("a\195\169b", 2))
    assert.equal(4, portable.utf8_offset("a\195\169b", 3))
    assert.equal(5, portable.utf8_offset("a\195\169b", 4))
    assert.is_nil(portable.utf8_offset("a\195\169b", 5))
  end)
end)
