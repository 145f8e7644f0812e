--- co.spawn, co.spawn_with, co.yield, co.sleep, co.now: the twin of the middle of csrc/lua/lib_run.c.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local task = require "coropanic.guest.task"
local unwind = require "coropanic.guest.unwind"

local spawn = {}

local api, state = kernel.api, port.state

function api.spawn(fn, ...)
  if type(fn) ~= "function" then args.callable(fn, 1, "spawn", fn == nil and 0 or 1) end
  return kernel.handle(task.spawn(state(), nil, fn, ...))
end

local NAMES = {
  name = true, daemon = true, service = true, attributes = true, context = true, detached_trace = true,
  cpu_budget = true, watcher = true,
}

--- Raises unless the option is a context; set by context.lua.
---@type fun(value)|nil
spawn.check_context = nil

--- The options of a task, checked.
---@param scope? table  # whose spawn_with it is
function spawn.options(given, name, scope)
  args.options(given, 1, name, NAMES, given == nil and 0 or 1)
  local options = {
    name = args.option(given, 1, name, "name", "string"),
    daemon = args.option(given, 1, name, "daemon", "boolean") or false,
    service = args.option(given, 1, name, "service", "boolean") or false,
    attributes = args.option(given, 1, name, "attributes", "table"),
    detached_trace = args.option(given, 1, name, "detached_trace", "boolean") or false,
    context = given.context, scope = scope, spans = nil, direct = true,
  }
  if options.context ~= nil and spawn.check_context then spawn.check_context(options.context) end
  if given.cpu_budget ~= nil then
    kernel.raise("co.%s: cpu_budget is not available in the guest (docs/portability.md)", name)
  end
  if args.option(given, 1, name, "watcher", "boolean") then
    kernel.raise("co.%s: watcher is not available in the guest (docs/portability.md)", name)
  end
  if options.service then options.spans = "no" end
  return options
end

function api.spawn_with(given, fn, ...)
  local options = spawn.options(given, "spawn_with")
  args.callable(fn, 2, "spawn_with", fn == nil and 1 or 2)
  return kernel.handle(task.spawn(state(), options, fn, ...))
end

-- Time ---------------------------------------------------------------------------------------------------

local function always() return true end
local YIELD = { name = "yield", gave_way = always }

function api.yield()
  local t = kernel.need "yield"
  local u = t.universe
  t.wait, t.status, t.wake, t.raises = YIELD, "ready", "ready", 0
  u.current = nil
  port.wake(t)
  port.park(t, nil)
  u.current = t
  t.status = "running"
  if t.asked > 0 or t.wake == "deadlock" or kernel.needs_unwinding(t) then kernel.check_wake(t) end
end

compat.interpreted(api.yield)

local SLEEP = { name = "sleep", gave_way = function(t) return t.wake == "timeout" end }

function api.sleep(...)
  local seconds = args.seconds((...), 1, "sleep", select("#", ...))
  kernel.wait(kernel.need "sleep", SLEEP, nil, seconds)
end

function api.now() return port.now() end

spawn.unwind = unwind
return spawn
