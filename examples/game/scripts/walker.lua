--- Goes from place to place, and rests between them.

local co = require "coropanic"

return function(self, game)
  self.red, self.green, self.blue = 90, 170, 250
  while true do
    local seconds = 1 + math.random() * 2
    game.move(self, math.random() * game.width, math.random() * game.height, seconds)
    co.sleep(math.random())
  end
end
