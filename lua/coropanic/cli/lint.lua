--- `coropanic lint`: finds mistakes before the program runs.

local usage = require "coropanic.cli.usage"

local lint = {
  summary = "finds mistakes in the use of coropanic without running the program",
  usage = "lint [--format text|json|sarif] [--] FILE|FOLDER...",
  details = [[
  --format text   a line for each finding: FILE:LINE:COLUMN: RULE what is wrong (the default)
  --format json   one JSON object with `findings` and `problems`
  --format sarif  SARIF 2.1.0, for code hosts and editors

Looks at Lua files, and at all Lua files in folders, with the parser of luacheck, which must
be installed (Debian: lua-check). The rules are in docs/lint.md. This comment silences a rule
on its line, or alone on a line on the next:  -- coropanic: ignore C103: why
`.coropanic-lint.lua` in the current folder has settings.

Exit status: 0 if nothing was found; 1 if something was; 2 if the command was called wrongly,
a file can not be read or is no Lua, or luacheck is missing.
]],
  usage_status = 2,
}

local FAILED, FOUND = 2, 1

local function report_problem(problem)
  io.stderr:write("coropanic lint: ", problem, "\n")
  return FAILED
end

function lint.main(arg)
  local options, index = usage.options(arg, 2, { format = { "text", "json", "sarif" } })
  if not arg[index] then usage.fail "FILE or FOLDER is missing" end
  local ok, problem = require("coropanic.lint.parser").load()
  if not ok then return report_problem(problem) end
  local module = require "coropanic.lint"
  local settings, wrong = module.load_config()
  if not settings then return report_problem(wrong) end
  local report = module.paths(table.move(arg, index, #arg, 1, {}), settings)
  local format = options.format or "text"
  io.stdout:write(module.format(report, format))
  local count = #report.findings
  if format == "text" and count > 0 then
    io.stdout:flush() -- before what follows on a terminal or in a log of both
    io.stderr:write(("coropanic lint: %d %s\n"):format(count, count == 1 and "finding" or "findings"))
  end
  if #report.problems > 0 then return FAILED end
  return count > 0 and FOUND or 0
end

return lint
