--- Breaks a supplier of a running gateway for a while, then its connections to Redis, and tells what became
--- of the requests meanwhile: by the answers, by the gateway's metrics, and by its reports on stderr.
--- Usage: outage.lua GATEWAY_URL EXPLORER_URL REDIS_PORT DIRECTORY
--- The directory has the gateway's `stdout` and `stderr`. The gateway is to have served nothing before, and
--- is shut down in the end. Ends with status 1 and says what is wrong, if anything is.

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local cjson = require "cjson"
local co = require "coropanic"
local evidence = require "evidence"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "coropanic.socket"

local BROKEN = "bolt"
local SUPPLIERS = { "acme", "bolt", "crow" }
local AT_ONCE = 10       -- requests of a burst
local MAX_BURSTS = 20    -- until the breaker opens
local MAX_TRIES = 200    -- until it is closed again, and until the gateway has ended
local PAUSE_SECONDS = 0.05
local BUDGET = { ratio = 0.1, minimum = 10, window = 9 } -- suppliers.lua's; it forgets from 9 seconds on

local gateway, explorer, redis_port, directory = arg[1], arg[2], arg[3], arg[4]
local run = evidence.open(directory)

-- Asking -------------------------------------------------------------------------------------------------

---@return integer|string status, string body
local function request(method, url)
  local parts = {}
  local ok, status = http.request {
    url = url, method = method, headers = { authorization = "Bearer alice" },
    sink = ltn12.sink.table(parts), create = socket.tcp,
  }
  return ok and status or tostring(status), table.concat(parts)
end

local function ask(method, path)
  local status, body = request(method, gateway .. path)
  run:expect(status == 200, "%s %s: answered %s %s", method, path, status, (body:gsub("%s+$", "")))
  return status == 200 and cjson.decode(body) or {}
end

--- Sends so many requests at once.
---@return table[] answers
local function burst(path, count)
  local answers = {}
  co.scope(function(scope)
    for i = 1, count do
      scope:spawn(function() answers[i] = ask("GET", path) end)
    end
  end)
  return answers
end

--- The gateway's metrics: figures("breaker_state", "bolt", "open") is coropanic_breaker_state{breaker="bolt",
--- state="open"}.
---@return fun(name: string, policy: string, value: string?): number
local function read_metrics()
  local values = {}
  local _, text = request("GET", explorer .. "metrics")
  for name, labels, value in text:gmatch "\ncoropanic_([%w_]+){([^}]*)} (%S+)" do
    local policy, second = labels:match '^[%w_]+="([^"]*)",?(.*)$'
    values[name .. " " .. policy .. " " .. (second:match '="([^"]*)"' or "")] = tonumber(value)
  end
  return function(name, policy, value) return values[("%s %s %s"):format(name, policy, value or "")] or 0 end
end

-- What happens -------------------------------------------------------------------------------------------

local sent, fallbacks, trace_ids = 0, 0, {}

---@param answers table[]
---@return { fresh: integer, of_broken: integer, fallback: integer }
local function count(answers)
  local counts = { fresh = 0, of_broken = 0, fallback = 0 }
  for _, answer in ipairs(answers) do
    sent = sent + 1
    for _, name in ipairs(answer.offers and SUPPLIERS or {}) do -- `ask` has told what was no answer
      run:expect(answer.offers[name], "trace %s: no offer of %s", answer.trace_id, name)
    end
    local kind = answer.fallback and "fallback" or answer.stale and "of_broken" or "fresh"
    if answer.offers then counts[kind] = counts[kind] + 1 end
    if kind == "fallback" then
      fallbacks = fallbacks + 1
      trace_ids[answer.trace_id] = true
    end
  end
  return counts
end

local function tell(answers, what)
  local counts = count(answers)
  print(("%5d  %-42s %5d %9d %9d"):format(#answers, what, counts.fresh, counts.of_broken, counts.fallback))
  return counts
end

local function while_all_answer(what)
  local counts = tell(burst("/offers/42", 2 * AT_ONCE), what)
  run:expect(counts.fresh == 2 * AT_ONCE, "%s: %d answers are not fresh", what, 2 * AT_ONCE - counts.fresh)
end

local function until_open()
  local answers = {}
  for _ = 1, MAX_BURSTS do
    for _, answer in ipairs(burst("/offers/42", AT_ONCE)) do answers[#answers + 1] = answer end
    if read_metrics()("breaker_opened_total", BROKEN) > 0 then break end
  end
  local counts = tell(answers, BROKEN .. " does not answer any more")
  run:expect(counts.fallback > 0, "the boundary has not tripped")
  run:expect(read_metrics()("breaker_opened_total", BROKEN) > 0, "the breaker has not opened")
end

local function while_open()
  local before = read_metrics()("breaker_refused_total", BROKEN)
  local counts = tell(burst("/offers/42", 3 * AT_ONCE), "the breaker is open")
  run:expect(counts.of_broken > 0, "no answer has the last offers of %s alone", BROKEN)
  run:expect(read_metrics()("breaker_refused_total", BROKEN) > before, "the breaker has refused nothing")
end

local function until_closed()
  local answers = {}
  for _ = 1, MAX_TRIES do
    answers[#answers + 1] = burst("/offers/42", 1)[1]
    if read_metrics()("breaker_state", BROKEN, "closed") == 1 then break end
    co.sleep(PAUSE_SECONDS)
  end
  tell(answers, BROKEN .. " answers again, until it is closed")
  run:expect(read_metrics()("breaker_state", BROKEN, "closed") == 1, "the breaker has not closed")
end

local function cut_redis()
  local connection = assert(socket.connect("127.0.0.1", tonumber(redis_port)))
  connection:send "CLIENT KILL TYPE normal\r\n"
  connection:receive "*l"
  connection:close()
  local right = 0
  for _, answer in ipairs(burst("/quote/42", AT_ONCE)) do
    if answer.cents == 394 then right = right + 1 end
  end
  print(("%5d  %-42s %5d"):format(AT_ONCE, "quotes; Redis' connections were cut", right))
end

-- What it was --------------------------------------------------------------------------------------------

local function judge_answers(figures)
  local runs, trips = figures("boundary_runs_total", "offers"), figures("boundary_trips_total", "offers")
  local opened, refused = figures("breaker_opened_total", BROKEN), figures("breaker_refused_total", BROKEN)
  run:expect(runs == sent, "the boundary has run %d times, not %d", runs, sent)
  run:expect(trips == fallbacks and figures("boundary_fallbacks_total", "offers") == fallbacks,
    "%d trips and %d fallbacks, but %d answers were such", trips,
    figures("boundary_fallbacks_total", "offers"), fallbacks)
  print(("\nThe boundary tripped in %d of %d requests: each got the last offers, and was reported once.")
    :format(trips, runs))
  print(("The breaker of %s has opened (%d times), refused %d questions, and is closed again.")
    :format(BROKEN, opened, refused))
end

local function judge_amplification(figures, seconds)
  local calls, extra = figures("budget_calls_total", "suppliers"), figures("budget_extra_total", "suppliers")
  local allowed = math.floor(math.max(BUDGET.minimum, BUDGET.ratio * calls) * (1 + seconds // BUDGET.window))
  run:expect(extra <= allowed, "%d questions were asked again, but %d are allowed", extra, allowed)
  run:expect(figures("budget_denied_total", "suppliers") > 0, "the budget has denied nothing")
  print(("Of %d questions %d were asked again, by retries and hedges. Their budget allows %d, and denied %d.")
    :format(calls, extra, allowed, figures("budget_denied_total", "suppliers")))
  return calls + extra
end

--- Each question is in the books of its supplier, of its bulkhead and of its breaker.
local function judge_books(figures, ledger, most)
  local asked, answered, given_up, refused = 0, 0, 0, 0
  for _, name in ipairs(SUPPLIERS) do
    local own = ledger[name]
    local function bulkhead(outcome) return figures("bulkhead_calls_total", name, outcome) end
    run:expect(own.asked == own.answered + own.given_up, "%s: asked %d times, answered %d, given up %d", name,
      own.asked, own.answered, own.given_up)
    local others = bulkhead "failed" + bulkhead "cancelled"
    run:expect(own.answered == bulkhead "ok" and own.given_up == others,
      "the bulkhead of %s counts %d answers and %d others, not %d and %d", name, bulkhead "ok", others,
      own.answered, own.given_up)
    run:expect(figures("bulkhead_running", name) + figures("bulkhead_waiting", name) == 0,
      "the bulkhead of %s is not empty", name)
    run:expect(figures("breaker_state", name, "closed") == 1, "the breaker of %s is not closed", name)
    asked, answered, given_up = asked + own.asked, answered + own.answered, given_up + own.given_up
    refused = refused + figures("breaker_refused_total", name)
  end
  run:expect(asked + refused <= most, "%d questions and %d refusals are more than %d", asked, refused, most)
  print(("Suppliers were asked %d times: %d answers, %d given up. The bulkheads count the same, now empty.")
    :format(asked, answered, given_up))
end

--- Shuts the gateway down, and waits until it has ended.
---@return table counts  # what it still had then
local function shut_down()
  request("POST", gateway .. "/shutdown")
  for _ = 1, MAX_TRIES do
    local ended = run:read("stdout"):match "\nended: ([^\n]*)\n"
    if ended then return cjson.decode(ended) end
    co.sleep(PAUSE_SECONDS)
  end
  return {}
end

--- One report for each trip, one for each restart, and no others. A supervisor's child may be joined as long
--- as it is known; so the report of the last one comes at the end.
local function judge_reports(restarts)
  local reports, of_children = run:reports(), 0
  for id in pairs(trace_ids) do
    local found = reports[id] or {}
    run:expect(#found == 1, "trace %s: %d reports of its time-outs", id, #found)
    reports[id] = nil
  end
  for id, found in pairs(reports) do
    local is_child = found[1]:find('task %d+ "gateway/tokens"')
    run:expect(is_child and #found == 1, "trace %s: reported is\n%s", id, found[1])
    of_children = of_children + 1
  end
  run:expect(restarts == of_children, "%d restarts, %d reports of them", restarts, of_children)
end

local function judge_end(figures)
  local ended = shut_down()
  run:expect(ended.tasks == 0 and ended.connections == 0 and ended.slots_in_use == 0,
    "at its end the gateway had %s tasks, %s connections and %s slots in use", ended.tasks, ended.connections,
    ended.slots_in_use)
  local restarts = figures("supervisor_restarts_total", "gateway")
  run:expect(restarts > 0, "the supervisor has restarted nothing")
  run:expect(figures("supervisor_running", "gateway") == 2, "%d children run, not 2",
    figures("supervisor_running", "gateway"))
  judge_reports(restarts)
  print(("The supervisor restarted what keeps Redis' connections (%d times); it was reported as often.")
    :format(restarts))
  print "At the end no task, connection or slot was left."
end

local function main()
  local began = co.now()
  print(" sent  offers, while                              fresh last of " .. BROKEN .. "  all last")
  while_all_answer "all suppliers answer"
  ask("POST", "/suppliers/" .. BROKEN .. "/down")
  until_open()
  while_open()
  ask("POST", "/suppliers/" .. BROKEN .. "/up")
  until_closed()
  while_all_answer "it is closed"
  local seconds = co.now() - began
  cut_redis()
  local figures = read_metrics()
  judge_answers(figures)
  local most = judge_amplification(figures, seconds)
  judge_books(figures, ask("GET", "/stats").suppliers or {}, most)
  judge_end(figures)
end

co.run(main)
if #run.faults > 0 then
  local faults = table.concat(run.faults, "\n  - ")
  print(("\nBut that is not all true; %d faults:\n  - %s"):format(#run.faults, faults))
  os.exit(false)
end
