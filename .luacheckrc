std = "lua54"
max_line_length = 110
files["spec"] = { std = "+busted" }
-- Declarations alone: functions without a body, in tables that nothing reads.
files["lua/coropanic/meta*"] = { ignore = { "212", "241" } }
files["lua/coropanic/meta/*"] = { ignore = { "212", "241" } }
exclude_files = { "build", "spec/vendor" }
