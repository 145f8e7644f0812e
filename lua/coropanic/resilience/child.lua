--- A child of a supervisor: one function that is started in a new task each time. The task is a daemon
--- outside all scopes, so that nothing waits for a child that will not end; who ends it is its supervisor.

local co = require "coropanic"
local options = require "coropanic.resilience.options"
local outcomes = require "coropanic.resilience.outcomes"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local child = {}
child.__index = child

local KNOWN = {
  [1] = options.STRING,
  [2] = options.FUNCTION,
  id = options.STRING,
  fn = options.FUNCTION,
  restart = options.one_of("permanent", "transient", "temporary"),
  shutdown = options.DELAY,
}

--- Seconds that a child has to end after it was cancelled.
local SHUTDOWN = 5

--- Makes a child of its options, `{ id, fn, ... }` or `{ id = id, fn = fn, ... }`.
---@param number integer  # its place
---@param heard fun(child: table)  # called when it has ended by itself
function child.new(number, given, heard)
  local where = ("child %d: "):format(number)
  given = options.check_part("supervisor", where, given, KNOWN)
  local id, fn = given.id or given[1], given.fn or given[2]
  if not id then options.refuse("supervisor", "%soption 'id': string expected, got nil", where) end
  if not fn then options.refuse("supervisor", "%soption 'fn': function expected, got nil", where) end
  return setmetatable({
    id = id,
    fn = fn,
    restart = given.restart or "permanent",
    shutdown = given.shutdown or SHUTDOWN,
    heard = heard,
    status = "new", -- "running", "ended", "waiting" for its restart, "stopped", "left"
    restarts = 0,
    failures = 0, -- one after another, without a long time up
  }, child)
end

-- One life of the child, which outcomes.call watches.
local life = {}
life.__index = life

function life:ended(outcome, record)
  local of = self.of
  self.gone:set()
  if of.life ~= self or of.status ~= "running" then return end -- it was left behind, or is being stopped
  of.status = "ended"
  of.outcome, of.record = outcome, record or of.record
  of.heard(of)
end

local function live(self)
  self.has_begun = true
  self.begun:set()
  return outcomes.call(self, self.of.fn)
end

--- Starts the child, and waits until it has begun and suspended for the first time, or ended: what it does
--- until then is done before the next child starts.
function child:start(supervisor_name)
  local new = setmetatable({ of = self, gone = co.event(), begun = co.event() }, life)
  self.life, self.status, self.due = new, "running", nil
  self.outcome, self.started_at = nil, co.now()
  self.task = co.spawn_with({
    name = supervisor_name .. "/" .. self.id,
    daemon = true,
    context = co.context.background(),
  }, live, new)
  new.begun:wait()
end

--- Cancels the child, and waits until it has ended, at most its shutdown time. Returns false if it has not.
function child:stop()
  if self.status ~= "running" then
    if self.status == "waiting" or self.status == "ended" then self.status, self.due = "stopped", nil end
    return true
  end
  self.status = "stopped"
  local reason = { code = "SUPERVISOR_STOP", child = self.id }
  self.task:cancel(reason, "supervisor")
  if not self.life.has_begun or self.life.gone:wait(self.shutdown) then return true end
  self.status = "left"
  return false
end

--- Whether the rule of its restart type wants it back, now that it has ended by itself.
function child:is_to_restart()
  if self.restart == "temporary" then return false end
  return self.restart == "permanent" or self.outcome == "failed"
end

--- What is told of it.
function child:stats()
  return {
    id = self.id,
    status = self.status,
    restart = self.restart,
    restarts = self.restarts,
    task = self.status == "running" and self.task or nil,
    due = self.due,
    last_panic = self.record,
  }
end

return child
