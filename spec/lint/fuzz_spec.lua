--- lint reads each program that Lua compiles, and ends on any.

local lint = require "coropanic.lint"

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
    local source = "return f" .. (".x"):rep(100000)
    assert.is_truthy(load(source))
    local report = lint.check(source, "long.lua")
    assert.same({ { file = "long.lua", message = "expressions are nested too deep" } }, report.problems)
    assert.same({}, report.findings)
  end)
end)

-- Random changes of our own files.

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
