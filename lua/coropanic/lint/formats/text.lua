--- A line for each finding, as compilers write them.

local function place(of)
  if not of.line then return of.file end
  return ("%s:%d:%d"):format(of.file, of.line, of.column or 1)
end

---@param report coropanic.lint.report
---@return string
return function(report)
  local lines = {}
  for _, problem in ipairs(report.problems) do
    lines[#lines + 1] = ("%s: %s\n"):format(place(problem), problem.message)
  end
  for _, finding in ipairs(report.findings) do
    lines[#lines + 1] = ("%s: %s %s\n"):format(place(finding), finding.rule, finding.message)
  end
  return table.concat(lines)
end
