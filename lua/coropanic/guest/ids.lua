--- Trace identity: the request that code works for. The twin of kernel/trace.h, with the same words:
---
---   a trace    {trace_id, flags, continued, state, baggage}: one request's part in this process. Shared, and
---              never changed, but for `trace_id`, which is false until somebody reads it
---   ids        {trace, span_id, parent_span_id, parent}: under which code works. Span ids are made on
---              demand; `parent` are the ids of the spawner, as long as parent_span_id was not needed
---   a context  {own, current}: of a task, a coroutine of co.coroutine, or the code outside tasks. `own` are
---              its ids outside all spans; `current` is its innermost span, or the one around all its code
---   a span     {ids, outer, context, continues, recorded, data}: on the stack of a context. It stays there,
---              without a trace, until it is the innermost one

local compat = require "coropanic.guest.compat"
local generator = require "coropanic.guest.generator"
local port = require "coropanic.guest.port"

local ids = {}

local state, running, MAIN = port.state, compat.running, compat.MAIN

--- A trace that begins here.
---@param baggage string?  # the header's text
function ids.new_trace(baggage)
  local trace = { trace_id = false, flags = 3, continued = false, state = "", baggage = "" }
  if baggage then trace.baggage = baggage end
  if not generator.is_lazy() then
    trace.trace_id = generator.trace_id()
    trace.flags = generator.root_flags(trace.trace_id)
  elseif generator.sampler.kind == "never" or generator.sampler.root == "never" then
    trace.flags = 2
  end
  return trace
end

--- A trace that came in.
function ids.continue_trace(trace_id, flags, trace_state, baggage)
  flags = generator.continued_flags(trace_id, flags)
  local trace = { trace_id = false, flags = 0, continued = true, state = "", baggage = "" }
  trace.trace_id, trace.flags, trace.state, trace.baggage = trace_id, flags, trace_state, baggage
  return trace
end

-- Contexts -----------------------------------------------------------------------------------------------

--- The context of a coroutine's code: its own, or that of the coroutine that resumed it, of its task, or of
--- the code outside tasks, whose trace begins when it is first needed.
local function context_of(u, c)
  while c ~= nil do
    if c.context ~= nil then return c.context end
    c = c.outer
  end
  local t = u.current
  if t ~= nil and t.coroutine.context ~= nil then return t.coroutine.context end
  local context = u.trace_context
  if context == nil then
    context = { own = { trace = false } }
    u.trace_context = context
  end
  return context
end

--- The context of the running code.
local function current()
  local u = state()
  local key = running() or MAIN
  local c = u.by[key] or u.others[key]
  return context_of(u, c)
end
ids.current = current

--- The ids under which the context's code works; their trace may not have begun.
local function ids_of(context)
  local span = context.current
  return span ~= nil and span.context == context and span.ids or context.own
end

--- The same; begins the trace.
local function begun(of)
  if not of.trace then of.trace = ids.new_trace() end
  return of
end

--- The ids of the code of a coroutine.
function ids.of(c) return begun(ids_of(context_of(state(), c))) end

--- The ids of the running code.
function ids.here() return begun(ids_of(current())) end

--- The same, which may have no trace yet.
function ids.find() return ids_of(current()) end

---@return string
function ids.trace_id(of)
  local trace = begun(of).trace
  local trace_id = trace.trace_id
  if not trace_id then
    trace_id = generator.trace_id()
    trace.trace_id = trace_id
  end
  return trace_id
end

---@return string
function ids.span_id(of)
  local span_id = of.span_id
  if not span_id then
    span_id = generator.span_id()
    of.span_id = span_id
  end
  return span_id
end

--- The id of the span in which the ids' owner was spawned; nil: none.
---@return string?
function ids.parent_span_id(of)
  local parent = of.parent
  if parent then
    of.parent_span_id = ids.span_id(parent)
    of.parent = nil
  end
  return of.parent_span_id
end

--- The flags as two hex digits.
---@return string
function ids.flags_text(of) return ("%02x"):format(begun(of).trace.flags) end

--- Whether the trace is sampled.
function ids.is_sampled(of) return begun(of).trace.flags % 2 == 1 end

--- Sets the context of a new task that is spawned here. Outside tasks it begins a trace of its own, with the
--- baggage of the running code, unless that code continues a trace.
---@param parent table?  # the task that spawns it
---@param detached? boolean  # it begins a trace of its own
---@param given? table  # ids: it goes on under these
function ids.inherit(t, parent, detached, given)
  local own
  if given then
    own = { trace = given.trace, parent_span_id = ids.parent_span_id(given) }
  elseif detached then
    own = { trace = ids.new_trace() }
  else
    local is_in_own_coroutine = parent ~= nil and parent.top == parent.coroutine
    local around = ids_of(is_in_own_coroutine and parent.coroutine.context or current())
    local trace = around.trace
    if parent ~= nil or trace and trace.continued then
      own = { trace = begun(around).trace, parent = around }
    else
      own = { trace = ids.new_trace(trace and trace.baggage) }
    end
  end
  t.coroutine.context = { own = own }
end

--- A context for a coroutine of co.coroutine, which begins at the present position of the running code; nil:
--- that code has no trace yet, and the coroutine shares that of the code that resumes it.
function ids.branch()
  local from = current()
  local here = ids_of(from)
  if not here.trace then return nil end
  local own = {
    trace = here.trace, span_id = ids.span_id(here), parent_span_id = ids.parent_span_id(here),
  }
  return { own = own, current = from.current }
end

--- Moves the running code to the trace, the same with other headers. All spans up to the next call of
--- co.trace.continue move too, so that the change outlives them.
function ids.set_trace(trace)
  local context = current()
  local span = context.current
  while span ~= nil and span.context == context do
    if span.ids.trace then span.ids.trace = trace end
    if span.continues then return end
    span = span.outer
  end
  context.own.trace = trace
end

--- Empties the context of a task that has ended: the spans on its stack may end later. Its own ids stay.
function ids.clear(context)
  local span = context.current
  while span ~= nil and span.context == context do
    span.ids = { trace = false, span_id = span.ids.span_id, parent_span_id = ids.parent_span_id(span.ids) }
    span.context, span = nil, span.outer
  end
  context.current = nil
end

-- Spans --------------------------------------------------------------------------------------------------

--- Puts the running code into a new span with these ids.
function ids.enter(span)
  local context = current()
  span.context, span.outer = context, context.current
  context.current = span
end

--- Makes a new span the span of a task that has not begun: it is around all of the task's code, and its ids
--- are the context's own.
function ids.enclose(t, span)
  span.ids = t.coroutine.context.own
  t.coroutine.context.current = span
end

--- Ends the span. If it is the innermost one on its stack it leaves the stack, and with it the spans around
--- it that have ended before. Its span ids stay readable.
function ids.leave(span)
  local context = span.context
  span.ids = { trace = false, span_id = span.ids.span_id, parent_span_id = ids.parent_span_id(span.ids) }
  if context == nil then return end
  local top = context.current
  while top ~= nil and top.context == context and not top.ids.trace do
    top.context = nil
    top = top.outer
    context.current = top
  end
end

return ids
