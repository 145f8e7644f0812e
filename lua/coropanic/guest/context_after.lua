--- The callbacks of ctx:after: functions that a context starts when it ends, each in a task of its own that
--- goes on in the trace of the code that registered it. The twin of scope/context_after.h.
---
--- A callback is {fn, context, universe, over, ids}: over: it was started or stopped; ids: the trace ids of
--- the code that registered it. While it waits, it is a node of context.callbacks, and the universe holds the
--- context.

local args = require "coropanic.guest.args"
local context = require "coropanic.guest.context"
local handler = require "coropanic.guest.handler"
local ids = require "coropanic.guest.ids"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local task = require "coropanic.guest.task"
local unwind = require "coropanic.guest.unwind"

local methods, check = context.methods, context.check

--- Starts a callback that no context holds any more.
local function start(a)
  task.spawn(a.universe, { name = "after", apart = true, trace = a.ids, spans = a.spans }, a.fn)
end

--- Starts the callbacks of a context that has just ended.
function context.start_callbacks(c)
  local u
  local waiting = {}
  local a = list.take_first(c.callbacks)
  while a ~= nil do
    u = a.universe
    a.over = true
    u.afters = u.afters - 1
    waiting[#waiting + 1] = a
    a = list.take_first(c.callbacks)
  end
  if u == nil then return end
  u.pinned[c] = nil
  for _, each in ipairs(waiting) do
    local ok, err = unwind.protected(start, unwind.handler, each)
    if not ok then handler.report(u, unwind.settle(err)) end
  end
end

--- Keeps the callback from being started; false: it was started or stopped already.
local function stop(a)
  if a.over then return false end
  a.over = true
  local c, u = a.context, a.universe
  if c ~= nil then
    u.afters = u.afters - 1
    list.remove(a)
    if list.is_empty(c.callbacks) then u.pinned[c] = nil end
  end
  return true
end

local function add(c, fn)
  local u = port.state()
  local here = ids.here()
  local t = u.current
  local a = { fn = fn, universe = u, over = false }
  a.spans = probe.is_muted(u, t) and "muted" or t ~= nil and t.silent and "no" or "yes"
  if t ~= nil or here.trace.continued then a.ids = { trace = here.trace, parent = here } end
  if c.ending ~= nil then
    a.over = true
    start(a)
  elseif c.can_end then
    a.context = c
    c.callbacks = c.callbacks or list.new()
    list.append(c.callbacks, a)
    u.pinned = u.pinned or {}
    u.pinned[c] = true
    u.afters = u.afters + 1
  end
  return a
end

function methods.after(self, ...)
  local c = check(self, "after")
  args.callable((...), 1, "after", select("#", ...))
  local a = add(c, (...))
  return function() return stop(a) end
end
