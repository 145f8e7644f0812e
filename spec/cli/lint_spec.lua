--- `coropanic lint`, as a process of its own.

local helpers = require "spec.helpers"

local GOOD = 'return require "coropanic"\n'
local BAD = 'local co = require "coropanic"\nwhile true do co.defer(print) end\n'

--- Runs `coropanic lint` in a folder of its own with these files.
local function lint_in(files, arguments, environment)
  local folder = io.popen("mktemp -d"):read "l"
  for name, text in pairs(files) do
    os.execute(("mkdir -p '%s/%s'"):format(folder, name:match "^(.*)/" or "."))
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
  end
  local script = ([[
    local cli = require "coropanic.cli"
    os.exit(cli.main { "lint", %s }, true)
  ]]):format(arguments)
  local here = io.popen("pwd"):read "l"
  local absolute = package.path:gsub("%f[^\0;]%./", here .. "/"):gsub("%f[^\0;]lua/", here .. "/lua/")
  local path = folder .. "/run it.lua"
  local file = assert(io.open(path, "w"))
  file:write(("package.path = %q\n"):format(absolute), script)
  file:close()
  local in_folder = ("env -C %s %s"):format(folder, environment or "")
  local result = helpers.run_program(path, { environment = in_folder })
  os.execute("rm -r " .. folder)
  return result
end

local FINDING = ":2:15: C103 "

describe("coropanic lint", function()
  it("is silent and has status 0 where nothing is found", function()
    assert.same({ stdout = "", stderr = "", status = 0 }, lint_in({ ["a.lua"] = GOOD }, '"a.lua"'))
  end)

  it("prints a line for each finding, and has status 1", function()
    local files = { ["a.lua"] = BAD, ["-b.lua"] = BAD }
    local result = lint_in(files, '"--format=text", "--", "-b.lua", "a.lua"')
    assert.equal("coropanic lint: 2 findings\n", result.stderr)
    local lines = helpers.lines_of(result.stdout)
    assert.equal(2, #lines)
    helpers.assert_contains("-b.lua" .. FINDING, lines[1])
    helpers.assert_contains("a.lua" .. FINDING, lines[2])
    assert.equal(1, result.status)
  end)

  it("looks at the Lua files in folders, in the order of their names", function()
    local files = {
      ["z.lua"] = BAD, ["a/it's.lua"] = BAD, ["a/b/c.lua"] = BAD, ["a/.hidden/d.lua"] = BAD,
      ["a/e.txt"] = "not Lua",
    }
    local result = lint_in(files, '"a/", "z.lua"')
    local paths = {}
    for i, line in ipairs(helpers.lines_of(result.stdout)) do paths[i] = line:match "^[^:]*" end
    assert.same({ "a/b/c.lua", "a/it's.lua", "z.lua" }, paths)
  end)

  it("has status 2 where a file is missing or no Lua, and still looks at the others", function()
    local result = lint_in({ ["a.lua"] = BAD, ["b.lua"] = "local = 1" }, '"none.lua", "b.lua", "a.lua"')
    local lines = helpers.lines_of(result.stdout)
    assert.equal("none.lua: No such file or directory", lines[1])
    assert.equal("b.lua:1:7: expected identifier near '='", lines[2])
    helpers.assert_contains("a.lua" .. FINDING, lines[3])
    assert.equal(2, result.status)
  end)

  it("takes settings from .coropanic-lint.lua in the current folder", function()
    local files = {
      ["a.lua"] = BAD, ["old/b.lua"] = BAD, ["old/new/c.lua"] = BAD, ["gone/d.lua"] = "local = 1",
      [".coropanic-lint.lua"] = [[
        return { exclude = { "gone" }, files = { ["old/*.lua"] = { ignore = { "C103" } } } }
      ]],
    }
    local result = lint_in(files, '"."')
    local lines = helpers.lines_of(result.stdout)
    assert.equal(2, #lines)
    helpers.assert_contains("./a.lua" .. FINDING, lines[1])
    helpers.assert_contains("./old/new/c.lua" .. FINDING, lines[2])
    assert.equal(1, result.status)
  end)

  local WRONG_SETTINGS = {
    ["return { rules = {} }"] = ".coropanic-lint.lua: 'rules': unknown key (ignore, exclude, files)",
    ["return 1"] = ".coropanic-lint.lua: must return a table, not number",
    ["return {"] = ".coropanic-lint.lua:1: unexpected symbol near <eof>",
    ["print()"] = ".coropanic-lint.lua:1: attempt to call a nil value (global 'print')",
  }
  for text, message in pairs(WRONG_SETTINGS) do
    it("refuses wrong settings: " .. text, function()
      local result = lint_in({ [".coropanic-lint.lua"] = text, ["a.lua"] = BAD }, '"a.lua"')
      assert.same({ stdout = "", stderr = "coropanic lint: " .. message .. "\n", status = 2 }, result)
    end)
  end

  it("writes JSON and SARIF", function()
    local result = lint_in({ ["a.lua"] = BAD }, '"--format", "json", "a.lua"')
    assert.same({ "", 1 }, { result.stderr, result.status })
    assert.matches('^{"files":1,"findings":%[{.*}%],"problems":%[%]}\n$', result.stdout)
    result = lint_in({ ["a.lua"] = GOOD }, '"--format=sarif", "a.lua"')
    assert.same({ "", 0 }, { result.stderr, result.status })
    helpers.assert_contains('"version":"2.1.0"', result.stdout)
  end)

  it("has status 2 where it is called wrongly", function()
    for arguments, problem in pairs {
      [""] = "FILE or FOLDER is missing",
      ['"--format", "xml", "a.lua"'] = "option '--format': text, json, sarif expected, got 'xml'",
      ['"--fast", "a.lua"'] = "unknown option '--fast'",
    } do
      local result = lint_in({}, arguments)
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      local expected = ("coropanic lint: %s\nusage: coropanic lint [--format"):format(problem)
      helpers.assert_contains(expected, result.stderr)
    end
  end)

  it("needs neither the C module nor the guest", function()
    local without = [[LUA_INIT='package.preload["coropanic"] = error']]
    local result = lint_in({ ["a.lua"] = BAD }, '"a.lua"', without)
    assert.equal(1, result.status)
    helpers.assert_contains("a.lua" .. FINDING, result.stdout)
  end)

  it("says that it needs luacheck, and which", function()
    local function with(preload)
      return lint_in({ ["a.lua"] = BAD }, '"a.lua"', "LUA_INIT='" .. preload .. "'")
    end
    local MISSING = "coropanic lint: luacheck 1.1 or later, before 2, is needed:"
      .. " install Debian's package lua-check, or luarocks' rock luacheck"
    assert.same({ stdout = "", stderr = MISSING .. "\n", status = 2 },
      with [[package.preload["luacheck.parser"] = error]])
    local old = with [[package.preload["luacheck"] = function() return { _VERSION = "0.26.1" } end]]
    assert.same({ stdout = "", stderr = MISSING .. " (found luacheck 0.26.1)\n", status = 2 }, old)
  end)
end)
