-- coropanic's own part of the comparison.

local measure = require "peers.measure"

measure.main(
  require "peers.coropanic.switch",
  require "peers.coropanic.spawn",
  require "peers.coropanic.channels",
  require "peers.coropanic.timers",
  require "peers.coropanic.panics",
  require "peers.coropanic.structure",
  require "peers.coropanic.memory"
)
