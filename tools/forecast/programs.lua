--- The programs of the experiment (docs/prediction.md): a service that handles requests, in six kinds. Three
--- of them have a fault that ends in a deadlock, three look as busy and have none. A seed fixes everything.

local co = require "coropanic"

local programs = {}

--- Whether a kind has a fault, by its name.
programs.kinds = {
  inversion = true, -- two locks, in the other order in one of 50 requests, from some time on
  pool = true, -- requests that hold a permit take a second one, under a rising load
  channels = true, -- two stages with queues between them, each of which sends to the other
  healthy = false, -- two locks, always in one order
  gated = false, -- two locks in both orders, under a third that makes it safe
  burst = false, -- floods of requests that end by time-outs
}

programs.CAPACITY = 32 -- of each channel
programs.PERMITS = 8 -- of the pool

local random = math.random

--- A random time with this mean, as between events that know nothing of each other.
local function about(mean)
  return -mean * math.log(1 - random())
end

---@class program
---@field kind string
---@field pool coropanic.semaphore
---@field queues coropanic.channel[]
---@field served integer  # requests
---@field served_at number  # when the last one was
---@field struck number?  # when a task was told of a deadlock
local program = {}
program.__index = program

--- Makes a program. Call it in the run, because its objects are noted by whoever watches the run.
---@param kind string
---@param seed integer
---@return program
function programs.new(kind, seed)
  math.randomseed(seed)
  local self = setmetatable({ kind = kind, seed = seed, served = 0, served_at = 0 }, program)
  self.bug_at = 5 + random() * 40 -- when the fault begins to show
  self.base_rate = 30 + random() * 40 -- requests a second
  self.supplier = co.event() -- is never set: waits for it are round trips to a supplier
  self.stock = co.mutex()
  self.cart = co.mutex()
  self.gate = co.mutex()
  self.pool = co.semaphore(programs.PERMITS)
  local first = co.chan(programs.CAPACITY)
  local second = co.chan(programs.CAPACITY)
  self.queues = { first, second }
  return self
end

function program:round_trip(mean)
  self.supplier:wait(about(mean))
end

--- Takes both locks, the outer one first.
function program:lock_both(outer, inner)
  local _ <close> = outer:guard()
  self:round_trip(0.001)
  local _ <close> = inner:guard()
  self:round_trip(0.0005)
end

local requests = {}

function requests:healthy()
  if random() < 0.25 then self:lock_both(self.stock, self.cart) end
  self:round_trip(0.004)
end

function requests:inversion()
  if random() < (co.now() > self.bug_at and 0.02 or 0) then
    self:lock_both(self.cart, self.stock)
  else
    self:round_trip(0.004)
    if random() < 0.25 then self:lock_both(self.stock, self.cart) end
  end
end

function requests:gated()
  if random() < (co.now() > self.bug_at and 0.02 or 0) then
    local _ <close> = self.gate:guard()
    self:lock_both(self.cart, self.stock)
  elseif random() < 0.25 then
    local _ <close> = self.gate:guard()
    self:lock_both(self.stock, self.cart)
  else
    self:round_trip(0.004)
  end
end

function requests:burst()
  requests.healthy(self)
  local _ <close> = self.pool:guard()
  self:round_trip(0.01)
end

function requests:pool()
  local _ <close> = self.pool:guard()
  self:round_trip(0.012)
  if random() < 0.3 then
    local _ <close> = self.pool:guard()
    self:round_trip(0.012)
  end
end

function requests:channels()
  self.queues[1]:send(2) -- goes back at most twice
end

function program:note_served()
  self.served = self.served + 1
  self.served_at = co.now()
end

--- The two stages of the kind `channels`: what the second one finds wanting it sends to the first again.
function program:spawn_stages()
  local first, second = self.queues[1], self.queues[2]
  co.spawn_with({ daemon = true, name = "first stage" }, function()
    for tries in first:iter() do
      self:round_trip(0.006)
      second:send(tries)
    end
  end)
  co.spawn_with({ daemon = true, name = "second stage" }, function()
    for tries in second:iter() do
      self:round_trip(0.006)
      if tries > 0 and random() < 0.35 then first:send(tries - 1) else self:note_served() end
    end
  end)
end

function program:rate(now)
  local rate = self.base_rate * (1 + 0.5 * math.sin(now / 7 + self.seed))
  if self.kind ~= "inversion" then rate = rate * (1 + math.max(0, now - self.bug_at) / 12) end
  if self.kind == "burst" and now % 15 < 3 then rate = rate * 4 end
  return rate
end

function program:handle()
  local ok, record = co.pcall(requests[self.kind], self)
  if ok and self.kind ~= "channels" then self:note_served() end
  if not ok and record.kind == "deadlock" then self.struck = self.struck or co.now() end
end

--- Spawns the tasks of the program, daemons all but the requests.
function program:start()
  if self.kind == "channels" then self:spawn_stages() end
  local patience = self.kind == "burst" and 0.15 or math.huge -- seconds
  co.spawn_with({ daemon = true, name = "arrivals" }, function()
    while true do
      co.sleep(about(1 / self:rate(co.now())))
      co.spawn_with({ context = (co.context.with_timeout(co.ctx(), patience)) }, self.handle, self)
    end
  end)
end

--- Returns when the deadlock has struck; nil: it has not. Nobody may tell of a deadlock of a pool or of
--- channels: then no request was served for 2 seconds.
---@return number?
function program:deadlocked_at()
  if self.struck then return self.struck end
  local now = co.now()
  if now > 1 and now - self.served_at > 2 and programs.kinds[self.kind] then return self.served_at end
end

return programs
