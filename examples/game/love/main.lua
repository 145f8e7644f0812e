--- The same game, with the same scripts, under LÖVE 11: love examples/game/love [frames [screenshot]]
---
--- LÖVE's Lua is LuaJIT, so coropanic is its guest here, and the game's loop is love.update.

local folder = love.filesystem.getSource() .. "/.."
local lua = folder .. "/../../lua"
package.path = ("%s/?.lua;%s/?.lua;%s/?/init.lua;%s"):format(folder, lua, lua, package.path)

io.stdout:setvbuf "line"

local co = require "coropanic"
local game = require "game"

local FRAME_BUDGET = 0.002
local POLL_FRAMES = 15

local frame, frames = 0, math.huge

--- LÖVE's own file functions see the game's folder alone, and the scripts are beside it.
local function modified(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read "*a"
  file:close()
  return text
end

function love.load(arguments)
  frames = tonumber(arguments[1]) or math.huge
  game.start { folder = folder, count = { walker = 200, beacon = 5, faulty = 3 } }
end

function love.update()
  if frame % POLL_FRAMES == 0 then
    game.poll(modified)
  end
  co.step(FRAME_BUDGET)
  frame = frame + 1
  if frame >= frames then
    love.event.quit()
  end
end

local function draw_message(message)
  love.graphics.setColor(0.16, 0, 0, 0.86)
  love.graphics.rectangle("fill", 8, 8, game.width - 16, 24 + 14 * #message.lines)
  love.graphics.setColor(1, 0.47, 0.47)
  love.graphics.print(message.title, 16, 12)
  love.graphics.setColor(0.94, 0.94, 0.94)
  for i, line in ipairs(message.lines) do
    love.graphics.print(line, 16, 12 + 14 * i)
  end
end

function love.draw()
  for _, entity in ipairs(game.entities) do
    local red, green, blue = entity.red, entity.green, entity.blue
    if entity.failed then
      red, green, blue = 255, 0, 0
    end
    love.graphics.setColor(red / 255, green / 255, blue / 255)
    local size = entity.size
    love.graphics.rectangle("fill", entity.x - size / 2, entity.y - size / 2, size, size)
  end
  local message = game.messages[#game.messages]
  if message then
    draw_message(message)
  end
end
