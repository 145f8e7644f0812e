-- How long the frames of a host with a loop of its own take. Many tasks are alive; a part of them runs in a
-- frame, and leaves garbage. For all peers in Lua 5.4, with the same tasks.
-- Usage: frame.lua frame <n> <collector> <peer>

local measure = require "peers.measure"

local FRAMES = 2000 -- that are timed
local WARM_UP = 100 -- frames before
local GROUPS = 10 -- of tasks, one of which runs in a frame

local moved = 0

-- What a task does in its frames: the former position is garbage.
local function move(position)
  moved = moved + 1
  return { x = position.x + 1, y = position.y - 1 }
end

-- A task that moves, and waits for its next frame with `wait(group)`, for ever.
local function mover(wait)
  return function(group)
    local position = { x = 0, y = 0 }
    while true do
      wait(group)
      position = move(position)
    end
  end
end

-- Each begins n tasks, and returns what runs a frame of a group.
local peers = {}

function peers.coropanic(n)
  local co = require "coropanic"
  local events = {}
  for group = 1, GROUPS do events[group] = co.event() end
  local task = mover(function(group) events[group]:wait() end)
  for i = 1, n do co.spawn(task, i % GROUPS + 1) end
  co.step() -- they begin
  return function(group)
    events[group]:set()
    events[group]:clear()
    co.step()
  end
end

peers["coropanic-idle"] = function(n)
  require("coropanic").collector { mode = "idle" }
  return peers.coropanic(n)
end

function peers.lua(n)
  local resume, groups = coroutine.resume, {}
  local task = mover(coroutine.yield)
  for group = 1, GROUPS do groups[group] = {} end
  for i = 1, n do
    local thread, group = coroutine.create(task), i % GROUPS + 1
    resume(thread, group)
    table.insert(groups[group], thread)
  end
  return function(group)
    for _, thread in ipairs(groups[group]) do resume(thread) end
  end
end

function peers.cqueues(n)
  local condition = require "cqueues.condition"
  local controller = require("cqueues").new()
  local conditions = {}
  for group = 1, GROUPS do conditions[group] = condition.new() end
  local task = mover(function(group) conditions[group]:wait() end)
  for i = 1, n do controller:wrap(task, i % GROUPS + 1) end
  assert(controller:step(0))
  return function(group)
    conditions[group]:signal()
    assert(controller:step(0))
  end
end

local function percentile(sorted, percent) return sorted[math.ceil(#sorted * percent / 100)] end

-- How long most frames take.
local function time_frames(frame)
  local clock, times = os.clock, {}
  for i = 1, WARM_UP do frame(i % GROUPS + 1) end
  for i = 1, FRAMES do
    local began = clock()
    frame(i % GROUPS + 1)
    times[i] = clock() - began
  end
  table.sort(times)
  return {
    seconds_p50 = percentile(times, 50),
    seconds_p99 = percentile(times, 99),
    seconds_p999 = percentile(times, 99.9),
  }
end

measure.main {
  frame = function(n, name)
    local begin = peers[name] or error(("no peer %q"):format(tostring(name)))
    local result = time_frames(begin(n))
    measure.expect("moves", moved, n // GROUPS * (WARM_UP + FRAMES))
    return result
  end,
}
