--- The universe's one stream of events: counters, observers, spans and exports listen to it. The twin of
--- kernel/probe.h. A kind is told at one place in the code, so:
---
---   u.counts.panic = u.counts.panic + 1
---   if u.wants.panic then probe.tell(u, { kind = "panic", calls = true, task = t, object = record, extra = t
---   }) end
---
--- Fields of an event: kind; calls: sinks may call scripts here; task: to which it happens (a task of the
--- kernel, not its handle); object, extra: what observers are given.

local probe = {}

--- A sink is {wants = {kind = true}, write = function(sink, u, event)}; `write` must not raise. Call
--- probe.update after changing `wants`.
function probe.add(u, sink)
  table.insert(u.sinks, 1, sink)
  probe.update(u)
end

function probe.remove(u, sink)
  for i = #u.sinks, 1, -1 do
    if u.sinks[i] == sink then table.remove(u.sinks, i) end
  end
  probe.update(u)
end

--- Computes u.wants anew. A sink with `pending` waits for an event of any kind where scripts may be called.
function probe.update(u)
  local wants = {} -- made aside: where the stack is full the calls below fail, and the former wants stay
  for _, sink in ipairs(u.sinks) do
    for kind in pairs(sink.wants) do wants[kind] = true end
    if sink.pending then
      for kind in pairs(u.counts) do wants[kind] = true end
    end
  end
  u.wants = wants
end

--- Whether an observer is running, or the task (nil: none) was spawned by one.
function probe.is_muted(u, t) return u.muted > 0 or (t ~= nil and t.muted) end

--- Whether any sink listens to spans.
function probe.hears_spans(u)
  local wants = u.wants
  return wants.span_begin or wants.span_event or wants.span_end or false
end

--- Tells the event to the sinks that want it.
function probe.tell(u, event)
  -- Observers make no spans. A span that ends is the program's, even if an observer has closed its coroutine.
  if probe.is_muted(u, event.task) or probe.is_muted(u, u.current) then
    event.muted = event.kind ~= "span_end"
  end
  local sinks = u.sinks
  local i = 1
  while i <= #sinks do
    local sink = sinks[i]
    if sink.wants[event.kind] or sink.pending then sink.write(sink, u, event) end
    if sinks[i] == sink then i = i + 1 end -- it may have removed itself
  end
end

return probe
