--- Policies for calls that may fail: each is an object whose `policy:call(fn, ...)` returns or raises as `fn`
--- does, unless the policy has another answer. `policy:stats()` tells what it has seen. All times are by
--- co.now, so that tests under the virtual clock take none.

local compose = require "coropanic.resilience.compose"

return {
  boundary = require("coropanic.resilience.boundary").new,
  breaker = require("coropanic.resilience.breaker").new,
  budget = require("coropanic.resilience.budget").new,
  bulkhead = require("coropanic.resilience.bulkhead").new,
  compose = compose.compose,
  hedge = require("coropanic.resilience.hedge").new,
  retry = require("coropanic.resilience.retry").new,
  supervisor = require("coropanic.resilience.supervisor").new,
  timeout = compose.timeout,
}
