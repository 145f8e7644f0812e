--- What every random program runs in, and the promises that it is held to. The program is Lua text that
--- generate.lua has made, or a file; it sees the names of `new_world` alone, and Lua's libraries.

local generate = require "spec.fuzz.generate"

-- How many function bodies and turns of loops a program may begin: enough for every statement that it has to
-- run a few times.
local FUEL = 400

--- The names that a program uses.
local function new_world(co, memory)
  local world = setmetatable({ co = co, memory = memory }, { __index = _G })
  for _, pool in ipairs(generate.POOLS) do world[pool] = {} end
  -- Made here: string.rep leaks its buffer where C calls nest too deep to close it (Lua 5.4.4).
  world.long = ("y"):rep(5000)
  local fuel = FUEL
  world.registered, world.ran, world.twice = 0, 0, 0

  --- Whether the program has run long enough: every body and every loop asks.
  function world.spent()
    fuel = fuel - 1
    return fuel < 0
  end

  --- co.defer of a call that is counted.
  function world.defer(fn)
    local times = 0
    local handle = co.defer(function(...)
      times = times + 1
      world.ran = world.ran + 1
      if times > 1 then world.twice = world.twice + 1 end
      return fn(...)
    end)
    world.registered = world.registered + 1
    return handle
  end

  --- Garbage whose finalizer runs `fn`.
  function world.garbage(fn) setmetatable({}, { __gc = function() pcall(fn) end }) end

  --- A value whose metamethods run `fn`.
  function world.living(fn)
    local function run() return (select(2, pcall(fn))) end
    return setmetatable({}, {
      __tostring = function() run() return "living" end,
      __index = function() return run() end,
      __close = function() return fn() end,
      __name = "living",
    })
  end

  --- Observers, of which `stop_observing` stops all.
  local stops = {}
  function world.observe(kinds, fn) stops[#stops + 1] = co.observe(kinds, fn) end
  function world.stop_observing()
    while stops[1] do table.remove(stops)() end
  end

  --- What an API function says to wrong arguments is of no interest, only that it says it.
  function world.try(fn, ...) return pcall(fn, ...) end

  --- fn of a table of the API by its path, which later versions may not have.
  function world.api(path, ...)
    local fn = co
    for name in path:gmatch "[^.]+" do fn = fn and fn[name] end
    return pcall(fn, ...)
  end

  function world.method(object, name, ...)
    local is_there, method = pcall(function() return object[name] end)
    if is_there and method then return pcall(method, object, ...) end
  end
  return world
end

local function promise(kept, message, ...)
  if not kept then error(message:format(...), 0) end
end

--- What holds after any program in which nothing was dropped: no coroutine, no state closed, no memory short.
local function check(world, co, is_exact)
  promise(world.twice == 0, "%d deferred calls ran twice", world.twice)
  if not is_exact then return end
  promise(world.ran == world.registered, "%d deferred calls, %d ran", world.registered, world.ran)
  promise(co.stats().live == 0, "%d tasks live after the run", co.stats().live)
  promise(co.current() == nil, "a task is current after the run")
end

return function(mode, seed, file, memory)
  local text, is_exact
  if file then
    local f <close> = assert(io.open(file))
    text = f:read "a"
    is_exact = text:find("-- exact", 1, true) ~= nil
  else
    text, is_exact = generate.text(seed, mode)
  end
  local co = require "coropanic"
  co.on_panic(function() end)
  local world = new_world(co, memory)
  local program = assert(load(text, "=program", "t", world))
  memory.protected(program)
  collectgarbage "stop" -- the program's finalizers may set a debug hook again, which would raise here
  debug.sethook()
  for _, hook in ipairs { "on_spawn", "on_start", "on_suspend", "on_exit" } do co[hook]() end
  co.trace.on_span()
  world.stop_observing()
  check(world, co, is_exact)
end
