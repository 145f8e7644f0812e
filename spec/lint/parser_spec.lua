--- What lint expects of luacheck's parser, which is no public part of it; and that it reads what Lua does.

local lint = require "coropanic.lint"
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

describe("a program by a machine", function()
  it("is looked at in a time that its length bounds", function()
    local lines = { 'local co = require "coropanic"', "local function f0() co.yield() end" }
    for i = 1, 150 do -- a way for each call would be 2^150 ways
      lines[#lines + 1] = ("local f%d = function() f%d() f%d() end"):format(i, i - 1, i - 1)
      lines[#lines + 1] = ("if not pcall(f%d) then f%d() else f%d() end"):format(i, i, i)
    end
    lines[#lines + 1] = "table.sort({}, f150)"
    local report = lint.check(table.concat(lines, "\n"))
    assert.same({}, report.problems)
    assert.equal("C101", report.findings[#report.findings].rule)
  end)

  it("that is nested deeper than the stack is a problem, and no error", function()
    local source = "return 1" .. (" + 1"):rep(200000)
    assert.is_truthy(load(source))
    local report = lint.check(source, "sum.lua")
    assert.same({ { file = "sum.lua", message = "expressions are nested too deep" } }, report.problems)
    assert.same({}, report.findings)
  end)
end)

-- Random changes of our own files --------------------------------------------------------------------------

local FILES, CHANGES, PER_FILE = 40, 3, 10

--- A generator of its own: the same programs each time.
local state = 42
local function random(n)
  state = (state * 6364136223846793005 + 1442695040888963407)
  return (state >> 33) % n + 1
end

local SNIPPETS = {
  " ", "\n", "end", "(", ")", "{", "}", "[[", "]]", "--", "--[==[", "]==]", "'", '"', "\\", "\\z",
  "\\u{7FFFFFFF}", "::a::", "goto a", "<close>", "<const>", "...", "..", "//", "~=", "~", ">>", "0x.p1",
  "1e5", "0xA", ";", ",", "=", ":", ".", "function", "local ", "return ", "nil", "#", "\r", "\r\n", "\0", "ä",
  "\255", "break", "and", "not ",
}

--- A random piece of the text: a word, a sign or blanks.
local function piece(text)
  local at = random(#text)
  local first, last = text:find("[%w_]+", at)
  if random(2) == 1 or not first then first, last = text:find(".[^%w]*", at) end
  return first, last
end

local function change(text)
  local first, last = piece(text)
  local how = random(5)
  if how == 1 then return text:sub(1, first - 1) .. text:sub(last + 1) end
  if how == 2 then return text:sub(1, first - 1) .. SNIPPETS[random(#SNIPPETS)] .. text:sub(last + 1) end
  if how == 3 then return text:sub(1, last) .. SNIPPETS[random(#SNIPPETS)] .. text:sub(last + 1) end
  local other, other_last = piece(text)
  local taken = text:sub(other, other_last)
  if how == 4 then return text:sub(1, first - 1) .. taken .. text:sub(last + 1) end
  return text:sub(1, last) .. taken .. text:sub(last + 1)
end

--- Programs that are small changes of our files.
local function changed_programs()
  local paths, programs = {}, {}
  for path in io.popen("find lua spec examples -name '*.lua' -size -40k | LC_ALL=C sort"):lines() do
    paths[#paths + 1] = path
  end
  for _ = 1, FILES do
    local file <close> = assert(io.open(paths[random(#paths)]))
    local text = file:read "a"
    for _ = 1, PER_FILE do
      local program = text
      for _ = 1, random(CHANGES) do program = change(program) end
      programs[#programs + 1] = program
    end
  end
  return programs
end

--- Which of the programs luac compiles.
local function judged_by_luac(programs)
  local folder = io.popen("mktemp -d"):read "l"
  for i, program in ipairs(programs) do
    local file <close> = assert(io.open(("%s/%d.lua"):format(folder, i), "wb"))
    file:write(program)
  end
  local accepted = {}
  local command = "cd %s && for f in *.lua; do luac5.4 -p $f 2>errors && echo ${f%%.lua}; done"
  for line in io.popen(command:format(folder)):lines() do accepted[tonumber(line)] = true end
  os.execute("rm -r " .. folder)
  return accepted
end

describe("lint", function()
  it("reads each random program that luac does, and raises no error on any", function()
    local programs = changed_programs()
    local accepted = judged_by_luac(programs)
    local count = 0
    for i, program in ipairs(programs) do
      local report = lint.check(program, "program.lua")
      local problem = report.problems[1]
      if accepted[i] then
        count = count + 1
        local is_read = not problem or problem.message:find "^waiver"
        assert.is_truthy(is_read, problem and problem.message .. "\n" .. program)
      end
    end
    assert.is_true(count > #programs / 10 and count < #programs)
  end)
end)
