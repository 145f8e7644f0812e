local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local TRACE = "0af7651916cd43dd8448eb211c80319c"
local SPAN = "b7ad6b7169203331"
local HEADERS = { traceparent = ("00-%s-%s-01"):format(TRACE, SPAN), tracestate = "rojo=1" }

describe("co.trace.continue", function()
  it("runs the function under the caller's trace, as a child of its span", function()
    local here = co.trace.continue(HEADERS, co.trace.current)
    assert.same({ TRACE, SPAN, true, "rojo=1" },
      { here.trace_id, here.parent_span_id, here.sampled, here.state })
    assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", here.span_id)
    assert.not_equal(SPAN, here.span_id)
  end)

  it("makes a span of its own each time", function()
    local first = co.trace.continue(HEADERS, co.trace.current)
    local second = co.trace.continue(HEADERS, co.trace.current)
    assert.not_equal(first.span_id, second.span_id)
  end)

  it("passes arguments and results on, nils included", function()
    local results = table.pack(co.trace.continue(HEADERS, function(...) return ... end, nil, "b", nil))
    assert.same({ n = 3, nil, "b", nil }, results)
  end)

  co_it("comes back to the trace before it", seeded, function()
    local before = co.trace.current()
    co.trace.continue(HEADERS, function() end)
    assert.same(before, co.trace.current())
  end)

  co_it("comes back to it after a panic too", seeded, function()
    local before = co.trace.current()
    local record = helpers.record_of(co.trace.continue, HEADERS, co.panic, "x")
    assert.same(before, co.trace.current())
    assert.equal(TRACE, record.trace_id)
  end)

  co_it("comes back to it before the deferred calls of the frame around it", function()
    local before, in_deferred
    before = co.trace.current()
    helpers.record_of(co.func(function()
      co.defer(function() in_deferred = co.trace.current() end)
      co.trace.continue(HEADERS, co.panic, "x")
    end))
    assert.same(before, in_deferred)
  end)

  it("nests", function()
    local other = { traceparent = ("00-%s-%s-00"):format(("1"):rep(32), ("2"):rep(16)) }
    co.trace.continue(HEADERS, function()
      local outer = co.trace.current()
      assert.equal(("1"):rep(32), co.trace.continue(other, co.trace.current).trace_id)
      assert.same(outer, co.trace.current())
    end)
  end)

  co_it("is inherited by the tasks spawned in it", seeded, function()
    co.trace.continue(HEADERS, function()
      local here = co.trace.current()
      local child = co.spawn(co.trace.current):await()
      assert.same({ TRACE, here.span_id, "rojo=1" }, { child.trace_id, child.parent_span_id, child.state })
    end)
  end)

  co_it("is in the records of the panics in it", seeded, function()
    local child = co.trace.continue(HEADERS, function() return co.spawn(co.panic, "x") end)
    local _, record = child:join()
    assert.equal(TRACE, record.trace_id)
    helpers.assert_contains(TRACE, tostring(record))
  end)

  co_it("may suspend, and other tasks do not see it", seeded, function()
    local other
    co.spawn(function()
      co.yield()
      other = co.trace.current()
    end)
    co.trace.continue(HEADERS, function()
      co.sleep(1)
      assert.equal(TRACE, co.trace.current().trace_id)
    end)
    assert.not_equal(TRACE, other.trace_id)
    assert.not_equal(TRACE, co.trace.current().trace_id)
  end)

  co_it("keeps requests apart that take turns", seeded, function()
    local seen = {}
    co.scope(function()
      for i = 1, 9 do
        local trace_id = tostring(i):rep(32)
        local headers = { traceparent = ("00-%s-%s-01"):format(trace_id, SPAN) }
        co.spawn(function()
          co.trace.continue(headers, function()
            for _ = 1, 5 do
              co.yield()
              seen[co.trace.current().trace_id] = (seen[co.trace.current().trace_id] or 0) + 1
            end
          end)
        end)
      end
    end)
    for i = 1, 9 do
      assert.equal(5, seen[tostring(i):rep(32)])
    end
  end)

  co_it("ends with a cancelled task", function()
    local in_deferred
    local task = co.spawn(function()
      co.defer(function() in_deferred = co.trace.current().trace_id end)
      co.trace.continue(HEADERS, co.sleep, 100)
    end)
    co.yield()
    task:cancel()
    local _, record = task:join()
    assert.equal(TRACE, record.trace_id)
    assert.not_equal(TRACE, in_deferred)
  end)

  co_it("starts a new trace when the headers are not valid", seeded, function()
    local own = co.trace.current()
    local here = co.trace.continue({ traceparent = "nonsense", tracestate = "rojo=1" }, co.trace.current)
    assert.not_equal(own.trace_id, here.trace_id)
    assert.is_nil(here.parent_span_id)
    assert.is_nil(here.state)
  end)

  it("takes what extract has returned as well", function()
    local here = co.trace.continue(co.trace.extract(HEADERS), co.trace.current)
    assert.same({ TRACE, SPAN, "rojo=1" }, { here.trace_id, here.parent_span_id, here.state })
  end)

  co_it("works in generators that take turns, however they end", seeded, function()
    local before = co.trace.current()
    local function generator(digit)
      local headers = { traceparent = ("00-%s-%s-01"):format(digit:rep(32), SPAN) }
      return coroutine.wrap(function()
        co.trace.continue(headers, function()
          co.trace.set_baggage("digit", digit)
          coroutine.yield()
        end)
      end)
    end
    local a, b, c = generator "1", generator "2", generator "3"
    a()
    b()
    a()
    assert.equal(("2"):rep(32), co.trace.current().trace_id)
    assert.same({ digit = "2" }, co.trace.baggage())
    c()
    b()
    c()
    assert.same(before, co.trace.current())
  end)

  it("is inherited by what is spawned in it outside tasks, with other baggage too", function()
    local task
    co.trace.continue(HEADERS, function()
      co.trace.set_baggage("a", "1")
      task = co.spawn(function() return co.trace.current().trace_id, co.trace.baggage "a" end)
    end)
    local later = co.spawn(co.trace.current)
    co.run(function()
      assert.same({ TRACE, "1" }, { task:await() })
      assert.not_equal(TRACE, later:await().trace_id)
    end)
  end)

  it("works outside tasks", function()
    local before = co.trace.current()
    assert.equal(TRACE, co.trace.continue(HEADERS, co.trace.current).trace_id)
    assert.same(before, co.trace.current())
  end)
end)
