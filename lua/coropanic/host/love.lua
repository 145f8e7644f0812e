--- LÖVE 11: the plain host over LÖVE's clock. A game calls co.step(seconds) in love.update, and its tasks run
--- there (docs/embedding.md).

local clock = require "coropanic.host.plain.clock"
local timer = require "love.timer"

clock.now, clock.sleep = timer.getTime, timer.sleep

local love = require "coropanic.host.plain"
love.name = "love"
return love
