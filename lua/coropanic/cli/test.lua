--- `coropanic test`: busted, with each test's body as the main task of a run of its own.

local usage = require "coropanic.cli.usage"

local test = {
  summary = "runs specs in busted, each test as the main task of a run of its own",
  usage = "test [--seeds N] [--] [FILE|FOLDER|OPTION OF BUSTED...]",
  details = [[
  --seeds N  runs each test under the seeds from 1 to N, each of which runs ready tasks in
             another order; COROPANIC_SEED in the environment reruns one of them

Runs the specs with busted, which must be installed (Debian: lua-busted). Without files
it takes busted's, `spec`. The body of each test runs as by `coropanic.test`: it may sleep,
spawn and join, under a virtual clock, and fails if it leaves tasks over. Tests that are
made with `require("coropanic.test").busted()` keep their own options.

What begins behind `--` is for busted: coropanic test -- --tags=slow spec

Exit status: 0 if all tests passed, else 1.
]],
}

local MISSING = "coropanic test needs busted, of Debian's package lua-busted or of luarocks' rock busted\n"

--- busted names itself after the chunk that calls it. Not a tail call: it looks for that chunk on the stack.
local RUNNER = [[
require("busted.runner")({ standalone = false })
return 0
]]

--- What busted calls when it is ready for subscribers: the body of each test that is about to run is wrapped.
---@param options coropanic.test.options
function test.wrap_all(options)
  local wrap = require("coropanic.test").wrap
  require("busted").subscribe({ "test", "start" }, function(element)
    element.run = wrap(options, element.run)
    return nil, true -- other subscribers have their turn
  end)
end

function test.main(arg)
  local options, first = usage.options(arg, 2, { seeds = "count" })
  if not pcall(require, "busted.runner") then
    io.stderr:write(MISSING)
    return usage.STATUS
  end
  local wrap_all = ('require("coropanic.cli.test").wrap_all { seeds = %s }'):format(options.seeds)
  -- Without --ignore-lua a project's .busted may make busted start another Lua.
  _G.arg = table.move(arg, first, #arg, 4, { [0] = "coropanic test", "--ignore-lua", "-e", wrap_all })
  return assert(load(RUNNER, "@coropanic test"))()
end

return test
