-- The events of policies, which spans and the recorder see.

local co = require "coropanic"
local helpers = require "spec.helpers"
local resilience = require "coropanic.resilience"

local function virtual(fn) return co.run_with({ clock = "virtual", unhandled = function() end }, fn) end

local function fail() error("down", 0) end

describe("events of policies", function()
  --- The names of the events within `fn`, which runs in a span, and what the recorder has.
  local function events_of(fn)
    local told = {}
    local before = co.trace.on_span(function(span)
      for _, event in ipairs(span.events or {}) do
        if event.name ~= "exception" then told[#told + 1] = event.name end
      end
    end)
    local recorder = co.record {}
    virtual(function() co.trace.span("work", fn) end)
    local recorded = recorder:snapshot()
    recorder:stop()
    co.trace.on_span(before)
    return told, recorded
  end

  it("tell each change of a breaker's state to spans and to the recorder", function()
    local told, recorded = events_of(function()
      local b = resilience.breaker { consecutive = 1, open_for = 1, jitter = 0 }
      co.pcall(b.call, b, fail)
      co.sleep(1)
      b:call(tostring, 1)
    end)
    assert.same({ "breaker.open", "breaker.half-open", "breaker.closed" }, told)
    for _, name in ipairs(told) do helpers.assert_contains(name, recorded) end
  end)

  it("tell a boundary's trip and a supervisor's restart", function()
    local told, recorded = events_of(function()
      local b = resilience.boundary { trip = 1, fallback = tostring }
      b:call(function() co.panic(select(2, co.with_timeout(1, co.sleep, 60))) end)
      local lives = 0
      resilience.supervisor {
        backoff = false,
        children = { { "one", function()
          lives = lives + 1
          if lives == 1 then error("once", 0) end
        end, restart = "transient" } },
      }:run()
    end)
    assert.same({ "boundary.tripped", "supervisor.restart" }, told)
    for _, name in ipairs(told) do helpers.assert_contains(name, recorded) end
  end)
end)
