--- The command `coropanic` as such: what it says of itself and of wrong arguments.

local co = require "coropanic"
local cli = require "coropanic.cli"
local helpers = require "spec.helpers"

local run = helpers.run_command

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The lines of a manual page's source as one text, without the dashes' backslashes.
local function manual() return (read("docs/coropanic.1"):gsub("\\%-", "-")) end

describe("the command coropanic", function()
  it("knows its version", function()
    local line = ("coropanic %s, %s\n"):format(co._VERSION, _VERSION)
    local expected = { stdout = line, stderr = "", status = 0 }
    assert.same(expected, run { "version" })
    assert.same(expected, run { "--version" })
  end)

  it("lists its commands", function()
    local result = run { "help" }
    assert.equal(0, result.status)
    for _, name in ipairs(cli.COMMANDS) do
      helpers.assert_contains(("\n  %-8s  %s\n"):format(name, cli.find(name).summary), result.stdout)
    end
    assert.same(result, run { "--help" })
  end)

  for _, name in ipairs(cli.COMMANDS) do
    it(("explains %s, and so does the manual"):format(name), function()
      local command = cli.find(name)
      local result = run { "help", name }
      assert.equal(0, result.status)
      helpers.assert_contains(command.usage, result.stdout)
      helpers.assert_contains(command.details, result.stdout)
      helpers.assert_contains("\n.It Cm " .. name, manual())
      for option in command.usage:gmatch "%-%-(%w+)" do
        helpers.assert_contains("Fl -" .. option, manual())
        helpers.assert_contains("--" .. option, read "docs/command.md")
      end
    end)
  end

  local LIST = "(run, test, trace, lint, version, help)\n"
  local WRONG = {
    { {}, "coropanic: which command? " .. LIST },
    { { "rum" }, "coropanic: there is no command 'rum' " .. LIST },
    { { "help", "rum" }, "coropanic help: there is no command 'rum' " .. LIST },
    { { "trace" }, "coropanic trace: --to is missing\n" },
    { { "trace", "--to", "go" }, "coropanic trace: FILE is missing\n" },
    { { "trace", "--to", "c", "x" }, "coropanic trace: option '--to': go, chrome, text expected, got 'c'\n" },
    { { "version", "x" }, "coropanic version: unexpected argument 'x'\n" },
    { { "run" }, "coropanic run: SCRIPT is missing\n" },
    { { "run", "--tracing", "x.lua" }, "coropanic run: unknown option '--tracing'\n" },
    { { "run", "-x", "x.lua" }, "coropanic run: unknown option '-x'\n" },
    { { "run", "--trace=no", "x.lua" }, "coropanic run: option '--trace' takes no value\n" },
    { { "run", "--seed", "x.lua" }, "coropanic run: option '--seed': an integer expected, got 'x.lua'\n" },
    { { "run", "--seed" }, "coropanic run: option '--seed': an integer expected, got nothing\n" },
    { { "run", "--seed=" }, "coropanic run: option '--seed': an integer expected, got ''\n" },
    { { "test", "--seeds=0" }, "coropanic test: option '--seeds': an integer from 1 expected, got '0'\n" },
  }

  for _, case in ipairs(WRONG) do
    it(("refuses `coropanic %s`"):format(table.concat(case[1], " ")), function()
      local result = run(case[1])
      assert.equal(1, result.status)
      assert.equal("", result.stdout)
      assert.equal(case[2], result.stderr:sub(1, #case[2]))
    end)
  end
end)
