--- The arrows of coropanic.debug's graph. Those between tasks, and the ways of panics, are the arrows that
--- coropanic.report draws; `blocked` and `cancelled` are more.

local json = require "coropanic.debug.json"
local topology = require "coropanic.report.topology"

local edges = {}

---@class coropanic.debug.edge
---@field from string  # "t3": task 3; or a panic outside tasks
---@field to string
---@field kind "spawned" | "waits" | "blocked" | "panic" | "cancelled"
---@field label? string

local function node(id) return ("t%d"):format(id) end

---@class coropanic.debug.edges
local Edges = {}
Edges.__index = Edges

function edges.new() return setmetatable({ list = {}, drawn = {} }, Edges) end

function Edges:add(from, kind, to, label)
  local key = from .. " " .. kind .. " " .. to
  if self.drawn[key] then return end
  self.drawn[key] = true
  self.list[#self.list + 1] = { from = from, to = to, kind = kind, label = label }
end

--- Adds those of a live task.
---@param row coropanic.debug.row
function Edges:add_task(row)
  local id = node(row.id)
  if row.parent then self:add(node(row.parent), "spawned", id) end
  if row.waits_for then self:add(id, "waits", node(row.waits_for), row.operation) end
  for _, blocker in ipairs(row.blockers or {}) do
    if blocker ~= row.waits_for then self:add(id, "blocked", node(blocker), row.operation) end
  end
end

--- Adds the ways of a panic.
---@param panic table  # as record:to_table() makes it
function Edges:add_panic(panic)
  for _, edge in ipairs(topology.of_record(panic).edges) do
    self:add(edge.from, edge.kind, edge.to, edge.label)
  end
end

--- Adds those of a task that has ended: the task that cancelled it, and the one that got its panic.
---@param ended table  # as co.ended() has it
function Edges:add_ended(ended)
  if ended.cancelled_by then self:add(node(ended.cancelled_by), "cancelled", node(ended.id), ended.source) end
  if ended.status == "panicked" and ended.claimed_by then
    self:add(node(ended.id), "panic", node(ended.claimed_by), "joined")
  end
end

local write = json.writer("from", { "to", "kind", "label" })

--- Returns an arrow as JSON.
---@param edge coropanic.debug.edge
---@return string
function edges.encode(edge) return write(edge) .. "}" end

return edges
