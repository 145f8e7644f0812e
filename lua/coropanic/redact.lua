--- Takes data out of panics before they leave the process. It is a filter on the stream of events
--- (co.observe), through which coropanic.report and coropanic.export.otlp listen.

local co = require "coropanic"
local portable = require "coropanic.portable"

local redact = {}

local hook ---@type (fun(panic: table): table | false | nil)?

--- Sets the hook. From now on it is called with each panic that leaves the process, as a table that it may
--- change: the to_table() of the record, and then each panic inside it (cause, chain, suppressed). If the
--- hook returns a table, that replaces the given one; nil keeps the given one; false suppresses the panic. If
--- the hook panics, the panic is suppressed, and stderr says so. The hook must not suspend.
---@param fn (fun(panic: table): table | false | nil)?  # nil: no redaction
---@return function?  # the previous hook
function redact.set(fn)
  if fn ~= nil and type(fn) ~= "function" then
    error(("bad argument #1 to 'set' (function or nil expected, got %s)"):format(type(fn)), 2)
  end
  local before = hook
  hook = fn
  return before
end

-- The fields by which panics are found and ordered. They are nobody's data, and stay whatever the hook does.
local IDENTITY = {
  "contract", "kind", "type", "error_code", "seq", "time", "trace_id", "trace_flags", "span_id",
}

--- Calls the hook with one panic. Returns the redacted table; nil: suppressed.
local function ask(panic)
  local identity = {}
  for _, name in ipairs(IDENTITY) do identity[name] = panic[name] end
  local left = hook(panic)
  if left == false then return nil end
  if left == nil then left = panic end
  if type(left) ~= "table" then
    error(("the hook returned a %s, and not a table, nil or false"):format(type(left)), 0)
  end
  for name, value in pairs(identity) do
    if left[name] == nil then left[name] = value end
  end
  if type(left.message) ~= "string" then left.message = "redacted" end
  return left
end

local function ask_each(list)
  for i, link in ipairs(list or {}) do
    list[i] = ask(link) or { kind = link.kind, type = link.type, message = "redacted" }
  end
end

local function redacted(panic)
  panic = ask(panic)
  if not panic then return nil end
  ask_each(panic.chain)
  ask_each(panic.suppressed)
  if type(panic.cause) == "table" then panic.cause = redacted(panic.cause) end
  return panic
end

--- Redacts a panic. If the hook panics, suppresses the panic rather than leak its data.
local function try(panic)
  local ok, result = co.pcall(redacted, panic)
  if ok then return result end
  io.stderr:write("coropanic.redact: nothing is told of a panic, since the hook panicked:\n",
    tostring(result), "\n")
  return nil
end

local function place(frame)
  local where = frame.line and ("%s:%d"):format(frame.source, frame.line) or frame.source
  return ("\t%s in %s"):format(where, frame.name or "?")
end

--- The most events that a report shows, the newest, as in tostring(record).
local EVENTS_SHOWN = 16

--- What is said of one of the last events.
local function event_text(e)
  local what = e.wait or e.reason or e.status or e.source or e.text
  local where = e.place and " at " .. tostring(e.place) or ""
  local said = what and " " .. tostring(what) or ""
  return ("-%s ns task %s %s %s%s%s"):format(e.age, e.task, e.relation, e.kind, said, where)
end

local function add_text(lines, panic, indent)
  local function add(text) lines[#lines + 1] = indent .. text end
  for _, link in ipairs(panic.chain or {}) do
    add(("%s: %s%s"):format(link.kind, link.message, link.recovered and " [recovered]" or ""))
  end
  add(("%s: %s"):format(panic.kind, panic.message))
  local task = panic.task
  local who = task and ('task %s "%s"'):format(task.id, task.name) or "outside tasks"
  add(("%s, trace %s, span %s"):format(who, panic.trace_id, panic.span_id))
  for _, frame in ipairs(panic.frames or {}) do add(place(frame)) end
  if task then add("spawned at " .. tostring(task.spawned_at)) end
  for _, ancestor in ipairs(task and task.ancestors or {}) do
    add("spawned at " .. ancestor.spawned_at)
  end
  for _, link in ipairs(panic.suppressed or {}) do
    add(("suppressed: %s: %s"):format(link.kind, link.message))
  end
  local events = panic.last_events or {}
  if #events > 0 then add "last events:" end
  for i = math.max(1, #events - EVENTS_SHOWN + 1), #events do add(event_text(events[i])) end
  if type(panic.cause) == "table" then
    add "caused by:"
    add_text(lines, panic.cause, indent .. "\t")
  end
end

--- Returns the redacted account of a record: a table like to_table(), and a report for people; nil if the
--- hook suppresses it.
---@param record coropanic.record
---@return coropanic.record.table? panic
---@return string report
function redact.account(record)
  local panic = record:to_table()
  if not hook then return panic, tostring(record) end
  panic = try(panic)
  if not panic then return nil, "" end
  local lines = {}
  add_text(lines, panic, "")
  return panic, table.concat(lines, "\n")
end

--- Returns a span, as co.trace.on_span gives it, with the redacted account of the panic that ended it.
---@param span coropanic.span
---@param record coropanic.record?
---@return coropanic.span
function redact.span(span, record)
  if not hook or span.status ~= "error" then return span end
  local told = { status_message = "redacted", events = portable.move(span.events, 1, #span.events, 1, {}) }
  local last = told.events[#told.events]
  local exception = last and last.name == "exception" and last.attributes or {}
  local panic, report
  if record then
    panic, report = redact.account(record)
  else
    local kind, message = exception["exception.type"], exception["exception.message"]
    panic = try { kind = "error", type = kind, message = message, error_code = kind }
  end
  if panic then told.status_message = panic.message end
  if last and last.name == "exception" then
    told.events[#told.events] = setmetatable({ attributes = {
      ["exception.type"] = panic and panic.error_code or "redacted",
      ["exception.message"] = told.status_message,
      ["exception.stacktrace"] = report,
    } }, { __index = last })
  end
  return setmetatable(told, { __index = span })
end

local IS_OF_RECORD = { panic = true, recover = true, unhandled = true }

--- Like co.observe, for code that takes panics out of the process: records and spans come redacted. A record
--- comes as its account, with the report as `extra`; one of which nothing is told does not come. If a panic
--- ended a span, `extra` is its record. Other events come unchanged.
---@param kinds string[]  # as for co.observe
---@param fn fun(kind: string, object: any, extra: any, record: coropanic.record?)
---@return fun() stop
function redact.observe(kinds, fn)
  if type(fn) ~= "function" then
    error(("bad argument #2 to 'observe' (function expected, got %s)"):format(type(fn)), 2)
  end
  return co.observe(kinds, function(kind, object, extra)
    if kind == "span_end" then
      fn(kind, redact.span(object, extra), extra)
    elseif IS_OF_RECORD[kind] then
      local panic, report = redact.account(object)
      if panic then fn(kind, panic, report, object) end
    else
      fn(kind, object, extra)
    end
  end)
end

return redact
