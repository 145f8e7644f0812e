--- `coropanic version`

local co = require "coropanic"
local usage = require "coropanic.cli.usage"

local version = {
  summary = "prints the version",
  usage = "version",
  details = "Prints the version of coropanic and that of Lua.\n",
}

function version.main(arg)
  if arg[2] then
    usage.fail("unexpected argument '%s'", arg[2])
  end
  print(("coropanic %s, %s"):format(co._VERSION, _VERSION))
  return 0
end

return version
