--- The rules, in the order of their ids. A rule is a table of
---   id, name, summary
---   check  function(file, report): calls report(node, message) for each finding
--- where `file` is what lint.lua makes of a source.

local NAMES = {
  "callback", "recover", "loop_defer", "pcall", "lock", "dropped", "accept", "channel", "scope",
  "endless_defer", "self_wait", "foreign",
}

local rules = {}
for index, name in ipairs(NAMES) do rules[index] = require("coropanic.lint.rules." .. name) end
return rules
