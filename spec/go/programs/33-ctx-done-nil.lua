local co = require "coropanic"
local P = require "go.println"

local background = co.context.background()
P(background:done() == nil, background:err())
