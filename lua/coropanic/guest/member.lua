--- A task as a member: of the context under which it runs, and of the scope that waits for it. Most tasks
--- have neither, and then no member. The twin of scope/member.h and scope/spawn.h.
---
--- A member is {task, under, heir}: under: the binding of the task's entry to its context; heir: that of its
--- scope, nil: no scope waits for it. While it has a scope it is a node of scope.members.

local cancel = require "coropanic.guest.cancel"
local context = require "coropanic.guest.context"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local task = require "coropanic.guest.task"

local member = {}

local background = context.background
local NONE = {}

--- The context of the task's running code.
function member.context_of(t)
  local inner = cancel.innermost(t)
  if inner ~= nil then return inner.under.context end
  return t.member and t.member.under.context or background
end

--- The scope that a task joins which this one spawns now; nil: none.
local function scope_of(t)
  local c = cancel.innermost(t)
  while c ~= nil and c.members == nil do c = c.outer end -- the body of a co.with has none
  if c ~= nil then return c end
  local heir = t.member and t.member.heir
  return heir and heir.scope
end

--- The context and the scope for a task that is spawned now.
local function choose(spawner, options)
  local s, ctx = options.scope, options.context and context.test(options.context)
  if s ~= nil then return ctx or s.under.context, s end
  if spawner == nil then return ctx, nil end
  s = scope_of(spawner)
  if ctx == nil then return member.context_of(spawner), s end
  if s ~= nil and not context.descends(ctx, s.under.context) then s = nil end
  return ctx, s
end

--- Puts the task under its context; if that has ended, cancels the task.
local function join_context(t, under, shielded)
  local ctx = under.context
  t.entry.has_deadline = ctx.due ~= nil
  if context.bind(under) or shielded then return end
  cancel.ask_new(t, context.cause(ctx), context.source(ctx))
end

local function join_scope(t, m, shielded)
  local s = m.heir.scope
  local is_over = s.state == "closed" or cancel.is_cancelled(s)
  if s.state == "closed" then
    m.heir = nil
  else
    list.append(s.members, m)
    s.live = s.live + 1
    if t.daemon then s.daemons = s.daemons + 1 end
  end
  if is_over and not shielded and t.asked == 0 then cancel.ask_new(t, nil, "scope") end
end

--- Makes the new task a member, if it needs that. If a given context does not descend from that of the
--- innermost scope, the task does not join that scope.
---@param options? table  # `scope`: nil: the innermost one; `context`: nil: that of the scope given, or the
---                       # current; `apart`: it is no member
function task.become_member(u, t, options)
  local spawner = u.current
  if options and options.apart then return end
  local inherits = spawner ~= nil and (spawner.member ~= nil or cancel.innermost(spawner) ~= nil)
  if options == nil and not inherits then return end
  local ctx, s = choose(spawner, options or NONE)
  if (ctx == nil or ctx == background) and s == nil then return end
  local m = { task = t, heir = s and s.heir, under = { context = ctx or background, scope = t.entry } }
  t.member = m
  local shielded = spawner ~= nil and cancel.is_shielded(spawner, 1)
  join_context(t, m.under, shielded)
  if m.heir ~= nil then join_scope(t, m, shielded) end
end

--- Takes a task that has ended out of its scope and context.
function task.leave_member(_, t)
  local m = t.member
  list.remove(m.under)
  if m.list ~= nil then
    list.remove(m)
    local s = m.heir.scope
    s.live = s.live - 1
    if t.daemon then s.daemons = s.daemons - 1 end
  end
  t.member = nil
end

--- The running task's context.
function kernel.api.ctx()
  local t = kernel.current()
  return (t and member.context_of(t) or background).object
end

return member
