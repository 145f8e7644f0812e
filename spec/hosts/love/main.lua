--- A game: a task for each of its things. It prints what they see, and quits when all have ended.

local co = require "coropanic"

local BUDGET_SECONDS = 0.004

local frames, reports = 0, {}

local function say(...) io.stdout:write(table.concat({ ... }, " "), "\n") end

--- Instead of LÖVE's blue screen, which waits for somebody.
function love.errorhandler(message)
  io.stderr:write(tostring(message), "\n")
  return function() return 1 end
end

co.on_panic(function(record, task)
  reports[#reports + 1] = task.name .. ": " .. record.message:gsub("^.-:%d+: ", "")
end)

--- Computes for longer than a frame, and lets others run between its pieces.
local function compute()
  local sum = 0
  for _ = 1, 20 do
    local finish = love.timer.getTime() + 0.001
    repeat sum = sum + 1 until love.timer.getTime() > finish
    co.yield()
  end
end

function love.load()
  local waited = co.run(function()
    local before = love.timer.getTime()
    co.sleep(0.01)
    return love.timer.getTime() - before
  end)
  say("co.run has slept:", tostring(waited >= 0.01 and waited < 10))
  co.spawn_with({ name = "walker" }, function()
    local first = frames
    co.sleep(0.02)
    say("walker: frames have passed:", tostring(frames > first))
  end)
  co.spawn_with({ name = "faulty" }, function()
    co.defer(say, "faulty: its deferred call has run")
    error "out of bounds"
  end)
  co.spawn_with({ name = "busy" }, compute)
end

function love.update()
  frames = frames + 1
  co.step(BUDGET_SECONDS)
  if co.timeout() == nil then
    say("reports:", table.concat(reports, ", "))
    say("frames while busy: at least 4:", tostring(frames >= 4))
    love.event.quit()
  end
end
