--- `coropanic help`

local usage = require "coropanic.cli.usage"

local help = {
  summary = "explains a command",
  usage = "help [COMMAND]",
  details = "Lists the commands, or explains one.\n",
}

local function list(cli)
  print "usage: coropanic COMMAND ...\n"
  for _, name in ipairs(cli.COMMANDS) do
    print(("  %-8s  %s"):format(name, cli.find(name).summary))
  end
  print "\n`coropanic help COMMAND` explains one; the manual is coropanic(1)."
end

function help.main(arg)
  local cli = require "coropanic.cli"
  local name = arg[2]
  if not name then
    list(cli)
    return 0
  end
  local command = cli.find(name)
  if not command then
    usage.fail("there is no command '%s' (%s)", name, table.concat(cli.COMMANDS, ", "))
  end
  io.write(("usage: coropanic %s\n\n%s %s.\n\n"):format(command.usage, name, command.summary))
  io.write(command.details)
  return 0
end

return help
