--- One JSON object: `findings` and `problems` as in the report, and how many `files` were looked at.

local json = require "coropanic.debug.json"

---@param report coropanic.lint.report
---@return string
return function(report)
  return json.encode {
    findings = json.list(report.findings), problems = json.list(report.problems), files = report.files,
  } .. "\n"
end
