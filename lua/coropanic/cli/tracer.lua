--- `coropanic run --trace`: writes a line when a span begins, has an event or ends, and when a panic is made
--- or recovered. Tasks are spans. A line is indented by the spans around its own:
---
---      0.021 ms  main begins, task 1, trace 4bf92f3577b34da6a3ce929d0e0e4736
---      0.085 ms    fetch begins, task 2
---      0.097 ms      panic in fetch: no such host
---      0.110 ms    fetch ends after 0.025 ms: no such host

local co = require "coropanic"

local tracer = {}

--- Returns ` name=value` for each attribute, by name; strings that hold blanks are quoted.
local function text_of(attributes)
  local names, parts = {}, {}
  for name in pairs(attributes) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = attributes[name]
    if type(value) == "table" then
      value = "{" .. table.concat(value, " ") .. "}"
    elseif type(value) == "string" and not value:find "^[^%s\"=]+$" then
      value = ("%q"):format(value):gsub("\\\n", "\\n")
    end
    parts[i] = (" %s=%s"):format(name, value)
  end
  return table.concat(parts)
end

local function first_line(text) return text:match "^[^\n]*" end

--- A span's first line.
local function beginning(span, depth)
  local parts = { span.name, " begins" }
  if span.kind ~= "internal" then
    parts[#parts + 1] = (" (%s)"):format(span.kind)
  end
  if span.task then
    parts[#parts + 1] = (", task %d"):format(span.task)
  end
  if depth == 0 then
    parts[#parts + 1] = ", trace " .. span.trace_id
  end
  return table.concat(parts) .. text_of(span.attributes)
end

--- A span's last line.
local function ending(span)
  local line = ("%s ends after %.3f ms"):format(span.name, (span.end_time - span.start_time) / 1e6)
  if span.status == "error" then
    line = ("%s: %s"):format(line, first_line(span.status_message or "error"))
  elseif span.attributes["coro.cancelled"] then
    line = line .. ", cancelled"
  end
  return line
end

--- Begins to write to the file.
---@param file file*
---@return fun() stop
function tracer.start(file)
  local began = co.now()
  local depths = {} -- of the spans that have begun and not ended, by id

  local function say(depth, line)
    file:write(("%9.3f ms  %s%s\n"):format((co.now() - began) * 1e3, ("  "):rep(depth), line))
  end

  local write = {}

  function write.span_begin(span)
    local around = depths[span.parent_span_id]
    local depth = around and around + 1 or 0
    depths[span.span_id] = depth
    say(depth, beginning(span, depth))
  end

  function write.span_event(span, event)
    say((depths[span.span_id] or 0) + 1, event.name .. text_of(event.attributes))
  end

  function write.span_end(span)
    say(depths[span.span_id] or 0, ending(span))
    depths[span.span_id] = nil
  end

  local function about(record, what)
    local place = record.task and record.task.name or "the main thread"
    local depth = depths[record.span_id]
    say(depth and depth + 1 or 0, ("%s in %s: %s"):format(what, place, first_line(record.message)))
  end

  function write.panic(record) about(record, "panic") end

  function write.recover(record) about(record, "recovered") end

  local kinds = { "span_begin", "span_event", "span_end", "panic", "recover" }
  return co.observe(kinds, function(kind, ...) write[kind](...) end)
end

return tracer
