--- A scope waits for the tasks that were spawned in it, its members, so that no task outlives it. Its first
--- half is its body, which can be cancelled by itself. A time-out is a scope whose body has a deadline. The
--- twin of scope/scope.h. Models: Trio's nurseries, Kotlin's coroutineScope and supervisorScope.
---
---   the body runs ──▶ the scope waits for its members ──▶ it is closed, and its outcome is
---                                                         returned or raised

local args = require "coropanic.guest.args"
local body = require "coropanic.guest.body"
local cancel = require "coropanic.guest.cancel"
local compat = require "coropanic.guest.compat"
local context = require "coropanic.guest.context"
local deadlock = require "coropanic.guest.deadlock"
local frames = require "coropanic.guest.frames"
local kernel = require "coropanic.guest.kernel"
local list = require "coropanic.guest.list"
local member = require "coropanic.guest.member"
local object = require "coropanic.guest.object"
local port = require "coropanic.guest.port"
local record = require "coropanic.guest.record"
local spawn = require "coropanic.guest.spawn"
local task = require "coropanic.guest.task"
local unhandled = require "coropanic.guest.unhandled"
local unwind = require "coropanic.guest.unwind"

local scope = {}

local pack, unpack = compat.pack, compat.unpack

--- The most panics of members that are kept besides the first.
local MAX_SUPPRESSED = 32

--- The most members that a scope's text names.
local MAX_NAMED = 8

---@class coropanic.guest.scope : coropanic.guest.body
---@field purpose string   # "scope", "supervise", "timeout"
---@field heir table       # of its members' panics
---@field members table    # list of members of live tasks
---@field live integer     # the number of members
---@field daemons integer  # of these, daemons
---@field panics table     # records of panics of members that the scope owns; `count` of all of them
---@field results? table   # of the body that has returned
---@field record? table    # of the body that has not

local methods = {}
local SCOPE = kernel.new_type("scope", methods)
local check = object.checker(SCOPE)

-- Cancelling ---------------------------------------------------------------------------------------------

--- Cancels what depends on the scope: its members, and its context.
local function pass_on(s, reason, source)
  local m = list.first(s.members)
  while m ~= nil do
    local next = list.after(s.members, m)
    cancel.ask(m.under.scope, reason, source)
    m = next
  end
  local ctx = s.under.context
  if ctx.ending == nil then
    ctx.reason = reason
    context.finish(ctx, "cancelled")
  end
end

-- Members ------------------------------------------------------------------------------------------------

--- Takes the panic of a member that has ended, unless it is not for the scope.
local function take(heir, t, r)
  local s = heir.scope
  if s.purpose == "supervise" or not unhandled.give(t, "heir") then return end
  local panics = s.panics
  panics.count = panics.count + 1
  if panics.count <= MAX_SUPPRESSED + 1 then panics[panics.count] = r end
  cancel.ask(s, ('task %d "%s" panicked'):format(t.id, kernel.name_of(t)), "scope")
end

--- A member has ended, and its panic, if any, has an owner; or no panic is awaited any more.
local function told(heir)
  local s = heir.scope
  if s.live > s.daemons or not s.is_ending then return end
  if s.owner.status == "waiting" then kernel.wake(s.owner, "ready") end
end

-- Opening and closing ------------------------------------------------------------------------------------

local function close(s)
  unhandled.forget(s.owner.universe, s.heir)
  body.close(s)
  local ctx = s.under.context
  if ctx.ending == nil then context.finish(ctx, "cancelled") end
end

--- The task has ended with the scope open.
local function abandon(s)
  pass_on(s, nil, "parent")
  local m = list.take_first(s.members)
  while m ~= nil do
    m.heir = nil -- no scope waits for it any more
    m = list.take_first(s.members)
  end
  close(s)
end

local function open(t, purpose, ctx)
  local s = setmetatable({
    purpose = purpose, members = list.new(), live = 0, daemons = 0, panics = { count = 0 }, is_ending = false,
  }, SCOPE)
  s.heir = { scope = s, awaited = 0, take = take, told = told }
  body.open(s, pass_on, t, ctx, abandon)
  if purpose == "timeout" then body.bind(s) end
  body.tell(s, "scope_open")
  return s
end

-- The end ------------------------------------------------------------------------------------------------

--- Adds the members' panics from number `first` on to the record.
local function add_suppressed(s, r, first)
  local panics = s.panics
  if panics.count < first then return end
  local suppressed = r._suppressed or {} -- those of a scope further in
  for i = first, math.min(panics.count, MAX_SUPPRESSED + 1) do suppressed[#suppressed + 1] = panics[i] end
  if panics.count > MAX_SUPPRESSED + 1 then suppressed.omitted = panics.count - 1 - MAX_SUPPRESSED end
  r._suppressed = suppressed
end

--- The first member's panic as a panic of the running code.
local function wrap_panic(s)
  local first = s.panics[1]
  local r = record.raise(s.owner.universe, first, first._kind)
  add_suppressed(s, r, 2)
  return r
end

--- All members have ended: closes the scope, and returns or raises its outcome. A panic comes before an exit.
local function conclude(s)
  unhandled.give_all(s.owner.universe, s.heir)
  close(s)
  if s.outcome == "panicked" then
    add_suppressed(s, s.record, 1)
    return error(s.record, 0)
  end
  if s.panics.count > 0 then return error(wrap_panic(s), 0) end
  if s.outcome == "returned" then
    body.raise_pending(s)
    if s.purpose == "timeout" then return true, unpack(s.results, 1, s.results.n) end
    return unpack(s.results, 1, s.results.n)
  end
  if s.outcome ~= "cancelled" then return error(s.record, 0) end
  s.record._recovered = true
  s.owner.raises = 0
  if s.purpose == "timeout" then return false, s.record end
end

local function members_of(s)
  local result = {}
  local m = list.first(s.members)
  while m ~= nil do
    result[#result + 1] = m.task
    m = list.after(s.members, m)
  end
  return result
end

local WAIT = { name = "end of scope", verb = "end", blockers = members_of }
function WAIT.object(t) return t.waits_on end

--- Whether all members have ended, and no task is on the way to the panic of one, which would then own it. In
--- a deadlock such tasks do not come, because scripts have closed their coroutines.
local function is_over(s)
  if s.live > 0 then return false end
  return s.owner.wake == "deadlock" or s.purpose == "supervise" or s.heir.awaited == 0
end

local function park(s)
  s.is_ending = true
  kernel.park(s.owner, WAIT, s)
  s.is_ending = false
end

--- Waits for the members. A cancellation of the task cancels them, and is raised after they have ended.
local function wait_for_members(s)
  local t = s.owner
  while true do
    if s.live > 0 and s.live == s.daemons then body.cancel(s, "scope") end
    if is_over(s) then return end
    if s.live > 0 and not cancel.is_cancelled(s) then
      local r = deadlock.find(t, WAIT, s)
      if r ~= nil then -- it replaces the outcome of the body, because the members must still be waited for
        s.outcome, s.record = "panicked", r
        body.cancel(s, "scope")
      end
    end
    park(s)
    if cancel.is_due(t) then body.cancel(s, "parent") end
  end
end

local FRAME = { name = "scope", shields = true }

--- The body has ended.
function FRAME.leave(s, stack, how, ...)
  body.leave(s, stack, how)
  if how == "returning" then s.results = pack(...) else s.record = (...) end
  wait_for_members(s)
  return conclude(s)
end

--- The scope, the innermost one, has lost its body: cancels the members, waits for them, and closes the
--- scope. A member's panic replaces the frame's outcome.
function FRAME.lost(s, stack)
  body.leave_lost(s)
  while not is_over(s) do park(s) end
  unhandled.give_all(s.owner.universe, s.heir)
  if s.panics.count > 0 then frames.unwind(stack, wrap_panic(s), "panicking") end
  close(s)
end

-- Text ---------------------------------------------------------------------------------------------------

local NAMES = { scope = "scope", supervise = "supervising scope", timeout = "scope of with_timeout" }

--- `scope (2 tasks: "a", "b")`
function SCOPE.__tostring(s)
  local name = NAMES[s.purpose]
  if s.state == "closed" then return name .. " (ended)" end
  if s.live == 0 then return name .. " (no tasks)" end
  local names = {}
  for i, t in ipairs(members_of(s)) do
    if i > MAX_NAMED then break end
    names[i] = ('"%s"'):format(kernel.name_of(t))
  end
  return ("%s (%s%d %s: %s%s)"):format(name, cancel.is_cancelled(s) and "cancelled, still running: " or "",
    s.live, s.live == 1 and "task" or "tasks", table.concat(names, ", "), s.live > #names and ", ..." or "")
end

-- The API ------------------------------------------------------------------------------------------------

--- The running task. Raises unless its own code runs, outside coroutines, and may suspend.
function scope.check_task(name)
  local t = kernel.need(name)
  if t.top == t.coroutine then return t end
  return kernel.raise("'%s' inside a coroutine: call it in the task's own code, outside coroutines", name)
end

--- The context for a scope that is opened now. A deferred call of an unwinding frame is shielded, so its
--- context inherits only the values.
local function child_context(t)
  local ctx = context.new(member.context_of(t), not cancel.is_shielded(t, 1))
  ctx.can_end = true
  return ctx
end

local function run_scope(name, purpose, ...)
  local fn = ...
  args.callable(fn, 1, name, select("#", ...))
  local t = scope.check_task(name)
  local s = open(t, purpose, child_context(t))
  return unwind.run(FRAME, s, fn, s)
end

function kernel.api.scope(...) return run_scope("scope", "scope", ...) end
function kernel.api.supervise(...) return run_scope("supervise", "supervise", ...) end

function kernel.api.with_timeout(...)
  local seconds, fn = ...
  local count = select("#", ...)
  args.seconds(seconds, 1, "with_timeout", count)
  args.callable(fn, 2, "with_timeout", count)
  local t = scope.check_task "with_timeout"
  local ctx = child_context(t)
  context.set_deadline(ctx, port.now() + seconds)
  local s = open(t, "timeout", ctx)
  return unwind.run(FRAME, s, fn, select(3, ...))
end

--- The open scope.
local function check_open(self, method)
  local s = check(self, method)
  if s.state == "closed" then kernel.raise("'%s' on a scope that has ended", method) end
  return s
end

function methods.spawn(self, ...)
  local s = check_open(self, "spawn")
  args.callable((...), 1, "spawn", select("#", ...))
  return kernel.handle(task.spawn(port.state(), { scope = s, direct = true }, ...))
end

function methods.spawn_with(self, given, fn, ...)
  local options = spawn.options(given, "spawn_with", check_open(self, "spawn_with"))
  args.callable(fn, 2, "spawn_with", fn == nil and 1 or 2)
  return kernel.handle(task.spawn(port.state(), options, fn, ...))
end

function methods.cancel(self, reason, source)
  return cancel.ask(check(self, "cancel"), reason, cancel.source_of(source, "scope"))
end

return scope
