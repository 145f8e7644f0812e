--- What operators see of the gateway: the Trace Explorer while it runs, and in the end the slowest request,
--- with where its time went.

local co = require "coropanic"
local explorer = require "coropanic.debug"

local MOST_TRACES = 1024 -- whose spans are kept until their request has ended
local MOST_SPANS = 128   -- kept of one trace
local MOST_LINES = 6     -- of the slowest trace's account

---@class Trace
---@field id string
---@field spans table[]  # that have ended
---@field usage table?   # by co.trace.usage

local inside = {}

local kept = {}                ---@type table<string, Trace>
local order = {}               ---@type string[]  # a ring of their ids
local count = 0                -- of traces that were ever kept
local slowest ---@type { trace: Trace, span: table }?

local function seconds_of(span) return (span.end_time - span.start_time) / 1e9 end

--- The trace of this id. A span that comes after its request has ended (an audit's) makes one that nobody
--- asks for; so the oldest are forgotten.
---@return Trace
local function trace_of(id)
  local trace = kept[id]
  if not trace then
    trace = { id = id, spans = {} }
    local place = count % MOST_TRACES + 1
    if order[place] then kept[order[place]] = nil end
    order[place] = id
    kept[id] = trace
    count = count + 1
  end
  return trace
end

--- Listens to spans: tasks are spans. That of a request says so in its attributes, and ends after those that
--- it waits for.
local function note(span)
  local trace = trace_of(span.trace_id)
  trace.usage = co.trace.usage(span.trace_id) or trace.usage
  if span.kind == "server" then return end -- it has spawned the request's task, and no more
  if not span.attributes["http.request.method"] then
    if #trace.spans < MOST_SPANS then trace.spans[#trace.spans + 1] = span end
  elseif not slowest or seconds_of(span) > seconds_of(slowest.span) then
    slowest = { trace = trace, span = span }
  end
end

--- Begins to look. Call it before the loop runs.
---@return table server  # of the Explorer; its `url` is for a browser
function inside.begin()
  co.record()
  co.trace.usage()
  co.trace.on_span(note)
  return explorer.listen { port = 0, title = "gateway" }
end

local function line(span)
  local how = span.attributes["coro.cancelled"] and ", cancelled" or span.status and ", failed" or ""
  return ("  %7.1f ms  %s%s"):format(seconds_of(span) * 1e3, span.name, how)
end

--- The account of the slowest trace, as lines; none if no request came.
---@return string[]
function inside.slowest()
  if not slowest then return {} end
  local trace = slowest.trace
  table.sort(trace.spans, function(a, b) return seconds_of(a) > seconds_of(b) end)
  local usage = trace.usage or { run_ns = 0, wait_ns = 0, tasks = 0 }
  local first = "slowest trace %s: %s took %.1f ms; its %d tasks ran for %.1f ms and waited for %.1f ms"
  local lines = {
    first:format(trace.id, slowest.span.name, seconds_of(slowest.span) * 1e3, usage.tasks, usage.run_ns / 1e6,
      usage.wait_ns / 1e6),
  }
  for i = 1, math.min(#trace.spans, MOST_LINES) do lines[#lines + 1] = line(trace.spans[i]) end
  return lines
end

return inside
