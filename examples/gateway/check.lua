--- Holds what the gateway answered and reported against the plan, request by request, by trace id.
--- Usage: check.lua DIRECTORY, with NNNN.answer, stats.answer, stdout and stderr in it.
--- Ends with status 1 and says what is wrong, unless everything is as planned.

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local cjson = require "cjson.safe"
local evidence = require "evidence"
local plan = require "plan"

local MAX_SHOWN = 10 -- faults

local run = evidence.open(arg[1])
local requests, kinds = plan.requests()
local reports = run:reports()

---@class Tally
---@field granted integer
---@field refused integer  # or, for kinds that are not limited, all
---@field reported integer
---@field sample { trace_id: string, answer: Answer, report: string? }?
local tally = {} ---@type table<Kind, Tally>
for _, kind in ipairs(kinds) do
  tally[kind] = { granted = 0, refused = 0, reported = 0 }
end

local seen = {} ---@type table<string, string>  # who has which trace id
local late = {} ---@type table<string, true>    # the trace ids of requests whose time ran out

---@param planned Planned
local function check_trace(planned, id, who)
  local valid = type(id) == "string" and #id == 32 and id:find("^%x+$") and id:find("[^0]")
  if not run:expect(valid, "%s: no trace id", who) then
    return
  end
  run:expect(not seen[id], "%s has the trace id %s of %s", who, id, seen[id])
  seen[id] = who
  if planned.trace_id then
    run:expect(id == planned.trace_id, "%s: sent trace id %s, got %s", who, planned.trace_id, id)
  elseif planned.kind.trace then
    run:expect(not planned.kind.trace:lower():find(id, 1, true), "%s: took over an invalid trace id", who)
  end
end

---@param planned Planned
local function check_passed_on(planned, headers, who)
  local id, parent = tostring(headers.traceparent):match("^00%-(%x+)%-(%x+)%-%x%x$")
  local continued = id == planned.trace_id and parent ~= planned.parent_id
  run:expect(continued, "%s: passes on %s", who, headers.traceparent)
  run:expect(headers.tracestate == plan.TRACESTATE, "%s: tracestate became %s", who, headers.tracestate)
end

---@param planned Planned
---@param answer Answer
local function check_answer(planned, answer, who)
  local kind = planned.kind
  local counts, code = tally[kind], answer.json.error_code
  check_trace(planned, answer.json.trace_id, who)
  if kind.granted and answer.status == 200 then
    counts.granted = counts.granted + 1
    return
  end
  counts.refused = counts.refused + 1
  run:expect(answer.status == kind.status, "%s: answered %d, not %d", who, answer.status, kind.status)
  if answer.status == 504 and answer.json.trace_id then late[answer.json.trace_id] = true end
  run:expect(kind.status < 400 or type(code) == "string", "%s: no error_code", who)
  run:expect(not kind.code or code == kind.code, "%s: error_code %s, not %s", who, code, kind.code)
  if answer.json.headers then
    check_passed_on(planned, answer.json.headers, who)
  end
end

---@param planned Planned
local function check_reports(planned, id, who)
  local kind, found = planned.kind, reports[id] or {}
  reports[id] = nil
  run:expect(#found == (kind.report and 1 or 0), "%s, trace %s: %d reports on stderr", who, id, #found)
  for _, report in ipairs(found) do
    tally[kind].reported = tally[kind].reported + 1
    run:expect(kind.report and report:find(kind.report, 1, true), "%s: reported is\n%s", who, report)
  end
  local waiting = (found[1] or ""):match("\nwaiting meanwhile:\n(.*)") or ""
  for _, pattern in ipairs(kind.waiting or {}) do
    run:expect(waiting:find(pattern), "%s: nobody like %s was waiting meanwhile", who, pattern)
  end
  return found[1]
end

for _, planned in ipairs(requests) do
  local who = planned.file .. " (" .. planned.kind.what .. ")"
  local answer = run:answer(planned.file .. ".answer")
  local id = answer.json.trace_id or planned.trace_id or "none"
  check_answer(planned, answer, who)
  local report = check_reports(planned, id, who)
  local counts = tally[planned.kind]
  if planned.kind.show and not counts.sample and answer.status == planned.kind.status then
    counts.sample = { trace_id = id, answer = answer, report = report }
  end
end
for id, found in pairs(reports) do
  run:expect(false, "trace %s: reported, but no request has it:\n%s", id, found[1])
end

local function print_row(...)
  print((("%5s  %-34s %-19s %s"):format(...):gsub("%s+$", "")))
end

print_row("sent", "asking for", "answered", "panics")
local panics, reported, malformed, refusals = 0, 0, 0, {}
for _, kind in ipairs(kinds) do
  local counts = tally[kind]
  panics = panics + (kind.panics and counts.refused or 0)
  reported = reported + counts.reported
  if kind.raw then
    malformed = malformed + kind.count
    refusals[kind.status] = (refusals[kind.status] or 0) + counts.refused
  else
    local answers = ("%d x %d"):format(counts.refused, kind.status)
    if kind.granted then
      local as_planned = counts.granted == kind.granted
      run:expect(as_planned, "%s: %d granted, not %d", kind.what, counts.granted, kind.granted)
      answers = ("%d x 200, %s"):format(counts.granted, answers)
    end
    local fate = kind.panics and ("%d %s"):format(counts.refused, kind.panics) or ""
    print_row(kind.count, kind.what, answers, fate)
  end
end
local answers = {}
for status, count in pairs(refusals) do
  answers[#answers + 1] = ("%d x %d"):format(count, status)
end
table.sort(answers)
print_row(malformed, "nothing, malformed in as many ways", table.concat(answers, ", "), "")

for _, kind in ipairs(kinds) do
  local sample = tally[kind].sample
  if sample then
    print(("\n%s, trace id %s"):format(kind.what, sample.trace_id))
    print(("  the client got %d %s"):format(sample.answer.status, (sample.answer.body:gsub("\n", ""))))
    if sample.report then
      print("  stderr has\n    | " .. sample.report:gsub("\n", "\n    | "))
    end
  end
end

local slots = run:answer("stats.answer").json.slots or {}
run:expect(slots.in_use == 0 and slots.taken == slots.given_back and slots.taken,
  "slots: %s taken, %s given back, %s in use", slots.taken, slots.given_back, slots.in_use)
local ended = cjson.decode(run:read("stdout"):match("\nended: ([^\n]*)") or "") or {}
run:expect(ended.connections == 0 and ended.tasks == 0 and ended.slots_in_use == 0,
  "at its end the gateway had %s connections, %s tasks and %s slots in use", ended.connections, ended.tasks,
  ended.slots_in_use)
-- Besides the planned requests there were GET /stats and POST /shutdown.
run:expect(ended.requests == #requests + 2, "%s requests were counted, not %d", ended.requests, #requests + 2)

local slowest = run:read("stdout"):match("\nslowest trace (%x+): [^\n]*\n  ")
run:expect(late[slowest], "the slowest trace is said to be %s, whose time did not run out", slowest)

print(("\n%d requests, up to %d quotes at a time; %d of them made a task panic or time out."):format(
  #requests, slots.peak or 0, panics))
print(("%d were recovered and answered; %d were not: each was reported once, under its request's trace id.")
  :format(panics - reported, reported))
print(("%d slots were taken and %d given back; at the end no connection, task or slot was left."):format(
  slots.taken or 0, slots.given_back or 0))
if #run.faults > 0 then
  print(("\nBut that is not all true; %d faults:"):format(#run.faults))
  for i = 1, math.min(#run.faults, MAX_SHOWN) do
    print("  - " .. run.faults[i])
  end
  os.exit(false)
end
