--- The trace ids under which code works. A coroutine's `context` is {own = ids, current = span or nil}, the
--- twin of trace_context in kernel/trace.h; ids are {trace, span_id, parent_span_id}, and a trace is
--- {trace_id, flags, continued}. Ids are made of random bytes when somebody reads them.

local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"

local ids = {}

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

function ids.new_trace() return { trace_id = nil, flags = "03", continued = false } end

--- The ids under which a coroutine's code works: those of its innermost span, or its own.
function ids.of(c)
  local context = c.context
  if context == nil then
    -- code in a coroutine that somebody else has made works for whoever resumes it
    local t = c.task or kernel.current()
    if t ~= nil and t.coroutine ~= c and t.coroutine.context then return ids.of(t.coroutine) end
    context = { own = { trace = ids.new_trace() } }
    c.context = context
  end
  local span = context.current
  return span ~= nil and span.context == context and span.ids or context.own
end

--- The same of the running code.
function ids.here() return ids.of(kernel.here()) end

function ids.trace_id(of)
  local trace = of.trace
  if trace.trace_id == nil then trace.trace_id = hex(port.random(16)) end
  return trace.trace_id
end

function ids.span_id(of)
  if of.span_id == nil then of.span_id = hex(port.random(8)) end
  return of.span_id
end

--- Sets the context of a new task that is spawned here.
---@param detached? boolean  # it begins a trace of its own
function ids.inherit(t, parent, detached)
  local own = {}
  local around = ids.here()
  if not detached and (parent ~= nil or around.trace.continued) then
    own.trace, own.parent = around.trace, around
  else
    own.trace = ids.new_trace()
  end
  t.coroutine.context = { own = own }
end

--- The id of the span in which the ids' owner was spawned; nil: none.
function ids.parent_span_id(of)
  if of.parent_span_id == nil and of.parent then of.parent_span_id = ids.span_id(of.parent) end
  return of.parent_span_id
end

return ids
