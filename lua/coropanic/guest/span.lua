--- Spans: pieces of work within a trace (docs/spans.md). They are made only while a listener is set, and only
--- in sampled traces. The twin of csrc/span/span.h. A span's table is span.data until the span ends; then it
--- is the listener's.

local generator = require "coropanic.guest.generator"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local record = require "coropanic.guest.record"
local span_data = require "coropanic.guest.span_data"
local task = require "coropanic.guest.task"
local unwind = require "coropanic.guest.unwind"

local span = {}

local state = port.state

--- Whether the running code makes spans if a listener is set. Observers make none: they would hear
--- themselves.
local function is_heard(u)
  local t = u.current
  return probe.hears_spans(u) and not probe.is_muted(u, t) and not (t ~= nil and t.silent)
end

--- Whether a span of the running code would be recorded. Begins the code's trace if a listener is set.
function span.is_recorded()
  local u = state()
  if not probe.hears_spans(u) then return false end
  local here = ids.find()
  if here.trace and here.trace.flags % 2 == 0 then return false end
  return is_heard(u) and ids.is_sampled(here)
end

--- The parent of new spans of the running code: the innermost span if it is recorded and its id was used, or
--- else the parent of that.
local function parent_here()
  local here, innermost = ids.here(), ids.current().current
  if innermost ~= nil and innermost.recorded and here.span_id then return here.span_id end
  return ids.parent_span_id(here)
end

-- The table ----------------------------------------------------------------------------------------------

--- Sets the id in the table: a span of co.trace.continue got its id only on demand.
local function identify(s)
  if s.continues then s.data.span_id = ids.span_id(s.ids) end
end

--- Returns the table of the innermost span that the running code may write to: the span around it, or its
--- task's. Gives the span an id. Returns nil if there is none.
function span.current()
  local s = ids.current().current
  while s ~= nil do
    -- One that has ended may still be innermost: a coroutine stays in the span in which it was made.
    if s.data ~= nil then
      identify(s)
      return s.data
    end
    if s.continues then return nil end -- the code around it is in another trace
    s = s.outer
  end
end

-- Telling the listener -----------------------------------------------------------------------------------

local function tell(u, kind, data, extra)
  u.counts[kind] = u.counts[kind] + 1
  if u.wants[kind] then
    probe.tell(u, { kind = kind, calls = true, task = u.current, object = data, extra = extra })
  end
end

--- Completes the table and tells the listeners.
local function finish(s, raised)
  local data = s.data
  s.data = nil
  if data == nil then return end
  local u = state()
  if s.continues then
    data.span_id = ids.span_id(s.ids)
    tell(u, "span_begin", data) -- the listeners have not heard of it before
  end
  local has_panicked = span_data.finish(data, raised)
  tell(u, "span_end", data, has_panicked and raised or nil)
end

-- Pieces of code -----------------------------------------------------------------------------------------

--- The code of a span has ended, with the raised value, or nil.
local function close(s, raised)
  if s.closed then return end
  s.closed = true
  local r = record.test(raised)
  if r ~= nil and r._ids == s.ids then ids.span_id(s.ids) end -- the record has the span's id
  ids.leave(s)
  if s.recorded and s.ids.span_id then finish(s, raised) end
  s.data = nil
end

local function returned(s, ...)
  close(s, nil)
  return ...
end

--- The frame of a span is no frame for users: errors pass it unchanged.
local SPAN = { name = "span", thin = true }

function SPAN.leave(s, _, how, ...)
  if how == "returning" then return returned(s, ...) end
  close(s, (...))
  return error((...), 0)
end

--- The coroutine was closed, or its task unwound by force.
function SPAN.lost(s, stack) close(s, stack.exit or nil) end

--- Calls fn(...) in the span, which ends with the call, however that ends.
local function run(s, fn, ...)
  ids.enter(s)
  if s.data ~= nil and not s.continues then tell(state(), "span_begin", s.data) end
  return unwind.call_closing(SPAN, s, fn, ...)
end

--- Calls fn(...) in a recorded span.
---@param kind string
---@param attributes table?
function span.call(name, kind, attributes, fn, ...)
  local s = { recorded = true }
  local of = { trace = ids.here().trace, span_id = generator.span_id(), parent_span_id = parent_here() }
  s.data = span_data.new(name, of, kind, state().current)
  if attributes then span_data.set(s.data, attributes) end
  of.trace = ids.here().trace -- with the same id, but __tostring of ours may have given it other baggage
  s.ids = of
  return run(s, fn, ...)
end

--- Calls fn(...) under the incoming trace, with this parent. The span gets its id on demand, and is told only
--- if that was used: otherwise no child can refer to it.
---@param trace table  # of ids.continue_trace, or a new one
---@param parent_span_id string?
function span.continue(trace, parent_span_id, fn, ...)
  local s = { continues = true, ids = { trace = trace, parent_span_id = parent_span_id } }
  if trace.flags % 2 == 1 and is_heard(state()) then
    s.recorded = true
    s.data = span_data.new("continue", s.ids, "server", state().current)
  end
  return run(s, fn, ...)
end

-- Tasks --------------------------------------------------------------------------------------------------

--- Begins the span of a task that is being spawned. If the spawner's span is not recorded, the task gets that
--- span's parent.
function task.begin_span(u, t)
  local own = t.coroutine.context.own
  if t.silent or t.muted or not ids.is_sampled(own) then return end
  local parent_span_id = ids.parent_span_id(own)
  if parent_span_id and parent_span_id == ids.find().span_id then own.parent_span_id = parent_here() end
  ids.span_id(own)
  local s = { recorded = true }
  s.data = span_data.new(kernel.name_of(t), own, "internal", t)
  if type(t.attributes) == "table" then span_data.set(s.data, t.attributes) end
  ids.enclose(t, s)
  task.on_end(t, function() finish(s, t.record) end)
  tell(u, "span_begin", s.data)
end

return span
