--- Calls that do not return.

local api = require "coropanic.lint.api"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

--- Makes a function that says whether a call, as a node, raises or ends the task: `error`, `co.panic`, or a
--- function of the file that ends so itself.
---@param of table  # values of the file
---@return fun(node: table): boolean
return function(of)
  local known = {} -- by function; false while it is looked at
  local function raises(node)
    local call = of:call(node)
    if api.RAISES[call.path] then return true end
    local fn = values.function_of(call.target)
    if not fn then return false end
    if known[fn] == nil then
      known[fn] = false
      local last = fn[2][#fn[2]]
      known[fn] = last ~= nil and last.tag ~= "Return" and tree.leaves(fn[2], raises)
    end
    return known[fn]
  end
  return raises
end
