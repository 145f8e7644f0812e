--- Writes what `co.record` has recorded as text, a line an event.

local text = {}

--- Returns a duration in the unit that suits it.
local function duration(ns)
  if ns < 1000 then return ("%d ns"):format(ns) end
  if ns < 1000000 then return ("%.1f us"):format(ns / 1e3) end
  if ns < 1000000000 then return ("%.1f ms"):format(ns / 1e6) end
  return ("%.2f s"):format(ns / 1e9)
end

--- A name that the program has given, with what is not printable escaped.
local function shown(name)
  return (name:gsub("[%c\127-\255]", function(byte) return ("\\%d"):format(byte:byte()) end))
end

local function by(e, what) return e.by ~= 0 and (" %s task %d"):format(what, e.by) or "" end

local function at(e) return e.place and " at " .. shown(e.place) or "" end

--- What is said of an event behind its task.
local SAY = {
  spawn = function(e)
    return ("spawned at %s%s%s"):format(shown(e.place), by(e, "by"), e.daemon and ", daemon" or "")
  end,
  trace = function(e)
    return ("in trace %s%s"):format(e.trace_id, e.from_outside and ", which came in" or "")
  end,
  start = function(e) return ("runs, ready for %s"):format(duration(e.delay)) end,
  park = function(e) return ("waits: %s%s"):format(e.wait, at(e)) end,
  yield = function(e) return "yields" .. at(e) end,
  wake = function(e) return ("is woken%s: %s"):format(by(e, "by"), e.reason) end,
  ["end"] = function(e) return "ends: " .. e.status end,
  panic = function(e) return ("panics: %s, record %d"):format(e.panic, e.record) end,
  recover = function(e) return ("recovers record %d"):format(e.record) end,
  unhandled = function(e) return ("record %d is unhandled"):format(e.record) end,
  cancel = function(e) return ("is cancelled%s: %s"):format(by(e, "by"), shown(e.source)) end,
  span_begin = function(e) return "begins span " .. shown(e.text) end,
  span_end = function() return "ends a span" end,
  log = function(e) return "logs " .. shown(e.text) end,
  idle_begin = function() return "the loop sleeps" end,
  idle_end = function() return "the loop wakes" end,
  gc = function(e) return ("the collector's cycle %d has ended"):format(e.cycle) end,
}

local LOOP = { idle_begin = true, idle_end = true, gc = true }

local function wall(ns)
  return ("%s.%06dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", ns // 1000000000), ns % 1000000000 // 1000)
end

--- Writes the lines by `write`, a piece a call.
---@param dump table  # of coropanic.record.reader
---@param write fun(piece: string)
function text.convert(dump, write)
  local clock = "virtual clock"
  if not dump.virtual then clock = ("pid %d, %s"):format(dump.pid, wall(dump.started.wall)) end
  local head = "coropanic-events/1: %d events, %d lost, %s\n"
  write(head:format(dump.count - dump.first, dump:missing(), clock))
  for e in dump:events() do
    local who = (LOOP[e.kind] or e.task == 0) and "" or ("task %d "):format(e.task)
    write(("%14.6f ms  %s%s\n"):format(e.time / 1e6, who, SAY[e.kind](e)))
  end
  write(("%d tasks live after %s\n"):format(#dump.tasks + dump.tasks_omitted, duration(dump:duration())))
  for _, task in ipairs(dump.tasks) do
    local name = task.name ~= "" and (' "%s"'):format(shown(task.name)) or ""
    write(("  task %d%s %s, spawned at %s, trace %s\n"):format(
      task.id, name, task.status, shown(task.place), task.trace_id))
  end
end

return text
