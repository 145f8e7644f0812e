--- How an error travelled, and how tasks hang together, as graphs: nodes are tasks, edges say who spawned
--- whom, who waits for whom, and which way a panic went.

local topology = {}

local Graph = {}
Graph.__index = Graph

local function new_graph() return setmetatable({ nodes = {}, edges = {}, by_id = {}, drawn = {} }, Graph) end

-- JSON may have made floats of ids.
local function id_of(task) return ("t%d"):format(task.id) end

--- The node of a task, made when it is first named; later lines and classes are added to it.
function Graph:task(task, class, ...)
  local id = id_of(task)
  local node = self.by_id[id]
  if not node then
    local is_named = task.name and task.name ~= ("task %d"):format(task.id)
    local name = is_named and (' "%s"'):format(task.name) or ""
    node = { id = id, lines = { ("task %d%s"):format(task.id, name) } }
    self.by_id[id] = node
    self.nodes[#self.nodes + 1] = node
  end
  node.class = node.class == "panicked" and node.class or class or node.class
  for _, line in ipairs { ... } do node.lines[#node.lines + 1] = line end
  return id
end

--- An edge, once: what is said first of the way from one to the other stands.
function Graph:edge(from, kind, to, label)
  local key = table.concat({ from, kind, to }, "\0")
  if self.drawn[key] then return end
  self.drawn[key] = true
  self.edges[#self.edges + 1] = { from = from, to = to, kind = kind, label = label }
end

local function panic_line(record)
  local message = record.message or record.type
  local is_said = message:sub(1, #record.kind + 1) == record.kind .. ":"
  return is_said and message or ("%s: %s"):format(record.kind, message)
end

--- Who spawned the task of a record, up to the root.
local function add_ancestors(graph, task)
  local child = graph:task(task)
  for _, ancestor in ipairs(task.ancestors or {}) do
    local parent = graph:task(ancestor)
    graph:edge(parent, "spawned", child)
    child = parent
  end
end

--- Panics that this one replaced, or that came second: at their task, if that is another one.
local function add_links(graph, at, links, label)
  for i, link in ipairs(links or {}) do
    local id
    if link.task and id_of(link.task) ~= at then
      id = graph:task(link.task, "panicked", panic_line(link))
      if link.task.parent then graph:edge(graph:task { id = link.task.parent }, "spawned", id) end
    else
      id = ("%s_%s%d"):format(at, label, i)
      graph.nodes[#graph.nodes + 1] = { id = id, lines = { panic_line(link) }, class = "panicked" }
    end
    graph:edge(id, "panic", at, label)
  end
end

local function add_cycle(graph, cycle)
  for i, task in ipairs(cycle or {}) do
    local next_one = cycle[i % #cycle + 1]
    graph:edge(graph:task(task, "waiting"), "waits", graph:task(next_one), "waits for")
  end
end

--- Adds a record; returns the node that the panic has reached.
local function add_record(graph, record)
  local task = record.task
  local at
  if task then
    at = graph:task(task, "panicked", panic_line(record))
    add_ancestors(graph, task)
  else
    at = "outside"
    local lines = { "outside tasks", panic_line(record) }
    graph.nodes[#graph.nodes + 1] = { id = at, lines = lines, class = "panicked" }
  end
  -- From where it came: what was awaited, what it replaced, what came second.
  if type(record.cause) == "table" then
    graph:edge(add_record(graph, record.cause), "panic", at, "raised again")
  end
  add_links(graph, at, record.chain, "replaced")
  add_links(graph, at, record.suppressed, "suppressed")
  add_cycle(graph, record.cycle)
  for _, task_parked in ipairs(record.parked or {}) do
    graph:task(task_parked, "waiting", "waiting on " .. tostring(task_parked.waiting_on))
  end
  for _, point in ipairs(record.suspension_points or {}) do
    local waiter = graph:task({ id = point.id, name = point.task }, "waiting")
    if point.operation == "join" or point.operation == "await" then
      -- An ancestor waits for the task of this record, or for one on the way to it.
      local joined = point.waiting_on:match "^%l+ of task (%d+)"
      graph:edge(joined and "t" .. joined or at, "panic", waiter, point.operation)
    else
      graph:edge(waiter, "waits", at, point.operation)
    end
  end
  return at
end

--- Of one panic.
---@param record table  # as record:to_table() makes it
---@return coropanic.report.graph
function topology.of_record(record)
  local graph = new_graph()
  add_record(graph, record)
  return graph
end

--- Of the tasks of a process, with their panics.
---@param tasks table[]  # as report.dump has them
---@param panics table[]
---@return coropanic.report.graph
function topology.of_tasks(tasks, panics)
  local graph = new_graph()
  for _, task in ipairs(tasks) do
    local waits = task.status == "waiting"
    graph:task(task, waits and "waiting" or nil, waits and "waiting on " .. task.waiting_on or task.status)
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
