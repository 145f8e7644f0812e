--- What the recorder knows of one task, for /task/ID: its last events, and its spans.

local co = require "coropanic"
local json = require "coropanic.debug.json"

local history = {}

local MAX_EVENTS = 64 -- that are told
local LOOK = 1024 -- events of the task in which its spans are searched
local MAX_SPANS = 32

--- Returns the spans that begin in these events of one task, the oldest first.
local function spans_of(events)
  local all, by_number = {}, {}
  for _, event in ipairs(events) do
    if event.what == "span_begin" then
      local span = { name = event.text or "?", age_ms = event.age_ms, status = "open" }
      all[#all + 1], by_number[event.span] = span, span
    elseif event.what == "span_end" and by_number[event.span] then
      local span = by_number[event.span]
      span.status, span.stop = event.text, event.age_ms
    end
  end
  return all
end

--- Returns the last spans and events of a task; nil: nothing is recorded.
---@param id integer
---@param now number  # seconds since 1970
---@return table[]? spans, table[]? events
function history.of(id, now)
  local recorder = co.recorder()
  if not recorder then return nil end
  local all = recorder:last(id, LOOK)
  local spans, events = json.list {}, json.list {}
  local found = spans_of(all)
  for i = math.max(1, #found - MAX_SPANS + 1), #found do
    local span = found[i]
    spans[#spans + 1] = {
      name = span.name, status = span.status, start = now - span.age_ms / 1000,
      duration = (span.age_ms - (span.stop or 0)) / 1000,
    }
  end
  for i = math.max(1, #all - MAX_EVENTS + 1), #all do events[#events + 1] = all[i] end
  return spans, events
end

return history
