--- The command `coropanic`: finds the sub-command and runs it.
---
--- A sub-command is a module `coropanic.cli.<name>`, a table of:
---   summary  what it does, in one line
---   usage    its operands and options: "run [--trace] SCRIPT"
---   details  the text that `coropanic help <name>` prints below these two
---   main     function(arg) → exit status; `arg` is Lua's, and arg[1] is the sub-command's name. Raises
---            what `usage.fail` raises, if it was called wrongly.
---  and perhaps
---   usage_status  the exit status if it was called wrongly; usage.STATUS

local usage = require "coropanic.cli.usage"

local cli = {}

--- The names of the sub-commands, in the order of the help. To add one, add its name.
cli.COMMANDS = { "run", "test", "trace", "lint", "version", "help" }

--- Other words for sub-commands, as people try them.
local ALIASES = { ["--help"] = "help", ["-h"] = "help", ["--version"] = "version", ["-v"] = "version" }

--- Returns the module of a sub-command, or nil.
---@param name string?
---@return table?
function cli.find(name)
  for _, known in ipairs(cli.COMMANDS) do
    if known == name then
      return require("coropanic.cli." .. name)
    end
  end
end

--- Runs the command with the arguments of the process.
---@param arg table<integer, string>  # as lua sets it
---@return integer status  # of the process
function cli.main(arg)
  local name = ALIASES[arg[1]] or arg[1]
  local command = cli.find(name)
  if not command then
    local problem = name and ("there is no command '%s'"):format(name) or "which command?"
    io.stderr:write(("coropanic: %s (%s)\n"):format(problem, table.concat(cli.COMMANDS, ", ")))
    return usage.STATUS
  end
  local ok, result = xpcall(command.main, usage.handler, arg)
  if ok then
    return result
  end
  if not usage.is_failure(result) then
    error(result, 0)
  end
  io.stderr:write(("coropanic %s: %s\nusage: coropanic %s\n"):format(name, result.problem, command.usage))
  return command.usage_status or usage.STATUS
end

return cli
