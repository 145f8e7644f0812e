--- A job that runs again and again: at fixed times that do not drift, one run at a time, each under a trace
--- of its own and within a time-out. If a run takes too long, those that it has missed are left out. If one
--- panics, its record is handed over, and the next one runs.

local co = require "coropanic"

---@class every.options
---@field name string
---@field seconds number  # from the start of one run to the start of the next
---@field timeout number  # for each run
---@field failed fun(record: coropanic.record)  # gets panics and time-outs

--- Runs the job until the returned task is cancelled.
---@param options every.options
---@param job fun()
---@return coropanic.task
local function every(options, job)
  local function run_once()
    local ok, in_time, record = co.pcall(co.with_timeout, options.timeout, job)
    if not ok then
      options.failed(in_time)
    elseif not in_time then
      options.failed(record)
    end
  end

  return co.spawn_with({ name = options.name, daemon = true }, function()
    local start, run = co.now(), 0
    while true do
      -- The next time that lies ahead: those that have passed meanwhile are left out.
      run = math.max(run + 1, math.ceil((co.now() - start) / options.seconds))
      co.sleep(start + run * options.seconds - co.now())
      co.trace.continue({}, run_once) -- without headers: a new trace
    end
  end)
end

-- An example -----------------------------------------------------------------------------------------------

local function say(...)
  print(("%2d s:"):format(co.now()), ...)
end

local takes = { 1, 1, 25, 1, 60 } -- seconds that the runs of the job take

local function clean_up()
  local run = table.remove(takes, 1)
  if not run then
    error("nothing left to clean", 0)
  end
  say("begins")
  co.sleep(run)
  say("cleaned up")
end

-- With the virtual clock the example needs no time. A real program calls co.run.
co.run_with({ clock = "virtual" }, function()
  local traces, count = {}, 0
  local options = { name = "clean-up", seconds = 10, timeout = 30 }
  function options.failed(record)
    say(record.kind, record.message)
    if not traces[record.trace_id] then
      traces[record.trace_id], count = true, count + 1
    end
  end
  local task = every(options, clean_up)
  co.sleep(115)
  task:cancel()
  task:join()
  say(("stopped: %s, failures under %d traces"):format(task:status(), count))
end)
