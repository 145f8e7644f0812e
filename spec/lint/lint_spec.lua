--- The module coropanic.lint: names, waivers, settings and formats.

local dkjson = require "dkjson"
local lint = require "coropanic.lint"
local helpers = require "spec.helpers"

local PREFIX = 'local co = require "coropanic"\n'

--- The findings in the source, as "line:column rule". Its first line is line 1.
local function findings(source, options)
  local report = lint.check(PREFIX .. source, "x.lua", options)
  assert.same({}, report.problems)
  local found = {}
  for i, finding in ipairs(report.findings) do
    found[i] = ("%d:%d %s"):format(finding.line - 1, finding.column, finding.rule)
  end
  return found
end

local LOOP = "for _ = 1, 3 do co.defer(print) end"

describe("names", function()
  local function is_found(source) assert.same(1, #findings(source), source) end
  local function is_silent(source) assert.same({}, findings(source), source) end

  it("are followed through local variables", function()
    is_found(LOOP)
    is_found("local other = co; for _ = 1, 3 do other.defer(print) end")
    is_found("local defer = co.defer; for _ = 1, 3 do defer(print) end")
    is_found("local defer; defer = co.defer; for _ = 1, 3 do defer(print) end")
    is_found("local a, b = print, co.defer; for _ = 1, 3 do b(print) end")
    is_found('for _ = 1, 3 do co["defer"](print) end')
    is_found('for _ = 1, 3 do require("coropanic").defer(print) end')
    is_found("for _ = 1, 3 do (co).defer(print) end")
  end)

  it("mean what is local where they stand", function()
    is_silent("local co = {}; for _ = 1, 3 do co.defer(print) end")
    is_silent("local function f(co) for _ = 1, 3 do co.defer(print) end end")
    is_silent("for co = 1, 3 do co.defer(print) end")
    is_silent("for _, co in pairs(t) do co.defer(print) end")
    is_silent("local co <const> = co or {}; for _ = 1, 3 do co.defer(print) end")
    is_found("do local co = {} end for _ = 1, 3 do co.defer(print) end")
    is_found("repeat local co2 = co; co2.defer(print) until co2 == nil")
    is_found("local co = co; for _ = 1, 3 do co.defer(print) end")
  end)

  it("are not guessed", function()
    is_silent("local defer = co.defer; defer = print; for _ = 1, 3 do defer(print) end")
    is_silent("local defer = pick and co.defer or print; for _ = 1, 3 do defer(print) end")
    is_silent("local t = { defer = co.defer }; for _ = 1, 3 do t.defer(print) end")
    is_silent("for _ = 1, 3 do co[name](print) end")
    is_silent("for _ = 1, 3 do other.defer(print) end")
    is_silent('local require = load; local co = require "coropanic"; for _ = 1, 3 do co.defer(print) end')
    is_silent("function sort() end; table.sort = sort; table.sort({}, co.yield)")
    is_silent("local _ENV = {}; table.sort({}, co.yield)")
    is_silent("local table = {}; table.sort({}, co.yield)")
    is_silent("local a, b = b, a; for _ = 1, 3 do a.defer(print) end")
    is_silent("local a; a = a; for _ = 1, 3 do a.defer(print) end")
    is_silent("local defer = ...; for _ = 1, 3 do defer(print) end")
    is_silent("local _, defer = co.defer; for _ = 1, 3 do defer(print) end")
    is_silent("function co_defer() end for _ = 1, 3 do co_defer(co.defer) end")
  end)
end)

describe("a place", function()
  it("is a line and a column in characters", function()
    assert.same({ "1:17 C103" }, findings(LOOP))
    assert.same({ "1:27 C103" }, findings("local s = 'é€' while s do co.defer(print) end"))
    assert.same({ "1:29 C103" }, findings("local s = '\255€' while s do co.defer(print) end"))
  end)
end)

describe("a waiver", function()
  it("silences rules on its line, or alone on a line on the next line of code", function()
    assert.same({}, findings(LOOP .. " -- coropanic: ignore C103"))
    assert.same({}, findings(LOOP .. " --coropanic:ignore C101, C103: two of them"))
    assert.same({}, findings("-- coropanic: ignore C103 C101\n" .. LOOP))
    assert.same({}, findings("-- coropanic: ignore C103: a reason\n-- that goes on\n" .. LOOP))
  end)

  it("silences nothing else", function()
    assert.same({ "1:17 C103" }, findings(LOOP .. " -- coropanic: ignore C101"))
    assert.same({ "2:17 C103" }, findings("print() -- coropanic: ignore C103\n" .. LOOP))
    assert.same({ "3:17 C103" }, findings("-- coropanic: ignore C103\n\n" .. LOOP))
    assert.same({ "1:17 C103" }, findings(LOOP .. "\n-- coropanic: ignore C103"))
    assert.same({ "1:17 C103" }, findings(LOOP .. ' local s = "-- coropanic: ignore C103"'))
  end)

  it("that names no rule is a problem", function()
    for comment, message in pairs {
      ["-- coropanic: ignore"] = "waiver: the rules are missing, as in `coropanic: ignore C103`",
      ["-- coropanic: ignore : all"] = "waiver: the rules are missing, as in `coropanic: ignore C103`",
      ["-- coropanic: ignore C199"] =
        "waiver: no rule is called 'C199' (a reason follows a colon: ignore C103: why)",
      ["-- coropanic: ignore C103 because"] =
        "waiver: no rule is called 'because' (a reason follows a colon: ignore C103: why)",
    } do
      local report = lint.check("print()\n" .. comment, "x.lua")
      assert.same({ { file = "x.lua", line = 2, message = message } }, report.problems)
    end
  end)
end)

describe("settings", function()
  it("turn rules off, everywhere or in files", function()
    assert.same({}, findings(LOOP, { ignore = { "C103" } }))
    assert.same({ "1:17 C103" }, findings(LOOP, { ignore = { "C101" } }))
    assert.same({}, findings(LOOP, { files = { ["x.lua"] = { ignore = { "C103" } } } }))
    assert.same({ "1:17 C103" }, findings(LOOP, { files = { ["y.lua"] = { ignore = { "C103" } } } }))
  end)

  it("name files and folders, with stars", function()
    local function is_off(name, path)
      local report = lint.check(PREFIX .. LOOP, path, { files = { [name] = { ignore = { "C103" } } } })
      return #report.findings == 0
    end
    assert.is_true(is_off("spec", "spec/a/b.lua"))
    assert.is_true(is_off("spec/", "./spec/a/b.lua"))
    assert.is_true(is_off("./spec/*/b.lua", "spec/a/b.lua"))
    assert.is_true(is_off("spec/**.lua", "spec/a/b.lua"))
    assert.is_true(is_off("*", "a.b-c/x.lua"))
    assert.is_false(is_off("spec", "specs/a.lua"))
    assert.is_false(is_off("spec", "my/spec/a.lua"))
    assert.is_false(is_off("spec/*.lua", "spec/a/b.lua"))
    assert.is_false(is_off("a.c", "abc"))
  end)

  local WRONG = {
    { { ignored = {} }, "'ignored': unknown key (ignore, exclude, files)" },
    { { [1] = "C103" }, "'1': unknown key (ignore, exclude, files)" },
    { { ignore = "C103" }, "'ignore': a list expected, got string" },
    { { ignore = { "C103", 1 } }, "'ignore[2]': a string expected, got number" },
    { { ignore = { C103 = true } }, "'ignore[1]': a string expected, got nil" },
    { { ignore = { "C999" } }, "'ignore[1]': there is no rule 'C999'" },
    { { exclude = { {} } }, "'exclude[1]': a string expected, got table" },
    { { exclude = 1 }, "'exclude': a list expected, got number" },
    { { files = 1 }, "'files': a table expected, got number" },
    { { files = { {} } }, "'files[\"1\"]': a string expected as the key, got number" },
    { { files = { a = 1 } }, "'files[\"a\"]': a table expected, got number" },
    { { files = { a = { only = {} } } }, "'files[\"a\"].only': unknown key (ignore)" },
    { { files = { a = { ignore = { "C1" } } } }, "'files[\"a\"].ignore[1]': there is no rule 'C1'" },
  }
  for _, case in ipairs(WRONG) do
    it("are refused by their key: " .. case[2], function()
      local ok, message = pcall(lint.check, "", "x.lua", case[1])
      assert.is_false(ok)
      helpers.assert_contains("options: " .. case[2], message)
    end)
  end
end)

describe("the module", function()
  it("refuses wrong arguments", function()
    assert.error_matches(function() lint.check(1) end, "source: a string expected, got number")
    assert.error_matches(function() lint.check("", "x", 1) end, "options: a table expected, got number")
    assert.error_matches(function() lint.paths "x.lua" end, "paths: a list expected, got string")
    assert.error_matches(function() lint.format({}, "xml") end, "format: text, json or sarif expected")
  end)

  it("says where a file is no Lua", function()
    local report = lint.check("local x =\nlocal", "x.lua")
    assert.same({}, report.findings)
    assert.equal(1, #report.problems)
    local problem = report.problems[1]
    assert.same({ "x.lua", 2, 1 }, { problem.file, problem.line, problem.column })
    assert.equal("expected expression near 'local'", problem.message)
  end)

  it("has rules with ids in order and names of their own", function()
    local names, last = {}, ""
    for _, rule in ipairs(lint.rules) do
      assert.is_true(rule.id > last and not names[rule.name])
      names[rule.name], last = true, rule.id
    end
  end)
end)

describe("the format", function()
  local report = lint.check(PREFIX .. LOOP .. " -- coropanic: ignore C1", "a b/ü.lua")
  local message = report.findings[1].message

  it("text has a line for each problem and each finding", function()
    assert.equal(table.concat {
      "a b/ü.lua:2:1: ", report.problems[1].message, "\n",
      "a b/ü.lua:2:17: C103 ", message, "\n",
    }, lint.format(report, "text"))
  end)

  it("json is the report", function()
    local text = lint.format(report, "json")
    assert.same({
      findings = { { file = "a b/ü.lua", line = 2, column = 17, rule = "C103", message = message } },
      problems = { { file = "a b/ü.lua", line = 2, message = report.problems[1].message } },
      files = 1,
    }, dkjson.decode(text))
    text = lint.format(lint.check("", "x.lua"), "json")
    helpers.assert_contains('"findings":[]', text)
    helpers.assert_contains('"problems":[]', text)
  end)
end)
