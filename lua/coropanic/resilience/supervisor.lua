--- A supervisor keeps its children running: it starts them in order, restarts those that end, and gives up
--- when they end too often.
---
--- Source of the strategies, the restart types and the rule of intensity and period: Erlang/OTP's supervisor.
--- The pauses between restarts, and that no child is waited for without end, are our own.

local co = require "coropanic"
local child = require "coropanic.resilience.child"
local options = require "coropanic.resilience.options"
local policy = require "coropanic.resilience.policy"
local refusal = require "coropanic.resilience.refusal"

if require "coropanic.resilience.cooperates" then co.cooperative() end

local supervisor = policy.class "supervisor"

local unpack = table.unpack or rawget(_G, "unpack")

local BACKOFF = {
  min = options.DELAY,
  max = options.DELAY,
  factor = options.FACTOR,
  jitter = options.FRACTION,
  reset = options.DELAY,
}

local KNOWN = {
  name = options.STRING,
  strategy = options.one_of("one_for_one", "one_for_all", "rest_for_one"),
  intensity = options.COUNT_OR_ZERO,
  period = options.DURATION,
  children = options.TABLE,
  backoff = {
    expected = "table or false",
    accepts = function(value) return type(value) == "table" or value == false end,
  },
}

-- Restarts -----------------------------------------------------------------------------------------------

-- Notes a restart now. Returns whether there were more than `intensity` within the period.
local function is_too_often(self, now)
  local times = self.times
  times[#times + 1] = now
  while now - times[1] > self.options.period do table.remove(times, 1) end
  return #times > self.options.intensity
end

-- How long to wait before the child, which has ended, is restarted.
local function pause_of(self, one, now)
  local given = self.backoff
  if not given then return 0 end
  if now - one.started_at >= given.reset then one.failures = 0 end
  one.failures = one.failures + 1
  local pause = math.min(given.min * given.factor ^ (one.failures - 1), given.max)
  return pause * (1 - given.jitter + 2 * given.jitter * math.random())
end

-- The places of the first and the last child that the end of this one concerns.
local function concerned(self, number)
  local last = #self.list
  if self.options.strategy == "one_for_all" then return 1, last end
  if self.options.strategy == "rest_for_one" then return number, last end
  return number, number
end

-- A child that will not end is reported once, as the panic of a task that nobody joins.
local function report_left(self, one)
  self.counts.left = self.counts.left + 1
  local message = "child %q of supervisor %q has not ended within %g s, and is left behind"
  co.spawn_with({ name = self.name, context = co.context.background() }, refusal.raise, {
    code = "SUPERVISOR_CHILD_LEFT",
    message = message:format(one.id, self.name, one.shutdown),
    child = one.id,
  })
end

local function stop(self, first, last)
  for i = last, first, -1 do
    if not self.list[i]:stop() then report_left(self, self.list[i]) end
  end
end

local function give_up(self, one)
  local message = "supervisor %q gives up: more than %d restarts within %g s, the last of child %q"
  local given = self.options
  local _, record = co.pcall(refusal.raise, {
    code = "SUPERVISOR_INTENSITY",
    message = message:format(self.name, given.intensity, given.period, one.id),
    child = one.id,
  })
  if one.record then record:add_suppressed(one.record) end
  error(record, 0)
end

local function note_restart(self, one, now)
  co.trace.event("supervisor.restart", { supervisor = self.name, child = one.id, outcome = one.outcome })
  if is_too_often(self, now) then give_up(self, one) end
  one.restarts = one.restarts + 1
  self.counts.restarts = self.counts.restarts + 1
end

-- A child has ended by itself.
local function handle(self, number)
  local one, now = self.list[number], co.now()
  if not one:is_to_restart() then return end
  note_restart(self, one, now)
  local due = now + pause_of(self, one, now)
  local first, last = concerned(self, number)
  stop(self, number + 1, last)
  stop(self, first, number - 1)
  for i = first, last do
    local other = self.list[i]
    local was_stopped = other.status == "stopped" or other.status == "left"
    if i == number or (was_stopped or other.status == "ended") and other.restart ~= "temporary" then
      other.status, other.due = "waiting", due
    end
  end
end

-- The loop -----------------------------------------------------------------------------------------------

local function handle_ended(self)
  while self.ended[1] do
    local number = table.remove(self.ended, 1)
    if self.list[number].status == "ended" then handle(self, number) end
  end
end

-- Starts the children whose pause is over. Returns when the next one's is; nil: there is none.
local function start_due(self)
  local soonest
  for _, one in ipairs(self.list) do
    if one.due and one.due <= co.now() then
      one:start(self.name)
    elseif one.due then
      soonest = math.min(soonest or math.huge, one.due)
    end
  end
  return soonest
end

local function is_alive(self)
  for _, one in ipairs(self.list) do
    if one.status == "running" or one.status == "waiting" then return true end
  end
  return false
end

local function work(self)
  for _, one in ipairs(self.list) do one:start(self.name) end
  self.has_started:set()
  while not self.is_stopping do
    handle_ended(self)
    local soonest = start_due(self)
    if not self.ended[1] and not self.is_stopping then
      if not is_alive(self) then return end
      self.news:clear()
      self.news:wait(soonest and math.max(soonest - co.now(), 0))
    end
  end
end

local function stop_all(self)
  stop(self, 1, #self.list)
  self.is_running = false
end

local function begin(self, method)
  policy.check_self(self, supervisor, method)
  if self.is_running then error(("calling '%s' on a supervisor that is running"):format(method), 3) end
  self.is_running, self.is_stopping = true, false
  self.times, self.ended = {}, {}
  self.news, self.has_started = co.event(), co.event()
end

local function run(self)
  co.defer(stop_all, self)
  return work(self)
end

--- Starts the children in order, and keeps them running until `supervisor:stop()`, or until all have ended
--- for good. Stops them in reverse order, however it ends. Panics when they end too often.
function supervisor:run()
  begin(self, "run")
  return co.call(run, self)
end

local function let_go(self) self.is_running = false end

local function call(self, fn, ...)
  co.defer(let_go, self)
  local args, n = { ... }, select("#", ...)
  return co.scope(function(scope)
    scope:spawn_with({ name = self.name, daemon = true }, co.call, run, self)
    self.has_started:wait()
    return fn(unpack(args, 1, n))
  end)
end

--- Calls `fn(...)` while the children run: starts them before, stops them after. Panics when they end too
--- often.
function supervisor:call(fn, ...)
  options.check_function("call", 1, fn)
  begin(self, "call")
  return co.call(call, self, fn, ...)
end

--- Lets `supervisor:run()` stop the children and return. Does not wait for that.
function supervisor:stop()
  policy.check_self(self, supervisor, "stop")
  if not self.is_running then return end
  self.is_stopping = true
  self.news:set()
end

--- Returns the children in the order of their start.
---@return table[]  # { id, status, restart, restarts, task, due, last_panic }
function supervisor:children()
  policy.check_self(self, supervisor, "children")
  local list = {}
  for i, one in ipairs(self.list) do list[i] = one:stats() end
  return list
end

--- Returns the counts since the supervisor was made.
function supervisor:stats()
  local stats = policy.stats(self, supervisor)
  stats.running = 0
  for _, one in ipairs(self.list) do
    if one.status == "running" then stats.running = stats.running + 1 end
  end
  return stats
end

-- Making one ---------------------------------------------------------------------------------------------

local function check_backoff(given)
  if given == false then return false end
  local checked = options.check_part("supervisor", "option 'backoff': ", given or {}, BACKOFF)
  checked.min, checked.factor = checked.min or 0.1, checked.factor or 2
  checked.max = checked.max or math.max(30, checked.min)
  checked.jitter, checked.reset = checked.jitter or 0.2, checked.reset or 60
  if checked.max < checked.min then
    options.refuse("supervisor", "option 'backoff': option 'max': at least 'min' expected")
  end
  return checked
end

local function check_children(self, given)
  local seen = {}
  for number, one in ipairs(given) do
    local made = child.new(number, one, function()
      self.ended[#self.ended + 1] = number
      self.news:set()
    end)
    if seen[made.id] then options.refuse("supervisor", "child %d: the id %q is taken", number, made.id) end
    seen[made.id], self.list[number] = true, made
  end
  if not self.list[1] then options.refuse("supervisor", "option 'children': at least one child expected") end
end

---@class coropanic.resilience.backoff
---@field min? number  # seconds before the first restart; 0.1
---@field max? number  # seconds at most; 30
---@field factor? number  # of each pause to the one before; 2
---@field jitter? number  # 0 to 1: the part by which pauses vary; 0.2
---@field reset? number  # seconds up after which the next pause is the first again; 60

---@class coropanic.resilience.child
---@field id string
---@field fn async fun()
---@field restart? "permanent" | "transient" | "temporary"  # "permanent"
---@field shutdown? number  # seconds that it has to end after it was cancelled; 5

---@class coropanic.resilience.supervisor.options
---@field name? string
---@field strategy? "one_for_one" | "one_for_all" | "rest_for_one"  # "one_for_one"
---@field intensity? integer  # restarts within the period; one more is too many; 1
---@field period? number  # seconds; 5
---@field backoff? coropanic.resilience.backoff | false  # false: no pause before a restart
---@field children coropanic.resilience.child[]

--- Makes a supervisor.
---@param given coropanic.resilience.supervisor.options
---@return table
function supervisor.new(given)
  given = options.check("supervisor", given, KNOWN)
  given.strategy = given.strategy or "one_for_one"
  given.intensity, given.period = given.intensity or 1, given.period or 5
  local self = policy.new(supervisor, given, { restarts = 0, left = 0 }, {
    backoff = check_backoff(given.backoff),
    list = {},
    is_running = false,
  })
  check_children(self, given.children or {})
  return self
end

return supervisor
