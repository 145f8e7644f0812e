--- Why the running code can't suspend: the twin of kernel/obstacle.c.

local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"

local getinfo, type = compat.getinfo, type

--- The name under which a loaded module has the function: "table.sort"; or nil.
local function loaded_name(fn)
  for module, value in next, package.loaded do
    if type(value) == "table" and type(module) == "string" then
      for name, item in next, value do
        if rawequal(item, fn) and type(name) == "string" then
          return module == "_G" and name or module .. "." .. name
        end
      end
    end
  end
end

--- A name if the function at this level was called in a way in which no function can suspend.
local function special_name(info)
  if info.namewhat == "hook" then return "a debug hook" end
  local is_metamethod = info.namewhat == "metamethod" and info.name
  if is_metamethod and info.name:find("gc", 1, true) then return "a finalizer" end
  if info.func == error then return "a message handler" end -- it calls nothing else
  local is_iterator = info.name == "(for generator)"
  if is_iterator and not compat.yields_in_iterator then return "a 'for' loop's iterator" end
end

-- The C functions through which code may suspend, in the Luas that allow it.
local passes = {}
if compat.yields_in_pcall then passes[pcall], passes[xpcall] = true, true end

--- The same for the code of one stack, from `level` on; nil: there is nothing.
local function obstacle_in(thread, level)
  local info = getinfo(thread, level, "Snf")
  while info do
    local name = special_name(info)
    if name then return name end
    level = level + 1
    local outer = getinfo(thread, level, "Snf")
    -- a protected call's coroutine may begin with a C function of user code
    local is_own = outer and kernel.is_ours(outer.source) and outer.source ~= compat.SOURCE
    if info.what == "C" and not passes[info.func] and not is_own then
      return ("the C function '%s'"):format(loaded_name(info.func) or info.name or "?")
    end
    info = outer
  end
end

--- A name for what keeps the running code from suspending: "the C function 'table.sort'". It may stand around
--- the coroutine that runs, in the one that has resumed it.
local function obstacle()
  local c, thread = kernel.here(), compat.running()
  local name = thread and obstacle_in(thread, 3)
  while name == nil and c ~= nil and thread do
    thread = kernel.below and kernel.below[thread]
    if thread == nil then
      c = c.outer
      thread = c and c.thread
    end
    if type(thread) == "thread" then name = obstacle_in(thread, 1) end -- 0 is the `resume` in which it waits
  end
  return name or "a message handler, metamethod or finalizer"
end

function kernel.refuse_suspension(u, t, name)
  if t == nil then kernel.raise("'%s' outside a task: start one with co.run or co.spawn", name) end
  local c = kernel.here()
  if (compat.running() or compat.MAIN) ~= c.thread then c = nil end
  while c ~= nil and c ~= t.top do c = c.outer end
  if c == nil then
    kernel.raise("'%s' inside a coroutine that coropanic did not make: do this in a task of its own "
      .. "(co.spawn) and join it", name)
  end
  local way = u.hooks > 0 and "a hook, handler or metamethod" or obstacle()
  kernel.raise("'%s' can not suspend here: %s is in the way; do this before or after it", name, way)
end

kernel.obstacle = obstacle
return obstacle
