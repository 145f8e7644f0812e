--- `coropanic trace`: converts what `co.record` has recorded.

local usage = require "coropanic.cli.usage"

local trace = {
  summary = "converts a recorder's file for other tools",
  usage = "trace --to go|chrome|text [--last N] FILE",
  details = [[
  --to go      an execution trace for `go tool trace` (Go 1.19)
  --to chrome  JSON for chrome://tracing, Perfetto and speedscope
  --to text    a line for each event
  --last N     only the last N events: viewers are slow with large files

FILE was made by recorder:dump or recorder:snapshot. The result goes to stdout.

Exit status: 0; or 1 if the file can not be read, or is not one of a recorder.
]],
}

--- Writes a problem to stderr. Returns the exit status.
local function report(message)
  io.stderr:write(("coropanic trace: %s\n"):format(message))
  return usage.STATUS
end

--- Writes to stdout. Raises a message if that fails, or the file is damaged.
local function convert(dump, format)
  require("coropanic.record." .. format).convert(dump, function(piece)
    local ok, message = io.stdout:write(piece)
    if not ok then error(message, 0) end
  end)
  local ok, message = io.stdout:flush()
  if not ok then error(message, 0) end
end

function trace.main(arg)
  local options, index = usage.options(arg, 2, { to = { "go", "chrome", "text" }, last = "count" })
  if not options.to then usage.fail "--to is missing" end
  local path = arg[index]
  if not path then usage.fail "FILE is missing" end
  if arg[index + 1] then usage.fail("unexpected argument '%s'", arg[index + 1]) end
  local reader = require "coropanic.record.reader"
  local ok, dump, message = pcall(reader.read, path)
  if not ok then return report(("%s: %s"):format(path, dump)) end
  if not dump then return report(message) end
  if options.last then dump:keep_last(options.last) end
  local converted, why = pcall(convert, dump, options.to)
  return converted and 0 or report(why)
end

return trace
