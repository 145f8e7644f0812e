--- Observers: co.observe, and the hooks that are observers. The twin of kernel/observe.h.

local args = require "coropanic.guest.args"
local compat = require "coropanic.guest.compat"
local handler = require "coropanic.guest.handler"
local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local universe = require "coropanic.guest.universe"

local observe = {}

local api, state, pcall = kernel.api, port.state, compat.pcall
local unpack = compat.unpack

--- The most events that wait.
local MAX_PENDING = 300000

--- Slots of the stack that an observer of a panic needs at least, with the report if it fails. If fewer are
--- left, as where the stack has overflowed, the event waits.
local ROOM = 1000
local NOTHING = {}

local KINDS = {}
for _, kind in ipairs(universe.KINDS) do KINDS[kind] = true end

--- Updates the wants of the observers' sink.
local function update(u)
  local sink = u.observer_sink
  local wants = {}
  for _, o in ipairs(u.observers) do
    for kind in pairs(o.wants) do wants[kind] = true end
  end
  sink.wants, sink.pending = wants, #u.pending > 0
  probe.update(u)
end

--- Removes stopped observers. No code may be walking the list.
local function sweep(u)
  for i = #u.observers, 1, -1 do
    if u.observers[i].stopped then table.remove(u.observers, i) end
  end
  update(u)
end

--- Calls each observer up to the one numbered `last` that wants the event and has not been told; called
--- protected. Notes in `progress` which one is called.
local function call_each(u, event, last, progress)
  u.muted = u.muted + 1
  local kind, object, extra, told = event.kind, event.object, event.extra, event.told
  if kind == "panic" then unpack(NOTHING, 1, ROOM) end -- raises
  for i = 1, last do
    local o = u.observers[i]
    progress.at = i
    if o ~= nil and not o.stopped and o.wants[kind] and not (told and told[o]) then
      local t = kernel.test(object)
      if not o.is_listener then
        handler.call(u, t, o.fn, kind, object, extra)
      elseif kind == "span_end" then
        handler.call(u, t, o.fn, object, extra)
      else
        handler.call(u, t, o.fn, object)
      end
    end
  end
end

--- Tells the event to each observer up to the one numbered `last`. Returns false if a stack that is full has
--- no room for that: then the event knows who has been told, and may be delivered again.
local function deliver(u, event, last)
  local muted, progress = u.muted, { at = 0 }
  -- If even this call finds no room, its error goes on, and nothing is counted yet.
  local has_room = pcall(call_each, u, event, last, progress)
  u.muted = muted
  if has_room then return true end
  local told = event.told or {}
  for i = 1, progress.at - 1 do
    local o = u.observers[i]
    if o ~= nil then told[o] = true end
  end
  event.told = told
  return false
end

--- Tells the events that wait.
function observe.flush(u)
  local pending = u.pending
  if #pending == 0 or u.muted > 0 then return end
  local last = #u.observers
  local i, has_room = 1, true
  while has_room and i <= #pending do -- the observers may add events
    has_room = deliver(u, pending[i], last)
    if has_room then i = i + 1 end
  end
  local left = {}
  for j = i, #pending do left[#left + 1] = pending[j] end
  u.pending = left
  sweep(u)
end

--- Stores the event, to wait.
local function put(u, sink, event)
  if #u.pending >= MAX_PENDING then return end
  u.pending[#u.pending + 1] = {
    kind = event.kind, object = event.object, extra = event.extra, told = event.told,
  }
  if not sink.pending then
    sink.pending = true
    probe.update(u)
  end
end

local function write(sink, u, event)
  local is_wanted = not event.muted and sink.wants[event.kind]
  if not event.calls or u.muted > 0 then
    if is_wanted then put(u, sink, event) end
    return
  end
  observe.flush(u)
  if not is_wanted then return end
  if #u.pending > 0 or not deliver(u, event, #u.observers) then -- there was no room
    put(u, sink, event)
    return
  end
  sweep(u)
end

local function begin(u, o)
  if u.observer_sink == nil then
    u.observer_sink = { wants = {}, pending = false, write = write }
    u.sinks[#u.sinks + 1] = u.observer_sink -- observers hear an event last
  end
  u.observers[#u.observers + 1] = o
  update(u)
end

--- Gives a new universe the handlers and observers of another one. An observer that is stopped hears of
--- neither.
function observe.inherit(u, from)
  u.on_panic, u.on_start = from.on_panic, from.on_start
  for _, o in ipairs(from.observers) do
    if not o.stopped then begin(u, o) end
  end
end

local function stop(u, o)
  o.stopped, o.wants = true, {}
  if u.muted == 0 then sweep(u) end
end

local function check_kinds(kinds, count)
  if type(kinds) ~= "table" then args.type_error(kinds, 1, "observe", "table", count) end
  if #kinds == 0 then args.refuse(1, "observe", "list of one or more kinds of events expected") end
  local wants = {}
  for i = 1, #kinds do
    local kind = kinds[i]
    if type(kind) ~= "string" or not KINDS[kind] then
      local what = type(kind) == "string" and ('unknown kind "%s"'):format(kind)
        or ("item %d: string expected, got %s"):format(i, type(kind))
      args.refuse(1, "observe", ("%s; the kinds are %s"):format(what, table.concat(universe.KINDS, ", ")))
    end
    wants[kind] = true
  end
  return wants
end

function api.observe(...)
  local kinds, fn = ...
  local wants = check_kinds(kinds, select("#", ...))
  args.callable(fn, 2, "observe", select("#", ...))
  local u = state()
  observe.flush(u) -- the new observer does not hear the events until now
  local o = { fn = fn, wants = wants, is_listener = false, stopped = false }
  begin(u, o)
  return function()
    observe.flush(u) -- the observer still hears the events until now
    stop(u, o)
  end
end

--- Makes `fn`, or nil, the only observer of this kind that is called without the kind; returns the former
--- one.
function observe.set_listener(kind, name, fn)
  local u = state()
  u.listeners = u.listeners or {}
  local listener = u.listeners[kind]
  local before = listener and listener.fn
  if fn == nil then
    if listener then stop(u, listener) end
    u.listeners[kind] = nil
    return before
  end
  args.callable(fn, 1, name)
  if listener then
    listener.fn = fn
  else
    listener = { fn = fn, wants = { [kind] = true }, is_listener = true, stopped = false }
    u.listeners[kind] = listener
    begin(u, listener)
  end
  return before
end

function api.on_spawn(fn) return observe.set_listener("spawn", "on_spawn", fn) end
function api.on_suspend(fn) return observe.set_listener("stop", "on_suspend", fn) end
function api.on_exit(fn) return observe.set_listener("end", "on_exit", fn) end

local function set_hook(field, name, fn)
  if fn ~= nil then args.callable(fn, 1, name) end
  local u = state()
  local before = u[field]
  u[field] = fn
  return before
end

function api.on_panic(fn) return set_hook("on_panic", "on_panic", fn) end
function api.on_start(fn) return set_hook("on_start", "on_start", fn) end

return observe
