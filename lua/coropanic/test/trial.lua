--- One run of a test's body, as the main task, under one seed.

local co = require "coropanic"
local failure = require "coropanic.test.failure"
local order = require "coropanic.test.order"

local trial = {}

--- The rounds in which a body's tasks must end once it has returned. Time stands still meanwhile; a task that
--- yields for ever is cut off after them.
local SETTLE_ROUNDS = 100

--- `task 3 "reader" waiting on sleep at file.lua:12, spawned at file.lua:8`
---@param task any  # a task, or an entry of a record's `parked`: they have the same fields
local function described(task, status)
  local waits_on = task.waiting_on
  return ('task %d "%s" %s%s%s, spawned at %s'):format(
    task.id,
    task.name,
    status,
    waits_on and " on " .. tostring(waits_on) or "",
    task.where ~= "?" and " at " .. task.where or "",
    task.spawned_at)
end

local function list_of(tasks)
  local lines = {}
  for i, task in ipairs(tasks) do
    lines[i] = "\n\t" .. described(task, task:status())
  end
  return table.concat(lines)
end

--- Returns the text of a deadlock of the whole run. Its report is of no use: its stack is that of the caller
--- of `co.run`.
local function text_of_deadlock(record)
  local lines = { record.message }
  for _, parked in ipairs(record.parked) do
    lines[#lines + 1] = "\t" .. described(parked, "waiting")
  end
  if record.parked.omitted then
    lines[#lines + 1] = ("\t... %d more"):format(record.parked.omitted)
  end
  return table.concat(lines, "\n")
end

--- Returns the live tasks that `chosen` accepts.
local function tasks_that(chosen)
  local tasks = {}
  for _, task in ipairs(co.tasks()) do
    if chosen(task) then
      tasks[#tasks + 1] = task
    end
  end
  return tasks
end

--- Lets all tasks run that need no time to pass: a sleep of 0 seconds ends after the ready tasks have run.
local function settle()
  for _ = 1, SETTLE_ROUNDS do
    co.sleep(0)
    if co.timeout() ~= 0 then
      return
    end
  end
end

--- Returns a text about the tasks that a body has left, and the functions that wait for a context's end; nil
--- if there are none.
local function text_of_left_over(tasks, afters)
  local parts = {}
  if #tasks > 0 then
    local count = #tasks == 1 and "1 task is" or ("%d tasks are"):format(#tasks)
    parts[1] = count .. " left over when the test's body has returned:" .. list_of(tasks)
  end
  if afters > 0 then
    local many = ("%d functions of ctx:after are"):format(afters)
    local count = afters == 1 and "1 function of ctx:after is" or many
    parts[#parts + 1] = count .. " left over when the test's body has returned: end the context, or call "
      .. "what ctx:after returned"
  end
  return parts[1] and table.concat(parts, "\n")
end

--- Ends the run, which then cancels every other task.
local function end_run(main)
  main:cancel "the test has ended"
  co.yield()
end

--- The task that watches the test's time.
local function watch(state, seconds, main)
  co.sleep(seconds)
  local self = co.current()
  local tasks = tasks_that(function(task) return task ~= self end)
  state.late = ("the test has not ended after %g seconds; tasks:%s"):format(seconds, list_of(tasks))
  main:cancel "the test's time is up"
end

local function main(state, options, body, ...)
  local self = co.current()
  local watchdog = options.timeout
    and co.spawn_with({ name = "test timeout", daemon = true }, watch, state, options.timeout, self)
  co.call(body, ...) -- a frame, so that the body's deferred calls are part of it
  if watchdog then
    watchdog:cancel()
  end
  settle()
  local left_over = tasks_that(function(task)
    return task ~= self and (options.daemons == "fail" or not task.daemon)
  end)
  local afters = co.stats().afters - state.afters
  if options.leftovers == "fail" then
    state.left_over = text_of_left_over(left_over, afters)
  end
  if #left_over == 0 then
    return
  end
  state.over = true
  end_run(self)
end

--- Returns the failures of a run that has ended; the likeliest cause of the others comes first.
local function failures_of(state, record, place)
  local failures = {}
  local function add(value)
    failures[#failures + 1] = value
  end
  local is_deadlock = record and record.parked
  local is_ours = record and record.kind == "cancelled" and (state.late or state.over)
  local panicked = record and not is_deadlock and not is_ours and failure.of(record, place)
  if panicked and not state.late then
    add(panicked)
  end
  -- A task that waits for ever may do so because another one has panicked.
  for _, panic in ipairs(state.panics) do
    add(failure.of(panic, place))
  end
  local stuck = state.late or state.left_over or is_deadlock and text_of_deadlock(record)
  if stuck then
    add(failure.at(place, stuck))
  end
  if panicked and state.late then
    add(panicked)
  end
  return failures
end

--- Runs the body. Raises only if `co.run_with` can not be called here.
---@param options table  # checked
---@param seed integer?
---@param place string  # "file.lua:12", of the body
---@return any failure  # nil: the body has passed
---@return string[] notes  # about other failures
function trial.run(options, seed, place, body, ...)
  local state = { panics = {}, afters = co.stats().afters }
  local stop_order = order.begin()
  local ok, record = pcall(co.run_with, {
    clock = options.clock,
    seed = seed,
    unhandled = function(panic)
      if panic.kind ~= "warning" or options.order == "fail" then table.insert(state.panics, panic) end
    end,
  }, main, state, options, body, ...)
  stop_order()
  if not ok and type(record) == "string" then
    error(record, 0)
  end
  local failures = failures_of(state, not ok and record or nil, place)
  local first = table.remove(failures, 1)
  if failure.is_pass(first) then
    return nil, {}
  end
  local notes = {}
  for i, other in ipairs(failures) do
    notes[i] = "\nalso: " .. failure.text(other)
  end
  return first, notes
end

return trial
