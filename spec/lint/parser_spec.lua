--- What lint expects of luacheck's parser, which is no public part of it.

local parser = require "coropanic.lint.parser"

assert(parser.load())

local function parse(source)
  local tree, problem = parser.parse(source)
  assert(tree, problem and problem.message)
  return tree
end

--- The tree as text: tags and parts.
local function shape(node)
  if type(node) ~= "table" then return tostring(node) end
  local parts = {}
  for i, part in ipairs(node) do parts[i] = shape(part) end
  return node.tag .. "(" .. table.concat(parts, " ") .. ")"
end

describe("luacheck's parser", function()
  it("is of a version that is known", function()
    assert.is_true(parser.knows "1.1.0")
    assert.is_true(parser.knows "1.2")
    assert.is_true(parser.knows "1.10.3-1")
    for _, version in ipairs { "0.26.1", "1.0.9", "2.0.0", "2.1", "10.0", "unknown", "" } do
      assert.is_false(parser.knows(version), version)
    end
  end)

  local SHAPES = {
    { "local a, b = 1, f()", "Local(List(Id(a) Id(b)) List(Number(1) Call(Id(f))))" },
    { "local a", "Local(List(Id(a)))" },
    { "local function f(a, ...) return a, ... end",
      "Localrec(List(Id(f)) List(Function(List(Id(a) Dots(...)) Block(Return(Id(a) Dots(...))))))" },
    { "function t.a:b() end",
      "Set(List(Index(Index(Id(t) String(a)) String(b))) List(Function(List(Id(self)) Block())))" },
    { "a.b = {1, x = 2, [3] = 4}",
      "Set(List(Index(Id(a) String(b))) "
        .. "List(Table(Number(1) Pair(String(x) Number(2)) Pair(Number(3) Number(4)))))" },
    { "o:m(1) (f)'s'", "Call(Call(Invoke(Id(o) String(m) Number(1)) Id(f)) String(s))" },
    { "if a then b() elseif not c then else d() end",
      "If(Id(a) Block(Call(Id(b))) Op(not Id(c)) Block() Block(Call(Id(d))))" },
    { "while true do break end", "While(True() Block(Break()))" },
    { "repeat until a == nil", "Repeat(Block() Op(eq Id(a) Nil()))" },
    { "for i = 1, 2 do f() end", "Fornum(Id(i) Number(1) Number(2) Block(Call(Id(f))))" },
    { "for i = 1, 2, 3 do end", "Fornum(Id(i) Number(1) Number(2) Number(3) Block())" },
    { "for k, v in pairs(t) do end", "Forin(List(Id(k) Id(v)) List(Call(Id(pairs) Id(t))) Block())" },
    { "do local x = (a .. b) end", "Do(Local(List(Id(x)) List(Paren(Op(concat Id(a) Id(b))))))" },
    { "goto x ::x::", "Goto(x) Label(x)" },
  }

  for _, case in ipairs(SHAPES) do
    it("makes the tree of: " .. case[1], function()
      assert.equal("Function(List() Block(" .. case[2] .. "))", shape(parse(case[1]).main))
    end)
  end

  it("says where a node begins, and which comments there are", function()
    local tree = parse("-- one\nf() --[[ long ]] g() -- two\n--[==[\n-- no]==]\n  h()")
    local h = tree.main[2][3]
    assert.same({ 5, 3 }, { h.line, h.offset - tree.lines[5] + 1 })
    assert.same({ { line = 1, text = "-- one" }, { line = 2, text = "-- two" } }, tree.comments)
    assert.is_nil(tree.is_code[1])
    assert.is_true(tree.is_code[2])
  end)
end)

describe("the tree", function()
  it("knows the part that each node is in", function()
    local main = parse("local x = f(a)").main
    local a = main[2][1][2][1][2]
    assert.equal("a", a[1])
    local tags = {}
    local node = a
    while node do
      tags[#tags + 1] = node.tag
      node = node.parent
    end
    assert.same({ "Id", "Call", "List", "Local", "Block", "Function" }, tags)
  end)

  it("has the attributes of local variables", function()
    local source = "local a <const>, b, c --[[ x ]]\n -- <no>\n < -- [[\n close --[==[ ]] ]==] >, d = 1"
    local ids = parse(source).main[2][1][1]
    local attributes = {}
    for i, id in ipairs(ids) do attributes[i] = id.attribute or "none" end
    assert.same({ "const", "none", "close", "none" }, attributes)
    assert.is_nil(parse("local a a = a < b").main[2][1][1][1].attribute)
  end)

  it("has places in bytes, whatever the bytes are", function()
    local source = "local a = 'ä€\255' f()"
    local call = parse(source).main[2][2]
    assert.equal(source:find "f%(", call.offset)
  end)

  it("begins behind what Lua skips", function()
    local MARK = "\239\187\191" -- of UTF-8
    for _, source in ipairs { "#!/bin/lua ö\nf()", "# no Lua\nf()", MARK .. "f()", MARK .. "#!x\nf()" } do
      assert.equal("f", parse(source).main[2][1][1][1], source)
    end
    assert.is_nil((parser.parse " #!x"))
  end)
end)
