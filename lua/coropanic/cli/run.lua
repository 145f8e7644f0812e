--- `coropanic run`: runs a script as the main task.

local co = require "coropanic"
local signal = require "coropanic.cli.signal"
local tracer = require "coropanic.cli.tracer"
local usage = require "coropanic.cli.usage"

local run = {
  summary = "runs a Lua script as the main task",
  usage = "run [--trace] [--seed N] [--] SCRIPT [ARGUMENT...]",
  details = [[
  --trace   prints spans, their events and panics to stderr while the script runs
  --seed N  runs ready tasks in a random order, the same for the same N

The script has `arg` and `...` as under lua. It may sleep, spawn and join at once. The
command ends when every task that is no daemon has ended.

Ctrl-C cancels the main task, and the deferred calls of all tasks run; a second one kills.
SIGQUIT (Ctrl-\) prints the stacks of all tasks to stderr, and the script goes on.

Exit status: 0 if the main task returned; 2 if it panicked, was cancelled or all tasks are
asleep, with the record on stderr; 1 if there is no such script or it does not compile; or
what the script gives os.exit.
]],
}

--- The exit status of a main task that did not return.
local PANIC_STATUS = 2

--- Makes `arg` what it would be if lua itself ran the script: the script is arg[0].
local function shift(arg, script)
  local shifted = {}
  for index, text in pairs(arg) do
    shifted[index - script] = text
  end
  return shifted
end

local function print_dump()
  local count = #co.tasks()
  io.stderr:write(("SIGQUIT: %d %s\n\n%s\n"):format(count, count == 1 and "task" or "tasks", co.dump()))
end

--- Returns the exit status for the record of a main task that did not return, and writes the record.
local function report(record)
  if record.source == "interrupt" then
    io.stderr:write("coropanic: ", record.message, "\n")
    signal.default_interrupt()
    return 1 -- the status with which an interrupted process dies of SIGINT
  end
  io.stderr:write(tostring(record), "\n")
  return PANIC_STATUS
end

function run.main(arg)
  local options, script = usage.options(arg, 2, { trace = "flag", seed = "integer" })
  if not arg[script] then
    usage.fail "SCRIPT is missing"
  end
  local chunk, message = loadfile(arg[script])
  if not chunk then
    io.stderr:write("coropanic: ", message, "\n")
    return usage.STATUS
  end
  _G.arg = shift(arg, script)
  signal.on_quit(print_dump)
  local stop = options.trace and tracer.start(io.stderr)
  local ok, record = pcall(co.run_with, { seed = options.seed }, chunk, table.unpack(_G.arg))
  if stop then
    stop()
  end
  return ok and 0 or report(record)
end

return run
