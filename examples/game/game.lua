--- What all hosts of the game share: entities, the scripts that move them, and what the player is told when
--- a script fails. A host calls `start` once, `poll` every few frames and `co.step` in each frame, and draws
--- `entities` and the latest of `messages`.
---
--- A script is a file that returns a function. Each of its entities is a task that runs this function. All
--- tasks of a script live under one keeper, so that saving the file ends them together.

local co = require "coropanic"

local game = {
  width = 960,
  height = 540,
  entities = {}, -- all entities, in the order in which they were made
  messages = {}, -- the latest message last; a message is {title, lines}
  reloads = 0,
}

local MESSAGES = 4 -- kept for the overlay
local COLUMNS = 116 -- of the overlay; longer lines are broken

local scripts = {} -- by name: {path, modified, fn, keeper, entities}

local function tell(title, text)
  local lines = {}
  for line in text:gsub("\t", "  "):gmatch "[^\n]+" do
    for first = 1, #line, COLUMNS do
      lines[#lines + 1] = line:sub(first, first + COLUMNS - 1)
    end
  end
  table.insert(game.messages, { title = title, lines = lines })
  if #game.messages > MESSAGES then
    table.remove(game.messages, 1)
  end
  print(("%s: %s"):format(title, lines[1]))
  io.stdout:flush()
end

-- A script that fails must not stop the game: the player sees the record, the entity stands still.
co.on_panic(function(record, task)
  local entity = task and task.attributes and task.attributes.entity
  if entity then
    entity.failed = true
  end
  tell("panic", tostring(record))
end)

--- Runs the script's function for each of its entities, until the keeper is cancelled.
local function keep(script)
  co.supervise(function(scope)
    for i, entity in ipairs(script.entities) do
      entity.failed = false
      scope:spawn_with({
        name = ("%s %d"):format(script.name, i),
        attributes = { entity = entity },
        detached_trace = true, -- each entity has a trace id of its own
      }, script.fn, entity, game)
    end
  end)
end

--- Ends the script's tasks, whose deferred calls run, and starts them again with the new function.
local function restart(script, fn)
  local former = script.keeper
  script.fn = fn
  script.keeper = co.spawn_with({ name = "keeper of " .. script.name }, function()
    if former then
      former:cancel(script.path .. " was saved")
      former:join()
    end
    keep(script)
  end)
end

--- Loads the script if its file has changed. If it does not compile, the tasks of the old one go on.
local function refresh(script, modified)
  if modified == script.modified then
    return
  end
  local is_first = script.modified == nil
  script.modified = modified
  local chunk, complaint = loadfile(script.path)
  local ok, fn = pcall(chunk or error, complaint)
  if not ok or type(fn) ~= "function" then
    tell("not loaded", ok and script.path .. " returns no function" or tostring(fn))
    return
  end
  restart(script, fn)
  if not is_first then
    game.reloads = game.reloads + 1
    tell("reloaded", script.path)
  end
end

--- Makes `count` entities of the script `folder/scripts/name.lua`.
local function add(folder, name, count)
  local script = { name = name, path = ("%s/scripts/%s.lua"):format(folder, name), entities = {} }
  for i = 1, count do
    local entity = {
      x = math.random() * game.width,
      y = math.random() * game.height,
      size = 4,
      red = 200,
      green = 200,
      blue = 200,
      failed = false,
    }
    script.entities[i] = entity
    game.entities[#game.entities + 1] = entity
  end
  scripts[#scripts + 1] = script
end

---@class game.options
---@field folder string  # with the folder `scripts`
---@field count table<string, integer>  # entities by the name of their script
---@field slice? number  # seconds after which a task that does not suspend is interrupted
---@field budget? number  # seconds of a frame, of which the collector gets what the tasks leave

--- Makes the entities. Their tasks begin at the first `poll`.
---@param options game.options
function game.start(options)
  for name, count in pairs(options.count) do
    add(options.folder, name, count)
  end
  if options.slice then
    co.preempt { slice = options.slice }
  end
  if options.budget then
    co.collector { mode = "idle", budget = options.budget }
  end
end

--- Looks whether files of scripts have changed, and starts them the first time.
---@param modified fun(path: string): any  # what differs if the file has changed: its time, or all of it
function game.poll(modified)
  for _, script in ipairs(scripts) do
    refresh(script, modified(script.path) or "missing")
  end
end

--- Goes to a place in so many seconds; for scripts.
function game.move(entity, x, y, seconds)
  local frames = math.max(1, math.floor(seconds * 30))
  local dx, dy = (x - entity.x) / frames, (y - entity.y) / frames
  for _ = 1, frames do
    entity.x, entity.y = entity.x + dx, entity.y + dy
    co.sleep(1 / 30)
  end
end

return game
