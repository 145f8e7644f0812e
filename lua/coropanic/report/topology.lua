--- Makes graphs of the way that an error took, and of how tasks depend on each other. Nodes are tasks; edges
--- show spawners, waits, and the way of panics. A hook of coropanic.redact may have removed or replaced any
--- part of a panic. So a part that is not as to_table() makes it is not drawn.

local portable = require "coropanic.portable"

local topology = {}

local Graph = {}
Graph.__index = Graph

local function new_graph()
  return setmetatable({
    nodes = {}, by_id = {}, edges = {}, drawn = {},
    by_seq = {}, -- nodes of panics that happened outside tasks or share a task, by sequence number
    added = {}, -- record -> the node that its panic has reached
    live = {}, -- node id -> true for tasks that have not ended
  }, Graph)
end

--- Returns the tables in a list; none if the value is no list.
local function items(list)
  local result = {}
  for _, item in ipairs(type(list) == "table" and list or {}) do
    if type(item) == "table" then result[#result + 1] = item end
  end
  return result
end

local function text_of(value, otherwise) return type(value) == "string" and value or otherwise end

--- Returns the id of a task's node; nil if the value is no task. JSON may have turned integers into floats.
local function id_of(task)
  local number = type(task) == "table" and portable.tointeger(task.id)
  return number and ("t%d"):format(number)
end

local function title_of(task)
  local name = text_of(task.name, "")
  local is_named = name ~= "" and name ~= ("task %d"):format(task.id)
  return ("task %d"):format(task.id) .. (is_named and (' "%s"'):format(name) or "")
end

function Graph:new_node(id, line)
  local node = { id = id, lines = { line }, has_line = { [line] = true } }
  self.by_id[id] = node
  self.nodes[#self.nodes + 1] = node
  return node
end

--- Returns the id of a task's node, which is made at the first call. Later calls add lines and classes.
---@return string?  # nil: the value is no task
function Graph:task(task, class, ...)
  local id = id_of(task)
  if not id then return nil end
  local node = self.by_id[id] or self:new_node(id, title_of(task))
  if task.name then node.lines[1] = title_of(task) end -- it may have been a number alone so far
  node.class = node.class == "panicked" and node.class or class or node.class
  for _, line in ipairs { ... } do
    if not node.has_line[line] then node.lines[#node.lines + 1] = line end
    node.has_line[line] = true
  end
  return id
end

--- Returns a node for a panic that happened outside tasks, or whose task has a panic already. One node for
--- each panic.
function Graph:box(record, id, ...)
  local known = record.seq and self.by_seq[record.seq]
  if known then return known end
  local unique, n = id, 1
  while self.by_id[unique] do
    n = n + 1
    unique = ("%s_%d"):format(id, n)
  end
  local node = self:new_node(unique, (...))
  node.lines, node.class = { ... }, "panicked"
  if record.seq then self.by_seq[record.seq] = unique end
  return unique
end

--- Adds an edge, once. The label of the first call stays.
function Graph:edge(from, kind, to, label)
  if not from or not to then return end
  local key = table.concat({ from, kind, to }, "\0")
  if self.drawn[key] then return end
  self.drawn[key] = true
  self.edges[#self.edges + 1] = { from = from, to = to, kind = kind, label = label }
end

local function panic_line(record)
  local kind = text_of(record.kind, "panic")
  local message = text_of(record.message, text_of(record.type, "?"))
  local is_said = message:sub(1, #kind + 1) == kind .. ":"
  return is_said and message or ("%s: %s"):format(kind, message)
end

--- Adds the ancestors of a record's task, up to the root.
local function add_ancestors(graph, task)
  local child = graph:task(task)
  for _, ancestor in ipairs(items(task.ancestors)) do
    local parent = graph:task(ancestor)
    graph:edge(parent, "spawned", child)
    child = parent
  end
end

--- Adds the panics that this one replaced or suppressed: at their task, if it is another one.
local function add_links(graph, at, links, label)
  for i, link in ipairs(items(links)) do
    local id = id_of(link.task)
    if id and id ~= at then
      graph:task(link.task, "panicked", panic_line(link))
      graph:edge(graph:task { id = link.task.parent }, "spawned", id)
    else
      id = graph:box(link, ("%s_%s%d"):format(at, label, i), panic_line(link))
    end
    graph:edge(id, "panic", at, label)
  end
end

--- Adds a task that was waiting then. If the task is live, its node shows what it does now instead.
local function add_waiting(graph, point)
  local task = { id = point.id, name = point.name or point.task }
  local waiting_on = text_of(point.waiting_on)
  if not waiting_on or graph.live[id_of(task)] then return graph:task(task, "waiting") end
  return graph:task(task, "waiting", "waiting on " .. waiting_on)
end

local function add_cycle(graph, cycle)
  cycle = items(cycle)
  for i, task in ipairs(cycle) do
    graph:edge(graph:task(task, "waiting"), "waits", graph:task(cycle[i % #cycle + 1]), "waits for")
  end
end

--- Adds the waits of the tasks that depended on this one; a wait for this task is an edge.
local function add_suspension_points(graph, at, points)
  for _, point in ipairs(items(points)) do
    local operation = text_of(point.operation, "")
    if operation == "join" or operation == "await" then
      -- An ancestor waits for the task of this record, or for one on the way to it.
      local joined = text_of(point.waiting_on, ""):match "^%l+ of task (%d+)"
      local waiter = graph:task({ id = point.id, name = point.task }, "waiting")
      graph:edge(joined and graph:task { id = tonumber(joined) } or at, "panic", waiter, operation)
    elseif operation:find "^end of" then
      local waiter = graph:task({ id = point.id, name = point.task }, "waiting")
      graph:edge(waiter, "waits", at, operation)
    else
      add_waiting(graph, point)
    end
  end
end

--- Adds a record; returns the node that the panic has reached.
local function add_record(graph, record)
  if graph.added[record] then return graph.added[record] end -- a hook may have made a cycle of causes
  local task = record.task
  local at = graph:task(task, "panicked", panic_line(record))
  if at then
    add_ancestors(graph, task)
  else
    at = graph:box(record, "outside", "outside tasks", panic_line(record))
  end
  graph.added[record] = at
  -- The origins of the panic: the awaited task's, the replaced and the suppressed ones.
  if type(record.cause) == "table" then
    graph:edge(add_record(graph, record.cause), "panic", at, "raised again")
  end
  add_links(graph, at, record.chain, "replaced")
  add_links(graph, at, record.suppressed, "suppressed")
  add_cycle(graph, record.cycle)
  for _, point in ipairs(items(record.parked)) do add_waiting(graph, point) end
  add_suspension_points(graph, at, record.suspension_points)
  return at
end

--- Returns the graph of one panic.
---@param record table  # as record:to_table() makes it
---@return coropanic.report.graph
function topology.of_record(record)
  local graph = new_graph()
  add_record(graph, record)
  return graph
end

--- Returns the graph of the tasks of a process, with their panics.
---@param tasks table[]  # as report.dump has them
---@param panics table[]
---@return coropanic.report.graph
function topology.of_tasks(tasks, panics)
  local graph = new_graph()
  for _, task in ipairs(tasks) do
    local waits = task.status == "waiting"
    graph.live[graph:task(task, waits and "waiting" or nil,
      waits and "waiting on " .. task.waiting_on or task.status)] = true
  end
  for _, task in ipairs(tasks) do
    if task.parent then graph:edge(graph:task { id = task.parent }, "spawned", id_of(task)) end
    if task.waits_for then
      graph:edge(id_of(task), "waits", graph:task { id = task.waits_for }, task.operation)
    end
  end
  for _, record in ipairs(panics) do add_record(graph, record) end
  return graph
end

return topology
