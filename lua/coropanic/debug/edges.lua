--- The arrows of coropanic.debug's graph. Those between tasks, and the ways of panics, are the arrows that
--- coropanic.report draws; `blocked` and `cancelled` are more.

local json = require "coropanic.debug.json"
local topology = require "coropanic.report.topology"

local edges = {}

-- An arrow in JSON is {"from": "t3", "kind": "waits", "to": "t4", "label": "join"}: from task 3 to task 4.
-- Other nodes than tasks are panics outside tasks. The label may lack. The kind is spawned, waits, blocked,
-- panic or cancelled.

local function node(id) return ('"t%d"'):format(id) end

---@class coropanic.debug.edges
---@field list string[]  # arrows as JSON, without the brace at the end
---@field drawn table<string, boolean>  # the same without their labels
local Edges = {}
Edges.__index = Edges

function edges.new() return setmetatable({ list = {}, drawn = {} }, Edges) end

--- Adds an arrow, unless there is one of its kind. The nodes are JSON.
function Edges:add(from, kind, to, label)
  local text = '{"from":' .. from .. ',"to":' .. to .. ',"kind":"' .. kind .. '"'
  if self.drawn[text] then return end
  self.drawn[text] = true
  self.list[#self.list + 1] = label and text .. ',"label":' .. json.encode(label) or text
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
    self:add(json.encode(edge.from), edge.kind, json.encode(edge.to), edge.label)
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

--- Returns all of them as JSON.
---@return string
function Edges:encode()
  if #self.list == 0 then return "[]" end
  return "[" .. table.concat(self.list, "},") .. "}]"
end

return edges
