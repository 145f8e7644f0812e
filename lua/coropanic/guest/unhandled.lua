--- The owner of a task's unrecovered panic: a joiner, its heir (the scope that waits for the task), or the
--- handler. While it is nobody's it is held. The twin of kernel/unhandled.h, which has the rules.
---
--- An heir is {awaited = 0, take(heir, t, r), told(heir)}; its functions are as in kernel/task.h.
--- Where the C module asks the collector's finalizers whether a task's handle is garbage, the loop here looks
--- at a weak reference before it sleeps.

local handler = require "coropanic.guest.handler"
local list = require "coropanic.guest.list"
local port = require "coropanic.guest.port"

local unhandled = {}

--- While the spawner waits in a join or await, a held panic is held longer.
local GRACE_SECONDS = 1

local WEAK = { __mode = "v" }

--- The heir will not get the panic, and no longer waits for it.
local function disinherit(held)
  local heir = held.heir
  if heir == nil then return end
  held.heir = nil
  heir.awaited = heir.awaited - 1
  if heir.awaited == 0 then heir:told() end
end

local function let_go(t)
  local held = t.held
  if held == nil then return end
  t.held = nil
  disinherit(held)
  list.remove(held)
  if t.weak_handle then
    t.handle, t.weak_handle = t.weak_handle[1], nil
  end
end

--- Sets the owner of the ended task's panic; nothing else does. Returns false if the task has not panicked,
--- or its panic has an owner already.
---@param owner string  # "joiner", "heir", "handler"
function unhandled.give(t, owner)
  if t.status ~= "panicked" or t.owner ~= nil then return false end
  t.owner = owner
  let_go(t)
  return true
end

local function give_to_handler(u, t)
  if unhandled.give(t, "handler") then handler.report(u, t.record, t) end
end

--- Holds the panic of a task until somebody comes for it.
local function hold(u, t, heir)
  local held = { task = t, until_time = port.now() + GRACE_SECONDS, heir = heir }
  t.held = held
  if heir ~= nil then heir.awaited = heir.awaited + 1 end
  -- from here on only scripts keep the handle
  t.weak_handle = setmetatable({ t.handle }, WEAK)
  t.handle = nil
  list.append(u.held, held)
end

--- Gives the panic of a task that has just ended to its heir, or holds it.
---@param heir? table
---@param comers integer  # how many tasks were woken to come for it
function unhandled.pass_on(u, t, heir, comers)
  if u.unhandled == "crash" then
    handler.report(u, t.record, t)
    return
  end
  t.comers = comers
  if t == u.main_task then unhandled.give(t, "joiner") end -- the caller of co.run
  if heir ~= nil and comers == 0 and t.owner == nil then heir:take(t, t.record) end
  if t.owner == nil then hold(u, t, comers > 0 and heir or nil) end
end

--- Offers the held panic to its heir, for the last time.
local function give_to_heir(t)
  local held = t.held
  local heir = held and held.heir
  if heir == nil then return end
  heir:take(t, t.record)
  if t.held then disinherit(t.held) end
end

--- Counts a comer that goes on: a task that was woken because `t`, which it joins or awaits, has ended.
---@param comes boolean  # false: it is unwound instead of taking the panic
function unhandled.arrived(t, comes)
  if t.status ~= "panicked" or t.owner ~= nil or (t.comers or 0) == 0 then return end
  t.comers = t.comers - 1
  if comes or t.comers > 0 then return end
  give_to_heir(t)
end

local function each_for(u, heir)
  local held = list.first(u.held)
  while held ~= nil and held.heir ~= heir do held = list.after(u.held, held) end
  return held
end

--- Gives the heir all panics that are held for it, without waiting for the comers.
function unhandled.give_all(u, heir)
  while heir.awaited > 0 do give_to_heir(each_for(u, heir).task) end
end

--- Makes the handler the one that gets the panics held for the heir, which is going away.
function unhandled.forget(u, heir)
  while heir.awaited > 0 do
    each_for(u, heir).heir = nil
    heir.awaited = heir.awaited - 1
  end
end

local function report_first(u)
  local t = list.first(u.held).task
  give_to_heir(t)
  if t.owner == nil then give_to_handler(u, t) end
  if t.held then let_go(t) end
end

--- Whether the task's spawner joins another task, and may join this one next.
local function spawner_is_joining(t)
  local parent = t.parent
  return parent ~= nil and parent.status == "waiting" and parent.wait.joins or false
end

--- The loop does not run a full collection for a held panic while Lua uses more memory than this, in KiB.
local SEARCH_MAX_KB = 65536

--- Whether the task of a held panic turns out to be garbage. If nothing is ready, the collector is run for
--- that, once for each.
local function search(held)
  local t = held.task
  if not held.searched and (port.ready == nil or port.ready() == 0)
    and collectgarbage "count" <= SEARCH_MAX_KB then
    held.searched = true
    collectgarbage()
  end
  return t.weak_handle ~= nil and t.weak_handle[1] == nil
end

--- Gives the panics that are overdue, or for which nobody can come any more, to the handler.
function unhandled.expire(u, now)
  local held = list.first(u.held)
  while held ~= nil do
    local next_held = list.after(u.held, held)
    local t = held.task
    if t.weak_handle and t.weak_handle[1] == nil then
      list.remove(held)
      list.prepend(u.held, held)
      report_first(u)
    elseif held.until_time <= now then
      list.remove(held)
      if spawner_is_joining(t) and not search(held) then
        held.until_time = now + GRACE_SECONDS
        list.append(u.held, held)
      else
        list.prepend(u.held, held)
        report_first(u)
      end
    end
    if next_held ~= nil and next_held.list == nil then next_held = list.first(u.held) end
    held = next_held
  end
end

--- Gives all held panics to the handler.
function unhandled.flush(u)
  while not list.is_empty(u.held) do report_first(u) end
end

--- The time at which the first held panic is overdue; nil: none is held.
function unhandled.next_time(u)
  local earliest = nil
  local held = list.first(u.held)
  while held ~= nil do
    if earliest == nil or held.until_time < earliest then earliest = held.until_time end
    held = list.after(u.held, held)
  end
  return earliest
end

return unhandled
