--- Routes to what other tools read: pprof, `go tool trace`, Prometheus, and whoever wants numbers in JSON.

local co = require "coropanic"
local http = require "coropanic.debug.http"
local json = require "coropanic.debug.json"

local tools = {}

local BYTES = "application/octet-stream"
local MAX_SECONDS = 300
local MAX_EVENTS = 1000 -- of /events
local SOME_EVENTS = 200 -- unless the request says how many
local PIECES = 64 -- of a conversion, between two of which other tasks run

-- Names under /debug/pprof/, as Go has them where it has the same: the kind of profile, and the seconds
-- unless the request says how many.
local PROFILES = {
  profile = { kind = "cpu", seconds = 30 },
  wait = { kind = "wait", seconds = 5 },
  alloc = { kind = "alloc", seconds = 5 },
  tasks = { kind = "tasks", seconds = 0 },
}

-- What /debug/trace can be asked for, and the content type of the answer.
local FORMATS = {
  events = BYTES, go = BYTES, chrome = "application/json", text = "text/plain; charset=utf-8",
}

local function attachment(body, name, content_type)
  local response = http.text(200, body, content_type or BYTES)
  response.headers["Content-Disposition"] = ('attachment; filename="%s"'):format(name)
  return response
end

-- Profiles --------------------------------------------------------------------------------------------------

local function answer_profile(_, request, name)
  local wanted = PROFILES[name]
  if not wanted then return http.refuse(404, "the profiles are profile, wait, alloc and tasks") end
  local seconds, refusal = http.number(request, "seconds", MAX_SECONDS, wanted.seconds)
  if not seconds then return refusal end
  local ok, made = co.pcall(co.profile.take, wanted.kind, seconds)
  if not ok then return http.refuse(made.message:find "runs already" and 409 or 503, made.message) end
  return attachment(made, name .. ".pb")
end

local function answer_profiles()
  return http.text(200, "profile?seconds=30\nwait?seconds=5\nalloc?seconds=5\ntasks\n")
end

-- Events ----------------------------------------------------------------------------------------------------

local OFF = "nothing is recorded: call co.record, or ask /debug/trace with ?seconds=5"

--- Returns what is recorded after so many seconds; records meanwhile, if nobody else does.
local function record_for(seconds)
  local recorder = co.recorder()
  if not recorder then
    recorder = co.record()
    co.defer(recorder.stop, recorder)
  end
  co.sleep(seconds)
  return recorder:snapshot()
end

--- Converts a dump, and lets other tasks run meanwhile.
local function convert(bytes, format)
  if format == "events" then return bytes end
  local pieces, count = {}, 0
  local dump = require("coropanic.record.reader").parse(bytes)
  require("coropanic.record." .. format).convert(dump, function(piece)
    count = count + 1
    pieces[count] = piece
    if count % PIECES == 0 and co.current() then co.yield() end
  end)
  return table.concat(pieces)
end

local function answer_trace(_, request)
  local format = http.parameter(request.query, "format") or "go"
  if not FORMATS[format] then return http.refuse(400, "'format' is to be go, chrome, text or events") end
  local seconds, refusal = http.number(request, "seconds", MAX_SECONDS, 0)
  if not seconds then return refusal end
  local recorder = co.recorder()
  if not recorder and seconds == 0 then return http.refuse(409, OFF) end
  local bytes = seconds > 0 and co.call(record_for, seconds) or recorder:snapshot()
  return attachment(convert(bytes, format), "trace." .. format, FORMATS[format])
end

local function answer_events(_, request)
  local last, refusal = http.number(request, "last", MAX_EVENTS, SOME_EVENTS)
  if not last then return refusal end
  local recorder = co.recorder()
  if not recorder then return http.refuse(409, OFF) end
  local dump = require("coropanic.record.reader").parse(recorder:snapshot())
  dump:keep_last(math.floor(last))
  local events = {}
  for event in dump:events() do events[#events + 1] = event end
  events = { table.unpack(events, math.max(1, #events - math.floor(last) + 1)) } -- one in the file may be two
  local told = { contract = "coropanic-events-json/1", lost = dump.lost, events = json.list(events) }
  return http.text(200, json.encode(told), "application/json")
end

-- Numbers ---------------------------------------------------------------------------------------------------

local function answer_metrics(_, request)
  local accept = request.headers.accept
  if type(accept) == "table" then accept = table.concat(accept, ", ") end
  return http.text(200, require("coropanic.metrics").expose(accept))
end

--- As Go's expvar: one object with whatever is counted. The traces are counted from the first request on.
local function answer_vars()
  return http.text(200, json.encode {
    stats = co.stats(), memory_bytes = math.floor(collectgarbage "count" * 1024),
    traces = co.trace.usage(),
  }, "application/json")
end

--- Patterns of paths, and what answers them, as in coropanic.debug.routes.
tools.ROUTES = {
  { "^/debug/pprof/$", answer_profiles },
  { "^/debug/pprof/(%l+)$", answer_profile },
  { "^/debug/trace$", answer_trace },
  { "^/debug/vars$", answer_vars },
  { "^/events$", answer_events },
  { "^/metrics$", answer_metrics },
}

return tools
