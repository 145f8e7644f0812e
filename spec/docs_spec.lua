-- The documents say what the code does: every snippet in them runs, prints what they say, and every link,
-- make target, constant and error message that they name exists.

local c_flags = require "embedded.c_flags"

local DOCUMENTS = {}
for path in io.popen("ls README.md CHANGELOG.md docs/*.md docs/migration/*.md"):lines() do
  DOCUMENTS[#DOCUMENTS + 1] = path
end

-- Seconds that a snippet may take; generous, since valgrind runs them too.
local PATIENCE = 120

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The fenced blocks of a document, in order. Those in `lua` are run, and those in `sh` that a block `text`
--- follows.
---@return { language: string, line: integer, text: string, follows: string? }[]
local function blocks_of(document)
  local blocks, open = {}, nil
  local number = 0
  for line in (read(document) .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local language = line:match "^```(.*)$"
    if language and open then
      open.text = table.concat(open.lines, "\n") .. "\n"
      blocks[#blocks + 1] = open
      open = nil
    elseif language then
      open = { language = language, line = number + 1, lines = {} }
    elseif open then
      open.lines[#open.lines + 1] = line
    end
  end
  assert(not open, document .. ": a block is not closed")
  return blocks
end

-- Snippets --------------------------------------------------------------------------------------------------

local HERE = output_of("pwd"):gsub("\n", "")

-- What a script in the checkout needs, with paths that are good in any directory.
local function path_of(variable, fallback)
  return ((os.getenv(variable) or fallback):gsub("%f[^\0;]%./", HERE .. "/"))
end

--- Runs a snippet as a program of its own, named by its first line if that is a comment with a file name.
---@return string output  # of both streams, in order
---@return integer status
local function run_snippet(source)
  local name = source:match "^%-%- ([%w_]+%.lua)\n" or "snippet.lua"
  local directory = output_of("mktemp -d"):gsub("\n", "")
  local file = assert(io.open(directory .. "/" .. name, "wb"))
  file:write(source)
  file:close()
  local command = "cd %s && LUA_PATH=%s LUA_CPATH=%s timeout %d %s %s -e %s %s 2>&1 </dev/null"
  local output, status = output_of(command:format(
    directory,
    quote(path_of("LUA_PATH", "./lua/?.lua;./lua/?/init.lua;;")),
    quote(path_of("LUA_CPATH", "./build/?.so;;")),
    PATIENCE,
    os.getenv "TEST_WRAPPER" or "",
    os.getenv "LUA" or "lua5.4",
    quote 'io.stdout:setvbuf "no"',
    name))
  os.remove(directory .. "/" .. name)
  os.remove(directory)
  return output, status
end

--- Runs a snippet of a shell, in which `coropanic` is the checkout's command, in a directory of its own.
---@return string output
---@return integer status
local function run_shell(source)
  local directory = output_of("mktemp -d"):gsub("\n", "")
  local command = "cd %s && LUA_PATH=%s LUA_CPATH=%s timeout %d sh -c %s 2>&1 </dev/null"
  local coropanic = ("coropanic() { %s %s %s/bin/coropanic \"$@\"; }\n"):format(
    os.getenv "TEST_WRAPPER" or "", os.getenv "LUA" or "lua5.4", HERE)
  local output, status = output_of(command:format(
    directory,
    quote(path_of("LUA_PATH", "./lua/?.lua;./lua/?/init.lua;;")),
    quote(path_of("LUA_CPATH", "./build/?.so;;")),
    PATIENCE,
    quote(coropanic .. source)))
  os.execute("rm -r " .. directory)
  return output, status
end

--- Builds a program in C against the library of this build, and runs it.
---@return string output
---@return integer status
local function run_c_snippet(source)
  local build = os.getenv "BUILD" or HERE .. "/build"
  local directory = output_of("mktemp -d"):gsub("\n", "")
  local file = assert(io.open(directory .. "/snippet.c", "wb"))
  file:write(source)
  file:close()
  local library = build .. "/libcoropanic.a"
  local command = "cd %s && env -u LD_PRELOAD gcc -std=c11 -Wall -Wextra -Werror %s -I%s/csrc "
    .. "$(pkg-config --cflags lua5.4) -o snippet snippet.c %s $(pkg-config --libs lua5.4) -pthread 2>&1 "
    .. "&& env -u LD_PRELOAD timeout %d ./snippet 2>&1 </dev/null"
  local flags = c_flags.sanitizers(library)
  local output, status = output_of(command:format(directory, flags, HERE, library, PATIENCE))
  output_of("rm -r " .. directory)
  return output, status
end

--- Makes ids that differ from run to run the same.
local function normalised(text)
  local function id(digits, name)
    text = text:gsub("%f[%x]" .. ("%x"):rep(digits) .. "%f[%X]", name)
  end
  id(32, "TRACE")
  id(16, "SPAN")
  return (text:gsub("0x%x+", "ADDRESS"))
end

describe("a snippet", function()
  for _, document in ipairs(DOCUMENTS) do
    local blocks = blocks_of(document)
    for i, block in ipairs(blocks) do
      local follower = blocks[i + 1]
      local expected = follower and follower.language == "text" and follower.text or nil
      local is_c_program = block.language == "c" and block.text:find("int main(", 1, true)
      local run = block.language == "lua" and run_snippet or is_c_program and run_c_snippet
      if block.language == "sh" and expected then
        it(("%s:%d prints what is said"):format(document, block.line), function()
          local output, status = run_shell(block.text)
          assert.equal(0, status, output)
          assert.equal(normalised(expected), normalised(output))
        end)
      elseif run then
        local what = expected and "runs and prints what is said" or "runs"
        it(("%s:%d %s"):format(document, block.line, what), function()
          local output, status = run(block.text)
          assert.equal(0, status, output)
          if expected then
            assert.equal(normalised(expected), normalised(output))
          end
        end)
      end
    end
  end
end)

describe("README.md", function()
  it("shows first a report, which its first program prints", function()
    local blocks = blocks_of "README.md"
    local program
    for _, block in ipairs(blocks) do
      program = program or block.language == "lua" and block.text or nil
    end
    assert.is_truthy(blocks[1].text:find("\npanic: ", 1, true))
    local output, status = run_snippet(program)
    assert.equal(0, status, output)
    assert.equal(normalised(blocks[1].text), normalised(output))
  end)

  it("lists every function of the module", function()
    local text = read "README.md"
    local co = require "coropanic"
    local function check(module, prefix)
      for name, value in pairs(module) do
        if type(value) == "function" then
          assert.is_truthy(text:find("`" .. prefix .. name .. "(", 1, true), prefix .. name .. " is missing")
        end
      end
    end
    check(co, "co.")
    check(co.trace, "co.trace.")
  end)
end)

-- What documents name ---------------------------------------------------------------------------------------

-- The part of a link after "#", as GitHub makes it of a heading.
local function anchor_of(heading)
  return (heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

local function has_anchor(document, anchor)
  for heading in ("\n" .. read(document)):gmatch "\n#+ ([^\n]+)" do
    if anchor_of(heading) == anchor then
      return true
    end
  end
  return false
end

local function exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

local function check_link(document, target)
  local path, anchor = target:match "^([^#]*)#?(.*)$"
  local directory = document:match "^(.*/)" or ""
  local file = path == "" and document or directory .. path
  assert.is_true(exists(file), ("%s links to %s, which does not exist"):format(document, target))
  if anchor ~= "" then
    local found = has_anchor(file, anchor)
    assert.is_true(found, ("%s links to %s: there is no such heading"):format(document, target))
  end
end

-- The sources as one text, with string literals that were broken over lines put together.
local function sources()
  local text = read "csrc/coropanic.h" .. output_of "cat csrc/*/*.h csrc/*/*.c lua/*/*.lua"
  return (text:gsub('"%s*\n%s*"', ""):gsub('\\"', '"'))
end

describe("the documents", function()
  it("link to files and headings that exist", function()
    for _, document in ipairs(DOCUMENTS) do
      for target in read(document):gmatch "%]%(([^)%s]+)%)" do
        if not target:find "^https?:" then
          check_link(document, target)
        end
      end
    end
  end)

  it("name make targets that exist", function()
    local makefile = "\n" .. read "Makefile"
    local count = 0
    local function check(document, text)
      for target in text:gmatch "%f[%w]make ([a-z][a-z-]*)" do
        count = count + 1
        local found = makefile:find("\n" .. target .. ":", 1, true)
        assert.is_truthy(found, ("%s: make %s"):format(document, target))
      end
    end
    for _, document in ipairs(DOCUMENTS) do
      for _, block in ipairs(blocks_of(document)) do
        if block.language == "sh" then
          check(document, (block.text:gsub("#[^\n]*", "")))
        end
      end
      for code in read(document):gmatch "`(make [^`\n]+)`" do
        check(document, code)
      end
    end
    assert.is_true(count > 0)
  end)

  it("give constants the values that they have", function()
    local text = sources()
    local count = 0
    for _, document in ipairs(DOCUMENTS) do
      for name, value in read(document):gmatch "\n| `([A-Z][A-Z_]+)` | (%d+) |" do
        count = count + 1
        local defined = text:match("#define " .. name .. "%s+(%d+)")
          or text:match("local " .. name .. " = (%d+)")
        assert.equal(value, defined, ("%s: %s"):format(document, name))
      end
    end
    assert.is_true(count > 0)
  end)

  it("quote error messages that the code has", function()
    local FROM_LUA = { ["C stack overflow"] = true }
    local text = sources()
    for line in read("docs/errors.md"):gmatch "\n(| `[^\n]+)" do
      local message = line:match "^| `(.-)` |"
      for part in (message:gsub("[()\"]", "…") .. "…"):gmatch "%s*(.-)%s*…" do
        local found = #part < 8 or FROM_LUA[message] or text:find(part, 1, true)
        assert.is_truthy(found, ("docs/errors.md: %q is nowhere in the sources"):format(part))
      end
    end
  end)
end)
