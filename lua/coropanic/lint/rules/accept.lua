--- C107: a task for each connection, and no bound on them.

local effects = require "coropanic.lint.effects"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"

local rule = {
  id = "C107",
  name = "unbounded-accept",
  summary = "spawn without a bound in an endless accept loop",
}

--- Whether the loop goes on for ever, as far as its condition says.
local function is_endless(loop)
  if loop.tag == "While" then
    local tag = values.bare(loop[1]).tag
    return tag == "True" or tag == "Number" or tag == "String"
  end
  return loop.tag == "Repeat" and (values.bare(loop[2]).tag == "False" or values.bare(loop[2]).tag == "Nil")
end

local COMPARES = { lt = true, le = true, gt = true, ge = true, eq = true, ne = true }

--- Methods that bound something, if it is not known what object they are of.
local BOUNDS = { acquire = true, try_acquire = true, guard = true, lock = true }

local BOUNDING_TYPES = { semaphore = true, bulkhead = true, task = true, waitgroup = true }

--- What bounds tasks from within: those for which there is no room end at once.
local REFUSES = { ["bulkhead:call"] = true, ["semaphore:try_acquire"] = true }

--- Waits that somebody else ends: a channel may be a semaphore, as it is in Go.
local WAITS = {
  ["channel:send"] = true, ["channel:recv"] = true, ["condition:wait"] = true, ["event:wait"] = true,
  ["co.select"] = true,
}

--- The name that is called: "accept" of `server:accept()` and of `server.accept(...)`.
local function name_of(node)
  local name = node.tag == "Invoke" and node[2]
  if node.tag == "Call" and values.bare(node[1]).tag == "Index" then name = values.bare(node[1])[2] end
  return name and name.tag == "String" and name[1] or nil
end

--- Whether a call keeps the loop from going on, or may: a semaphore, a wait for a task, an unknown `acquire`.
local function may_bound(call)
  if WAITS[call.path] then return true end
  local type_name = call.path and call.path:match "^([^:]*):"
  if type_name then return BOUNDING_TYPES[type_name] end
  return BOUNDS[name_of(call.node)]
end

--- What the loop does: whether it accepts, whether something may bound it, and its own spawns. What the tasks
--- do is theirs: a semaphore that they wait for bounds their work, and not their number.
local function look(file, loop)
  local accepts, is_bounded, spawns = false, false, {}
  local fn = tree.function_of(loop)
  tree.each(loop, function(node)
    if node.tag == "Op" and COMPARES[node[1]] and tree.function_of(node) == fn then is_bounded = true end
    local is_call = node.tag == "Call" or node.tag == "Invoke"
    if is_call and REFUSES[file.values:call(node).path] then is_bounded = true end
  end)
  file.effects:each(loop, function(call, at)
    local is_own = at == call.node and tree.function_of(at) == fn
    if is_own and name_of(at) == "accept" then accepts = true end
    if file.api.SPAWNS[call.path] then
      if is_own then spawns[#spawns + 1] = call end
    elseif may_bound(call) then
      is_bounded = true
    end
  end)
  return accepts, is_bounded, spawns
end

function rule.check(file, report)
  tree.each(file.main, function(loop)
    if not tree.is_loop(loop) or not is_endless(loop) then return end
    local accepts, is_bounded, spawns = look(file, loop)
    if not accepts or is_bounded then return end
    for _, call in ipairs(spawns) do
      report(call.node, ("'%s' for each connection, and nothing bounds their number: acquire a semaphore"
        .. " before you accept"):format(effects.name(call.path)))
    end
  end)
end

return rule
