--- Lua 5.1: pcall and xpcall through which tasks can suspend, as they can in all later Luas. In a task each
--- call of them has a coroutine of its own, as those of co.pcall have; elsewhere they are Lua's own.

local compat = require "coropanic.guest.compat"
local port = require "coropanic.guest.port"
local unwind = require "coropanic.guest.unwind"

if compat.yields_in_pcall then return end

local state, running, has_room = port.state, compat.running, compat.has_room
local pcall, xpcall, protected_plainly = compat.pcall, compat.raw_xpcall, unwind.protected_plainly
local select, traceback, status = select, debug.traceback, compat.status

--- Whether the code that is called may want to suspend, and there is room for one coroutine more.
local function needs_coroutine() return state().current ~= nil and running() ~= nil and has_room() end

local function keep(err) return err end
local function all(...) return ... end -- keeps its caller's activation, which a tail call would replace

local function plain_pcall(...)
  if select("#", ...) == 0 or not needs_coroutine() then return pcall(...) end
  return all(protected_plainly((...), keep, select(2, ...)))
end

local function plain_xpcall(...)
  if select("#", ...) < 2 or not needs_coroutine() then return xpcall(...) end
  local fn, handler = ...
  return all(protected_plainly(fn, function(err, thread)
    -- the stack of the error is that of the coroutine, which has died of it
    if handler == traceback then return traceback(thread, err) end
    local ok, result = pcall(handler, err)
    return ok and result or "error in error handling"
  end))
end

--- The status of a coroutine as the code knows it that has made it: running while a call of pcall in it runs.
local function plain_status(thread)
  return thread ~= nil and thread == compat.outermost_running() and "running" or status(thread)
end

unwind.catches(plain_pcall)
unwind.catches(plain_xpcall)
rawset(_G, "pcall", plain_pcall)
rawset(_G, "xpcall", plain_xpcall)
rawset(coroutine, "running", compat.outermost_running)
rawset(coroutine, "status", plain_status)
