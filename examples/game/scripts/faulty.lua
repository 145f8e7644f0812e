--- Looks for something to chase, and has forgotten that there may be nothing.

local co = require "coropanic"

local function nearest()
  return nil
end

local function chase(self, game)
  local target = nearest()
  game.move(self, target.x, target.y, 1)
end

return function(self, game)
  self.size = 10
  self.red, self.green, self.blue = 120, 220, 120
  co.sleep(1 + math.random())
  chase(self, game)
end
