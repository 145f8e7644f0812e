--- Lights up when it begins, and goes dark when it ends, whatever ends it: change this file while the game
--- runs, and save it.

local co = require "coropanic"

return function(self)
  self.size = 14
  co.defer(function()
    self.red, self.green, self.blue = 60, 60, 60
    print "beacon: dark"
  end)
  while true do
    self.red, self.green, self.blue = 250, 200, 40
    co.sleep(0.5)
    self.red, self.green, self.blue = 250, 120, 40
    co.sleep(0.5)
  end
end
