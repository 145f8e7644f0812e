--- Listening beside others: a hook of the runtime (co.on_panic, co.trace.on_span) has one function.

local hook = {}

--- Puts in a function that passes on to the one that was there; returns what takes it out again, unless
--- somebody has put another one over it since: that one stays, and goes on calling ours.
---@param set fun(fn: function?): function?  # co.on_panic, co.trace.on_span, ...
---@param make fun(before: function?): function  # of the one that is there
---@return fun() take_out
function hook.put(set, make)
  local before = set(nil)
  local ours = make(before)
  set(ours)
  return function()
    local current = set(before)
    if current ~= ours then set(current) end
  end
end

return hook
