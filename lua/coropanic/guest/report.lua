--- A record as text for people: the twin of csrc/report. Nothing here fails: a __tostring that raises, a
--- cyclic table or a huge string still give a report.

local compat = require "coropanic.guest.compat"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local record_frames = require "coropanic.guest.record_frames"
local text = require "coropanic.guest.text"
local value_text = require "coropanic.guest.value_text"

local report = {}

local put, put_name = text.put, function(w, name) text.put(w, text.name(name)) end

local MAX_CAUSES = 8
local DIM = "\27[2m"

-- The chain ----------------------------------------------------------------------------------------------

--- The record and those that it replaced, oldest first, and how many older ones were not kept. Goexit and
--- cancellation are no panics: like Go, the chain skips them, unless the newest record is one.
local function chain_of(r)
  local chain, links = {}, 0
  local link = r
  while link and links <= record.MAX_CHAIN do
    links = links + 1
    if not (link._exits and links > 1) then table.insert(chain, 1, link) end
    link = link._link
  end
  local omitted = r._chain >= links and r._chain - links + 1 or 0
  return chain, omitted
end

--- Whether link `i` was recovered and the same value was raised again. Go prints the two as one.
local function is_repanicked(chain, i)
  local link, next = chain[i], chain[i + 1]
  return link ~= nil and next ~= nil and link._recovered and rawequal(link._value, next._value)
end

local function prefix_of(r, failed)
  if failed or r._kind == "deadlock" then return "fatal error: " end
  if r._kind == "goexit" then return "goexit: " end
  if r._kind == "cancelled" and r._exits then return "cancelled: " end
  if r._kind == "timeout" and r._exits then return "timeout: " end
  return "panic: "
end

local function put_found(w, found, left_out)
  w.indent = w.indent + 1
  put(w, text.escape(found, false))
  w.indent = w.indent - 1
  if left_out > 0 then put(w, ("... (%d bytes left out)"):format(left_out)) end
end

local function write_link(w, chain, i)
  local r = chain[i]
  local found, left_out, failed = value_text.find_message(r)
  if r._value == nil and found == r._kind then
    put(w, found) -- an exit without a reason
  else
    put(w, prefix_of(r, failed))
    put_found(w, found, left_out)
  end
  if is_repanicked(chain, i) then
    put(w, " [recovered, repanicked]")
  elseif r._recovered then
    put(w, " [recovered]")
  end
end

local function write_chain(w, r)
  local chain, omitted = chain_of(r)
  local indent = w.indent
  if omitted > 0 then
    put(w, ("... %d older panics left out ...\n"):format(omitted))
    w.indent = indent + 1
  end
  for i = 1, #chain do
    if not is_repanicked(chain, i - 1) then
      text.put_colour(w, text.BOLD_RED)
      write_link(w, chain, i)
      text.put_colour(w, text.PLAIN)
      put(w, "\n")
      w.indent = indent + 1
    end
  end
  w.indent = indent
end

-- The task -----------------------------------------------------------------------------------------------

local function put_task(w, id, name)
  put(w, ("task %d"):format(id))
  if name == nil or name == "" then return end
  put(w, ' "')
  put_name(w, name)
  put(w, '"')
end

local VERBS = { memory = " ran out of memory", deadlock = " is in a deadlock", goexit = " exited" }

local function verb_of(r)
  if r._kind == "timeout" then return r._exits and " ran out of time" or " panicked" end
  if r._kind == "cancelled" then
    if not r._exits then return " panicked" end
    if r._source == "interrupt" then return " was interrupted" end
    return r._source == "shutdown" and " was cancelled by the run's end" or " was cancelled"
  end
  return VERBS[r._kind] or " panicked"
end

local function write_head(w, r)
  if r._task then put_task(w, r._task.id, r._task.name) else put(w, "main thread") end
  put(w, verb_of(r))
  if r._forced then
    put(w, (", and was unwound by force: it had swallowed that %d times"):format(kernel.MAX_RAISES))
  end
  put(w, (", trace %s, span %s\n"):format(ids.trace_id(r._ids), ids.span_id(r._ids)))
end

-- The stack ----------------------------------------------------------------------------------------------

local PLACE_COLUMN_MAX, MAX_REPEATED = 40, 3

local function place_of(frame)
  local place = text.chunk_name(frame.source)
  return frame.line > 0 and ("%s:%d"):format(place, frame.line) or place
end

local function width_of(place)
  return select(2, place:gsub("[^\128-\191]", ""))
end

local function function_of(frame)
  if frame.name then return text.name(frame.name) end
  if frame.what == "main" then return "main chunk" end
  if frame.what == "C" then return "?" end
  return ("function <%s:%d>"):format(text.name(text.chunk_name(frame.source)), frame.linedefined)
end

local function put_frame(w, frame, column)
  local place = place_of(frame)
  put_name(w, place)
  put(w, (" "):rep(column - width_of(place)) .. " in " .. function_of(frame) .. "\n")
end

local function is_same(a, b)
  return a.line == b.line and a.name == b.name and a.source == b.source and a.linedefined == b.linedefined
end

--- Writes frames [from, to]. Of a recursion only the first lines are shown.
local function put_frames(w, all, from, to, column)
  while from <= to do
    local run = 1
    while from + run <= to and is_same(all[from], all[from + run]) do run = run + 1 end
    local shown = run > MAX_REPEATED + 1 and MAX_REPEATED or run
    for i = 0, shown - 1 do put_frame(w, all[from + i], column) end
    if shown < run then put(w, ("... the same %d more times ...\n"):format(run - shown)) end
    from = from + run
  end
end

local function put_omitted(w, count, what)
  put(w, ("... %d %s%s left out ...\n"):format(count, what, count == 1 and "" or "s"))
end

local function write_frames(w, r)
  local all = record_frames.of(r)
  local column = 0
  for _, frame in ipairs(all) do
    local width = width_of(place_of(frame))
    if width > column and width <= PLACE_COLUMN_MAX then column = width end
  end
  w.indent = w.indent + 1
  local inner = all.omitted and all.omitted_after or #all
  put_frames(w, all, 1, inner, column)
  if all.is_deep then
    put(w, ("... at least %d frames left out ...\n"):format(all.omitted))
  elseif all.omitted then
    put_omitted(w, all.omitted, "frame")
  end
  put_frames(w, all, inner + 1, #all, column)
  w.indent = w.indent - 1
end

-- The spawners -------------------------------------------------------------------------------------------

local function write_ancestors(w, r)
  local t = r._task or nil
  for i = 0, record.MAX_ANCESTORS do
    if t == nil then return end
    if i == record.MAX_ANCESTORS then
      if t.generation > 0 then put_omitted(w, t.generation, "ancestor") end
      return
    end
    put(w, "spawned at ")
    put_name(w, kernel.spawned_at(t))
    put(w, " by ")
    local parent = t.parent
    if parent ~= nil then
      put_task(w, parent.id, parent.name)
    else
      put(w, t.generation == 0 and "main thread" or "a task long gone")
    end
    put(w, "\n")
    if parent == nil and t.generation > 1 then put_omitted(w, t.generation - 1, "ancestor") end
    t = parent
  end
end

-- Waiting tasks ------------------------------------------------------------------------------------------

local function put_waiting(w, row)
  local name = row.name
  put_task(w, row.id, name ~= "task " .. row.id and name or nil)
  if row.relation then
    put(w, " (")
    put_name(w, row.relation)
    put(w, ")")
  end
  put(w, " waiting on ")
  put_name(w, row.waiting_on)
  put(w, " at ")
  put_name(w, row.where)
  put(w, ", spawned at ")
  put_name(w, row.spawned_at)
  put(w, "\n")
end

local function write_waiting(w, rows, heading)
  if not rows then return end
  put(w, "\n" .. heading)
  for i = 1, math.min(#rows, record.MAX_PARKED) do put_waiting(w, rows[i]) end
  if rows.omitted then put_omitted(w, rows.omitted, "task") end
end

-- The whole ----------------------------------------------------------------------------------------------

local write_record

local function write_suppressed(w, r)
  local suppressed = r._suppressed or {}
  if #suppressed > 0 then put(w, "suppressed:\n") end
  w.indent = w.indent + 1
  for _, other in ipairs(suppressed) do
    write_chain(w, other)
    write_head(w, other)
  end
  w.indent = w.indent - 1
end

local function write_cause(w, r, depth)
  if not r._cause then return end
  put(w, "caused by:\n")
  w.indent = w.indent + 1
  if depth == MAX_CAUSES then
    put(w, "... causes left out ...\n")
  else
    write_record(w, r._cause, depth + 1)
  end
  w.indent = w.indent - 1
end

function write_record(w, r, depth)
  write_chain(w, r)
  put(w, "\n")
  write_head(w, r)
  text.put_colour(w, DIM)
  write_frames(w, r)
  write_ancestors(w, r)
  text.put_colour(w, text.PLAIN)
  write_waiting(w, r._parked, "")
  write_waiting(w, r._cycle, "the cycle:\n")
  write_waiting(w, r._points, "waiting meanwhile:\n")
  write_suppressed(w, r)
  write_cause(w, r, depth)
end

local function write(w, value)
  local r = record.test(value)
  if r then return write_record(w, r, 0) end
  local found, left_out, failed = value_text.find(value)
  put(w, failed and "fatal error: " .. value_text.FAILED or "panic: ")
  put_found(w, found, left_out)
  put(w, "\n")
end

--- The whole report of a record, or of any other value, without the last newline.
function report.text(value, colour)
  local w = text.writer(colour)
  local ok = compat.pcall(write, w, value)
  if not ok then put(w, "\nfatal error: a panic, and no memory to describe it") end
  return text.result(w)
end

--- Writes the report for people to see: where the host has it, else to stderr.
function report.write(value)
  if port.report then
    compat.pcall(port.report, report.text(value))
  else
    io.stderr:write(report.text(value), "\n")
  end
end

return report
