--- Computes for ever and never waits. With preemption it costs the others one slice in each round.

return function(self)
  self.size = 10
  self.red, self.green, self.blue = 220, 90, 220
  local turns = 0
  while true do
    turns = turns + 1
    self.size = 8 + turns % 1e7 / 2e6
  end
end
