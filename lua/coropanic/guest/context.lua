--- Contexts: immutable chains of values, deadlines and cancellation, as in Go's package context. The twin of
--- scope/context.h.
---
--- A child holds its parent. A parent holds its children weakly, so that a context without references is
--- collected, and its timer is stopped. Whatever depends on a context holds it: a task or scope under it, its
--- done channel, and, while a callback of ctx:after waits, the universe.

local args = require "coropanic.guest.args"
local cancel = require "coropanic.guest.cancel"
local chan = require "coropanic.guest.chan"
local compat = require "coropanic.guest.compat"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local spawn = require "coropanic.guest.spawn"

local context = {}

local getmetatable, state = compat.getmetatable, port.state

---@class coropanic.guest.context
---@field parent? table      # nil: the background
---@field key any            # of with_value
---@field held any           # its value
---@field ending? string     # "cancelled" or "expired" once it has ended
---@field reason any         # the cause given to cancel, or for the deadline
---@field own_end? boolean   # it ended by itself and not with its parent, so it has the cause
---@field can_end? boolean   # nil: the background, values on top of it, and without_cancel's
---@field due? number        # the deadline, its own or an ancestor's
---@field timer any
---@field guard any          # its finalizer stops the timer
---@field number? integer    # among the children of its parent
---@field children? table    # weak: number -> child, of those that end with it
---@field made? integer      # children that it has had
---@field bound? table       # list of bindings {context, scope}: the cancel scopes that end with it
---@field done_channel any   # of ctx:done()
---@field callbacks? table   # of ctx:after: see context_after.lua
---@field muted? boolean     # an observer made it
---@field object table       # the context as scripts see it

local WEAK = { __mode = "v" }
local ERRORS = { cancelled = "context canceled", expired = "context deadline exceeded" }

local methods = {}
local CONTEXT = kernel.new_type("context", methods)

--- The key of the context in the object that scripts see.
local STATE = {}

--- The context of the object; nil for any other value.
function context.test(value)
  return getmetatable(value) == CONTEXT and rawget(value, STATE) or nil
end

--- The same for a method's self; raises for any other value.
local function check(self, method)
  return context.test(self) or args.refuse_self(self, "context", method, self == nil and 0 or 1)
end

function CONTEXT.__newindex() return kernel.raise "a context can not be written to" end

local function new_context(c)
  c.object = setmetatable({ [STATE] = c }, CONTEXT)
  return c
end

local function tell(c, kind, extra)
  local u = state()
  u.counts[kind] = u.counts[kind] + 1
  if not u.wants[kind] then return end
  probe.tell(u, { kind = kind, object = c.object, extra = extra, muted = c.muted })
end

-- Making -------------------------------------------------------------------------------------------------

local background = new_context {}
context.background = background

--- Makes a child of the context.
---@param linked boolean  # it ends with its parent; false: it only inherits the values
function context.new(parent, linked)
  local u = state()
  local c = new_context { parent = parent, muted = probe.is_muted(u, u.current) }
  tell(c, "context_open")
  if not linked or not parent.can_end then return c end
  c.can_end, c.due, c.ending = true, parent.due, parent.ending
  if c.ending ~= nil then return c end
  local number = (parent.made or 0) + 1
  parent.made, c.number = number, number
  parent.children = parent.children or setmetatable({}, WEAK)
  parent.children[number] = c
  return c
end

--- Makes an object whose finalizer calls `fn`.
local function finalizer(fn)
  if newproxy == nil then return setmetatable({}, { __gc = fn }) end -- luacheck: ignore
  local proxy = newproxy(true) -- luacheck: ignore
  getmetatable(proxy).__gc = fn
  return proxy
end

local function stop_timer(c)
  if c.timer == nil then return end
  port.stop_timer(c.timer)
  c.timer, c.guard = nil, nil
end

--- Sets the deadline, by co.now(), of a new context, unless an ancestor's comes first.
function context.set_deadline(c, due)
  c.can_end = true
  if c.due ~= nil and due >= c.due then return end
  if due == math.huge then return end
  c.due = due
  if c.ending ~= nil then return end
  local seconds = due - port.now()
  if seconds <= 0 then return context.finish(c, "expired") end
  local weak = setmetatable({ c }, WEAK) -- the loop's timer must not keep the context
  local timer = port.start_timer(seconds, function()
    local expired = weak[1]
    if expired ~= nil then
      expired.timer, expired.guard = nil, nil
      context.finish(expired, "expired")
    end
  end)
  c.timer, c.guard = timer, finalizer(function() port.stop_timer(timer) end)
  tell(c, "timer", due)
end

-- Ending -------------------------------------------------------------------------------------------------

--- The cause of its end; nil while it is live.
function context.cause(c)
  if c.ending == nil then return nil end
  local text = ERRORS[c.ending]
  while not c.own_end and c.parent ~= nil do c = c.parent end
  if c.reason ~= nil then return c.reason end
  return text
end

--- The source of the cancellations that its end makes.
function context.source(c) return c.ending == "expired" and "deadline" or "parent" end

--- Lets the end of the context cancel the cancel scope of the binding. Returns false, and does nothing, if
--- the context has ended.
function context.bind(binding)
  local c = binding.context
  if c.ending ~= nil then return false end
  if c.can_end then
    c.bound = c.bound or list.new()
    list.append(c.bound, binding)
  end
  return true
end

--- Whether `c` is `ancestor` or descends from it.
function context.descends(c, ancestor)
  while c ~= nil and c ~= ancestor do c = c.parent end
  return c == ancestor
end

--- Starts the callbacks of ctx:after; set by context_after.lua.
context.start_callbacks = nil

--- Tells everything but its children that the context has ended.
local function tell_end(c)
  tell(c, "context_end", ERRORS[c.ending])
  local done = c.done_channel and chan.test(c.done_channel)
  if done then chan.close(done) end
  if c.bound ~= nil then
    local reason, source = context.cause(c), context.source(c)
    local binding = list.take_first(c.bound)
    while binding ~= nil do
      cancel.ask(binding.scope, reason, source)
      binding = list.take_first(c.bound)
    end
  end
  if c.callbacks ~= nil then context.start_callbacks(c) end
end

--- Marks the children as ended, and adds them to the queue, in the order in which they were made.
local function enqueue_children(c, queue)
  if c.children == nil then return end
  local numbers = {}
  for number in pairs(c.children) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local child = c.children[number]
    if child ~= nil and child.ending == nil then
      stop_timer(child)
      child.ending = c.ending
      queue[#queue + 1] = child
    end
  end
  c.children = nil
end

--- Ends a context and what depends on it, parents before children: breadth first. Harmless if it has ended.
---@param ending string  # "cancelled" or "expired"
function context.finish(c, ending)
  if c.ending ~= nil or not c.can_end then return end
  c.own_end, c.ending = true, ending
  stop_timer(c)
  if c.parent.children ~= nil and c.number ~= nil then c.parent.children[c.number] = nil end
  local queue, i = { c }, 1
  while queue[i] ~= nil do
    local next = queue[i]
    enqueue_children(next, queue)
    tell_end(next)
    i = i + 1
  end
end

-- co.context ---------------------------------------------------------------------------------------------

local api = {}
kernel.api.context = api

local function check_parent(name, ...)
  return context.test((...)) or args.type_error((...), 1, name, "context", select("#", ...))
end

function api.background() return background.object end

function api.with_value(...)
  local parent = check_parent("with_value", ...)
  local _, key, value = ...
  if key == nil then args.type_error(key, 2, "with_value", "key that is not nil", select("#", ...)) end
  local c = context.new(parent, true)
  c.key, c.held = key, value
  return c.object
end

--- The second result of with_cancel and the like.
local function canceller(c)
  return function(cause)
    if c.ending ~= nil then return end
    c.reason = cause
    context.finish(c, "cancelled")
  end
end

function api.with_cancel(...)
  local c = context.new(check_parent("with_cancel", ...), true)
  c.can_end = true
  return c.object, canceller(c)
end

local function with_deadline(parent, due, cause)
  local c = context.new(parent, true)
  c.reason = cause
  context.set_deadline(c, due)
  return c.object, canceller(c)
end

function api.with_timeout(...)
  local parent = check_parent("with_timeout", ...)
  local _, seconds, cause = ...
  args.seconds(seconds, 2, "with_timeout", select("#", ...))
  return with_deadline(parent, port.now() + seconds, cause)
end

function api.with_deadline(...)
  local parent = check_parent("with_deadline", ...)
  local _, due, cause = ...
  args.time(due, 2, "with_deadline", select("#", ...))
  return with_deadline(parent, due, cause)
end

function api.without_cancel(...)
  return context.new(check_parent("without_cancel", ...), false).object
end

-- Methods ------------------------------------------------------------------------------------------------

function methods.value(self, key)
  local c = check(self, "value")
  if key == nil then return nil end
  while c ~= nil do
    if rawequal(c.key, key) then return c.held end
    c = c.parent
  end
  return nil
end

function methods.err(self) return ERRORS[check(self, "err").ending] end

function methods.cause(self) return context.cause(check(self, "cause")) end

function methods.deadline(self) return check(self, "deadline").due end

function methods.done(self)
  local c = check(self, "done")
  if not c.can_end then return nil end
  if c.done_channel == nil then
    c.done_channel = chan.new(0, c)
    if c.ending ~= nil then chan.close(chan.test(c.done_channel)) end
  end
  return c.done_channel
end

function CONTEXT.__tostring(self)
  local c = check(self, "__tostring")
  local text = c.ending and ERRORS[c.ending]:sub(#"context " + 1)
  if text == nil then
    text = c.parent == nil and "background" or c.due ~= nil and "live, with a deadline" or "live"
  end
  return ("context (%s)"):format(text)
end

--- The context of the option `context` of a task.
function spawn.check_context(value)
  if context.test(value) == nil then args.option_error(value, 1, "spawn_with", "context", "context") end
end

context.check, context.methods = check, methods

return context
