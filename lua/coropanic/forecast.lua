--- co.forecast: looks again and again at all objects that can be full, channels and semaphores, and warns of
--- those that will be full soon and then can stop the program. The order graph (co.order) knows these: tasks
--- wait for room in them while they hold up other tasks that must make room.

local co = require "coropanic"

-- Nobody may look at what it keeps while it takes in a look.
co.cooperative()

-- The warnings that are kept.
local MAX_WARNINGS = 64

-- The least part of the window after which an object is judged: the change of less is chance.
local MIN_PART = 0.2

-- An object is warned of again after so many seconds in which it was never nearly full.
local QUIET = 60

---@class coropanic.forecast.track  # an object's last levels
---@field born integer  # the look at which it was first seen
---@field look integer  # the last one at which it was seen
---@field level integer
---@field capacity integer
---@field slope number  # by which the level changes in a second
---@field full_in number?  # seconds; nil: it does not fill up
---@field near_at number?  # when it was nearly full and in danger, the last time
---@field [integer] integer  # levels, by the look

---@class coropanic.forecast
local forecast = {}

local ALIVE = { ready = true, running = true, waiting = true }

local function is_running(self)
  return not self.stopped and ALIVE[self.task:status()] == true
end

local metatable = { __index = forecast, __name = "coropanic.forecast" }

function metatable:__tostring()
  return ("forecast (%s, %d warnings)"):format(is_running(self) and "running" or "stopped", self.warned)
end

--- The place of a look in the rings, from 1.
local function place_of(self, look)
  return look % self.looks_kept + 1
end

--- Takes in the object's level, and finds how long it takes to be full.
local function follow(self, track, level, capacity)
  local look = self.looks
  track[place_of(self, look)] = level
  track.level, track.capacity = level, capacity
  local window_began = look - self.looks_kept + 1
  local oldest = place_of(self, math.max(track.born, window_began))
  local seconds = self.times[place_of(self, look)] - self.times[oldest]
  track.slope, track.full_in = 0, nil
  if seconds < self.window * MIN_PART then return end
  track.slope = (level - track[oldest]) / seconds
  if level >= capacity then
    track.full_in = 0
  elseif track.slope > 0 then
    track.full_in = (capacity - level) / track.slope
  end
end

--- Returns why an object with this risk must not be full.
local function danger(self, object, risk)
  if risk == "hold-and-wait" then return "tasks hold some of it while they wait for more" end
  return self.inside.cycle(object) or "it stands in a cycle of waits"
end

local function text_of(warning)
  local now = warning.full_in == 0 and "is full"
    or ("gains %.3g a second and is full in %.2g s"):format(warning.slope, warning.full_in)
  return ("%s, %d of %d, %s: %s"):format(warning.object, warning.level, warning.capacity, now, warning.danger)
end

local function warn(self, object, track, risk)
  local warning = {
    object = self.inside.label(object), level = track.level, capacity = track.capacity, slope = track.slope,
    full_in = track.full_in, risk = risk, danger = danger(self, object, risk), time = co.now(),
  }
  warning.text = text_of(warning)
  self.warned = self.warned + 1
  self.kept[(self.warned - 1) % MAX_WARNINGS + 1] = warning
  self.inside.warn(warning.text)
end

--- Warns of the object if it will be full soon, must not be, and was not warned of lately.
local function judge(self, object, track)
  if not track.full_in or track.full_in >= self.ahead then return end
  local risk = self.order:risk(object)
  if not risk then return end
  local now = co.now()
  local is_new = not track.near_at or now - track.near_at >= QUIET
  track.near_at = now
  if is_new then warn(self, object, track, risk) end
end

local function look(self)
  local inside, tracks = self.inside, self.tracks
  local count, omitted = inside.read(inside.objects, inside.levels, inside.capacities)
  self.looks, self.followed, self.omitted = self.looks + 1, count, omitted
  self.times[place_of(self, self.looks)] = co.now()
  for i = 1, count do
    local object = inside.objects[i]
    local track = tracks[object] or { born = self.looks }
    tracks[object] = track
    track.look = self.looks
    follow(self, track, inside.levels[i], inside.capacities[i])
    judge(self, object, track)
    inside.objects[i] = false -- or the array would keep it
  end
end

local function watch(self)
  while true do
    look(self)
    co.sleep(self.period)
  end
end

local function row_of(self, object, track)
  return {
    object = self.inside.label(object), level = track.level, capacity = track.capacity, slope = track.slope,
    full_in = track.full_in, risk = self.order:risk(object),
  }
end

--- Returns the objects that it follows, in the order of their names.
function forecast:list()
  local rows = {}
  for object, track in pairs(self.tracks) do
    if track.look == self.looks then rows[#rows + 1] = row_of(self, object, track) end
  end
  table.sort(rows, function(a, b) return a.object < b.object end)
  return rows
end

function forecast:warnings()
  local warnings = {}
  for i = math.max(1, self.warned - MAX_WARNINGS + 1), self.warned do
    warnings[#warnings + 1] = self.kept[(i - 1) % MAX_WARNINGS + 1]
  end
  return warnings
end

function forecast:stats()
  return {
    running = is_running(self), objects = self.followed, omitted = self.omitted, looks = self.looks,
    warnings = self.warned,
  }
end

function forecast:stop()
  self.stopped = true
  self.task:cancel "the forecast was stopped"
end

-- The one that runs.
local current

return function(ahead, window, period, inside)
  if current then current:stop() end
  local self = setmetatable({
    ahead = ahead, window = window, period = period, inside = inside, order = co.order(),
    looks_kept = math.ceil(window / period) + 1, looks = 0, times = {},
    tracks = setmetatable({}, { __mode = "k" }),
    kept = {}, warned = 0, followed = 0, omitted = 0, stopped = false,
  }, metatable)
  self.task = co.spawn_with({
    name = "forecast", watcher = true, detached_trace = true, context = co.context.background(),
  }, watch, self)
  current = self
  return self
end
