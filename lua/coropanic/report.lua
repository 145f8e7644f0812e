--- Reports the tasks of the process and its last panics, as a table, as text or as JSON, and as a drawing of
--- the way that an error took.

local co = require "coropanic"
local mermaid = require "coropanic.report.mermaid"
local portable = require "coropanic.portable"
local redact = require "coropanic.redact"
local topology = require "coropanic.report.topology"
local text_of = require "coropanic.text"

local report = {}

-- The version of the form of dump's table.
report.CONTRACT = "coropanic-report/1"

local KEEP = 16 -- panics, by default
local MAX_TASKS = 1000
local MAX_NAME = 200 -- characters of a name and of the text of a wait

-- The last panics, the oldest first: their tables as from to_table(), and their reports.
local kept = {} ---@type { seq: integer, panic: table, report: string }[]
local forgotten = 0
local keep = KEEP

local function forget_oldest()
  local count = #kept - keep
  if count <= 0 then return end
  kept = portable.move(kept, count + 1, #kept, 1, {})
  forgotten = forgotten + count
end

--- Keeps a panic, once even if `install` was called twice.
local function remember(_, panic, text, record)
  local last = kept[#kept]
  if last and last.seq == record.seq then return end
  kept[#kept + 1] = { seq = record.seq, panic = panic, report = text }
  forget_oldest()
end

--- Keeps the last unhandled panics from now on. It does not change what the panic handler does with them.
---@param options { keep: integer? }?
---@return fun() uninstall
function report.install(options)
  options = options or {}
  if type(options) ~= "table" then
    error(("bad argument #1 to 'install' (table expected, got %s)"):format(type(options)), 2)
  end
  for name in pairs(options) do
    if name ~= "keep" then
      error(("bad argument #1 to 'install' (unknown option '%s')"):format(tostring(name)), 2)
    end
  end
  local count = options.keep or KEEP
  if portable.math_type(count) ~= "integer" or count < 1 then
    local message = "bad argument #1 to 'install' (option 'keep': integer from 1 expected, got %s)"
    error(message:format(tostring(count)), 2)
  end
  keep = count
  forget_oldest()
  return redact.observe({ "unhandled" }, remember)
end

local function is_task(value) return getmetatable(value) == "task" end

local function short(text) return text_of.cut(text_of.valid(text), MAX_NAME) end

--- Returns a text for the object that a task waits on.
local function object_of(waiting_on)
  -- Objects of the guest are tables too, but have metatables.
  local is_list = type(waiting_on) == "table" and getmetatable(waiting_on) == nil
  if is_list then return ("a select of %d channels"):format(#waiting_on) end
  if is_task(waiting_on) then return ('task %d "%s"'):format(waiting_on.id, waiting_on.name) end
  return tostring(waiting_on)
end

--- Returns the place where a task is. For the task that asks for the dump it is the caller's place, not ours.
local function place_of(task)
  if task ~= co.current() then return task.where end
  local own = debug.getinfo(1, "S").source
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then return task.where end
    if info.currentline > 0 and info.source ~= own then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

local function describe(task)
  local waiting_on = task.waiting_on
  return {
    id = task.id,
    name = short(task.name),
    status = task:status(),
    daemon = task.daemon,
    trace_id = task.trace_id,
    span_id = task.span_id,
    parent = task.parent and task.parent.id or nil,
    spawned_at = text_of.valid(task.spawned_at),
    where = text_of.valid(place_of(task)),
    operation = task.operation,
    waiting_on = waiting_on ~= nil and short(object_of(waiting_on)) or nil,
    waits_for = is_task(waiting_on) and waiting_on.id or nil,
  }
end

--- Copies a value, so that the caller may change the dump.
local function copy(value, copies)
  if type(value) ~= "table" then return value end
  if copies[value] then return copies[value] end
  local result = {}
  copies[value] = result
  for key, item in pairs(value) do result[key] = copy(item, copies) end
  return result
end

local function take()
  local live = co.tasks()
  local dump = { contract = report.CONTRACT, time = os.time(), tasks = {}, panics = {}, stats = co.stats() }
  for i, task in ipairs(live) do
    if i > MAX_TASKS then
      dump.tasks_omitted = #live - MAX_TASKS
      break
    end
    dump.tasks[i] = describe(task)
  end
  for i, one in ipairs(kept) do dump.panics[i] = copy(one.panic, {}) end
  if forgotten > 0 then dump.panics_omitted = forgotten end
  dump.topology = mermaid.flowchart(topology.of_tasks(dump.tasks, dump.panics))
  return dump
end

local clean = text_of.printable

--- Adds the tasks as an outline, each below its spawner.
local function add_outline(lines, tasks)
  local children, known = {}, {}
  for _, task in ipairs(tasks) do known[task.id] = true end
  for _, task in ipairs(tasks) do
    local parent = known[task.parent] and task.parent or 0
    children[parent] = children[parent] or {}
    table.insert(children[parent], task)
  end
  local function add(parent, depth)
    for _, task in ipairs(children[parent] or {}) do
      local doing = task.status
      if task.operation then doing = ("waiting (%s) on %s"):format(task.operation, task.waiting_on) end
      lines[#lines + 1] = ("%stask %d \"%s\"%s %s at %s, trace %s"):format(("  "):rep(depth), task.id,
        clean(task.name), task.daemon and " (daemon)" or "", clean(doing), clean(task.where), task.trace_id)
      add(task.id, depth + 1)
    end
  end
  add(0, 0)
end

local function add_omitted(lines, count, what)
  if count then lines[#lines + 1] = ("... %d %s left out ..."):format(count, what) end
end

local function count_of(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

local function as_text(dump)
  local lines = { count_of(#dump.tasks + (dump.tasks_omitted or 0), "task") }
  add_outline(lines, dump.tasks)
  add_omitted(lines, dump.tasks_omitted, "tasks")
  lines[#lines + 1] = "\n" .. count_of(#dump.panics + (dump.panics_omitted or 0), "panic")
  add_omitted(lines, dump.panics_omitted, "panics")
  for _, one in ipairs(kept) do
    lines[#lines + 1] = "\n" .. text_of.valid(one.report):gsub("[^\n\t]+", clean)
  end
  -- A page of Markdown that it is pasted into draws it.
  lines[#lines + 1] = "\n```mermaid\n" .. dump.topology .. "```"
  return table.concat(lines, "\n") .. "\n"
end

local function as_json(dump)
  local ok, cjson = pcall(require, "cjson")
  if not ok then error("coropanic.report: dump as \"json\" needs lua-cjson: " .. cjson, 3) end
  cjson = cjson.new() -- with its own settings, because the program may have changed the others
  -- An empty table does not tell whether it was a list.
  for _, name in ipairs { "tasks", "panics" } do
    if #dump[name] == 0 then dump[name] = nil end
  end
  return cjson.encode(dump)
end

--- Returns the tasks of this Lua state, and its last panics since install.
---@param format "table" | "text" | "json" | nil  # "table" if nil
function report.dump(format)
  local dump = take()
  if format == nil or format == "table" then return dump end
  if format == "text" then return as_text(dump) end
  if format == "json" then return as_json(dump) end
  error([[bad argument #1 to 'dump' ("table", "text" or "json" expected)]], 2)
end

--- Returns a Mermaid flowchart of the way that a panic took, or of all tasks and the last panics.
---@param record? coropanic.record | coropanic.record.table  # default: all tasks, and the last panics
---@return string
function report.topology(record)
  if record == nil then
    return take().topology
  end
  if getmetatable(record) == "coropanic.record" then record = record:to_table() end
  if type(record) ~= "table" or record.contract ~= "coropanic/1" then
    error("bad argument #1 to 'topology' (record, or what its to_table returns, expected)", 2)
  end
  return mermaid.flowchart(topology.of_record(record))
end

return report
