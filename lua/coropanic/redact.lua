--- What is taken out of panics before they leave the process: a filter on the stream of events (co.observe),
--- through which coropanic.report and coropanic.export.otlp listen.

local co = require "coropanic"

local redact = {}

local hook ---@type (fun(panic: table): table | false | nil)?

--- From now on `fn` is given each panic that is told to others, and may change it: what to_table() has made
--- of its record, and then each panic in that (cause, chain, suppressed). What it returns takes the place of
--- what it was given; nil: what it was given stands; false: nothing of it is told. If it panics, nothing is
--- told either, and that is said on stderr. It must not suspend.
---@param fn (fun(panic: table): table | false | nil)?  # nil: everything is told
---@return function?  # the one before
function redact.set(fn)
  if fn ~= nil and type(fn) ~= "function" then
    error(("bad argument #1 to 'set' (function or nil expected, got %s)"):format(type(fn)), 2)
  end
  local before = hook
  hook = fn
  return before
end

-- What an account is found and ordered by, and says nothing of anybody: it is there whatever the hook does.
local IDENTITY = {
  "contract", "kind", "type", "error_code", "seq", "time", "trace_id", "trace_flags", "span_id",
}

--- What the hook leaves of one panic; nil: nothing.
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

--- Better nothing than what the hook was to take out.
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
  if type(panic.cause) == "table" then
    add "caused by:"
    add_text(lines, panic.cause, indent .. "\t")
  end
end

--- What is told of a record: a table as of to_table(), and a report for people; nil: nothing is.
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

--- A span, as co.trace.on_span gives it, with what is told of the panic that ended it.
---@param span coropanic.span
---@param record coropanic.record?
---@return coropanic.span
function redact.span(span, record)
  if not hook or span.status ~= "error" then return span end
  local told = { status_message = "redacted", events = table.move(span.events, 1, #span.events, 1, {}) }
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

--- co.observe for those who take panics out of the process: records and spans come redacted.
--- `fn` gets a record as its account and a report for people, and does not get one of which nothing is told.
--- It gets a span that ended with the record of its panic. Other events come as they are.
---@param kinds string[]  # as for co.observe
---@param fn fun(kind: string, object: any, extra: any, record: coropanic.record?)
---@return fun() stop
function redact.observe(kinds, fn)
  if type(fn) ~= "function" then
    error(("bad argument #2 to 'observe' (function expected, got %s)"):format(type(fn)), 2)
  end
  return co.observe(kinds, function(kind, object, extra)
    if kind == "span_end" then
      fn(kind, redact.span(object, extra), extra, extra)
    elseif IS_OF_RECORD[kind] then
      local panic, report = redact.account(object)
      if panic then fn(kind, panic, report, object) end
    else
      fn(kind, object, extra)
    end
  end)
end

return redact
