--- The policies of coropanic.resilience that have a name, as coropanic.debug shows them.

local json = require "coropanic.debug.json"
local registry = require "coropanic.resilience.registry"
local text_of = require "coropanic.text"

local policies = {}

--- The most policies that are shown, and the most children of a supervisor.
policies.MAX, policies.MAX_CHILDREN = 100, 100

local MAX_NAME = 100 -- characters

-- In the order of which calls go through them.
local KINDS = { "supervisor", "boundary", "hedge", "retry", "budget", "breaker", "bulkhead" }

local function short(text) return text_of.cut(text_of.valid(text), MAX_NAME) end

local function child_of(one)
  return {
    id = short(one.id), status = one.status, restart = one.restart, restarts = one.restarts,
    task = one.task and one.task.id or nil, last_panic = one.last_panic and one.last_panic.trace_id or nil,
  }
end

local function children_of(supervisor)
  local children = json.list {}
  for i, one in ipairs(supervisor:children()) do
    if i > policies.MAX_CHILDREN then break end
    children[i] = child_of(one)
  end
  return children
end

--- What is told when it changes: what people act on.
local function state_of(kind, policy, stats)
  return {
    kind = kind, name = short(policy.name), state = stats.state, opened_by = stats.opened_by,
    children = kind == "supervisor" and children_of(policy) or nil,
  }
end

--- The numbers, which change with each call.
local function figures_of(stats)
  local figures = {}
  for name, value in pairs(stats) do
    if type(value) == "number" then figures[name] = value end
  end
  return figures
end

---@class coropanic.debug.policy
---@field kind string
---@field name string
---@field state string?  # of a breaker
---@field opened_by string?  # a trace id
---@field children table[]?  # of a supervisor

--- Returns the policies, the figures of each, and how many are left out.
---@return coropanic.debug.policy[] list, table<string, number>[] figures, integer omitted
function policies.take()
  local list, figures, omitted = json.list {}, json.list {}, 0
  for _, kind in ipairs(KINDS) do
    for _, entry in ipairs(registry.list(kind)) do
      for _, policy in ipairs(entry.live) do
        if #list < policies.MAX then
          local stats = policy:stats()
          list[#list + 1], figures[#figures + 1] = state_of(kind, policy, stats), figures_of(stats)
        else
          omitted = omitted + 1
        end
      end
    end
  end
  return list, figures, omitted
end

return policies
