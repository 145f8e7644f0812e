--- SARIF 2.1.0, which code hosts and editors read.

local json = require "coropanic.debug.json"

local SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
local HELP = "https://github.com/coropanic/coropanic/blob/main/docs/lint.md#"

--- A path as a URI: relative to where the command ran, or of a file.
local function uri_of(path)
  local uri = path:gsub("^%./", ""):gsub("[^%w%-%._~/]", function(c) return ("%%%02X"):format(c:byte()) end)
  return uri:find "^/" and "file://" .. uri or uri
end

local function location(of)
  local physical = { artifactLocation = { uri = uri_of(of.file) } }
  if of.line then physical.region = { startLine = of.line, startColumn = of.column or 1 } end
  return { physicalLocation = physical }
end

local function describe(rules)
  local described, index_of = {}, {}
  for index, rule in ipairs(rules) do
    index_of[rule.id] = index - 1
    described[index] = {
      id = rule.id, name = rule.name, shortDescription = { text = rule.summary },
      helpUri = HELP .. rule.id:lower(), defaultConfiguration = { level = "warning" },
    }
  end
  return described, index_of
end

---@param report coropanic.lint.report
---@param rules table[]
---@return string
return function(report, rules)
  local described, index_of = describe(rules)
  local results, notifications = {}, {}
  for index, finding in ipairs(report.findings) do
    results[index] = {
      ruleId = finding.rule, ruleIndex = index_of[finding.rule], level = "warning",
      message = { text = finding.message }, locations = json.list { location(finding) },
    }
  end
  for index, problem in ipairs(report.problems) do
    notifications[index] = {
      level = "error", message = { text = problem.message }, locations = json.list { location(problem) },
    }
  end
  return json.encode {
    ["$schema"] = SCHEMA,
    version = "2.1.0",
    runs = json.list {
      {
        tool = {
          driver = {
            name = "coropanic lint", informationUri = HELP:gsub("#$", ""), rules = json.list(described),
          },
        },
        columnKind = "unicodeCodePoints",
        results = json.list(results),
        invocations = json.list {
          {
            executionSuccessful = #report.problems == 0,
            toolExecutionNotifications = json.list(notifications),
          },
        },
      },
    },
  } .. "\n"
end
