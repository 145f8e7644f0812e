local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local hex = "[0-9a-f]"

describe("co.trace.current", function()
  co_it("has a trace id of 32 hex digits and a span id of 16, not all zero", seeded, function()
    local here = co.trace.current()
    assert.matches("^" .. hex:rep(32) .. "$", here.trace_id)
    assert.matches("^" .. hex:rep(16) .. "$", here.span_id)
    assert.matches("[^0]", here.trace_id)
    assert.matches("[^0]", here.span_id)
  end)

  it("says whether the trace is sampled", function()
    helpers.run(function() assert.is_boolean(co.trace.current().sampled) end)
  end)

  co_it("is what the task's fields say", seeded, function()
    local here, task = co.trace.current(), co.current()
    assert.same({ here.trace_id, here.span_id }, { task.trace_id, task.span_id })
  end)

  co_it("is the same before and after a suspension", seeded, function()
    local before = co.trace.current()
    co.spawn(function() co.trace.current() end)
    co.sleep(1)
    assert.same(before, co.trace.current())
  end)

  co_it("is the same in a frame, a deferred call and a generator", seeded, function()
    local here = co.trace.current()
    local in_frame, in_deferred
    co.call(function()
      co.defer(function() in_deferred = co.trace.current() end)
      in_frame = co.trace.current()
    end)
    assert.same(here, in_frame)
    assert.same(here, in_deferred)
    assert.same(here, coroutine.wrap(co.trace.current)())
  end)

  co_it("has in a child the parent's trace id, a new span id, and the parent's as its parent",
    seeded, function()
    local parent = co.trace.current()
    local child = co.spawn(co.trace.current):await()
    assert.equal(parent.trace_id, child.trace_id)
    assert.not_equal(parent.span_id, child.span_id)
    assert.equal(parent.span_id, child.parent_span_id)
  end)

  co_it("has one trace id through all generations", seeded, function()
    local function descend(n)
      return n == 0 and co.trace.current() or (co.spawn(descend, n - 1):await())
    end
    assert.equal(co.trace.current().trace_id, descend(20).trace_id)
  end)

  co_it("differs from sibling to sibling in the span alone", seeded, function()
    local a, b = co.spawn(co.trace.current):await(), co.spawn(co.trace.current):await()
    assert.not_equal(a.span_id, b.span_id)
    a.span_id, b.span_id = nil, nil
    assert.same(a, b)
  end)

  it("works outside tasks: the main thread has a trace too", function()
    local here = co.trace.current()
    assert.matches("^" .. hex:rep(32) .. "$", here.trace_id)
    assert.same(here, co.trace.current())
  end)

  it("hands out a table of the caller's own", function()
    local here = co.trace.current()
    local trace_id = here.trace_id
    here.trace_id = "changed"
    assert.equal(trace_id, co.trace.current().trace_id)
  end)

  co_it("repeats no span among tens of thousands of tasks", function()
    local seen, repeated = {}, 0
    co.scope(function()
      for _ = 1, 20000 do
        local span_id = co.spawn(function() end).span_id
        repeated = repeated + (seen[span_id] and 1 or 0)
        seen[span_id] = true
      end
    end)
    assert.equal(0, repeated)
  end)

  co_it("repeats no trace among thousands of detached tasks", function()
    local seen, repeated = {}, 0
    co.scope(function()
      for _ = 1, 5000 do
        local trace_id = co.spawn_with({ detached_trace = true }, function() end).trace_id
        repeated = repeated + (seen[trace_id] and 1 or 0)
        seen[trace_id] = true
      end
    end)
    assert.equal(0, repeated)
  end)

  it("differs from process to process", function()
    local script = [[print(require("coropanic").trace.current().trace_id)]]
    local first, second = helpers.run_script(script), helpers.run_script(script)
    assert.matches("^" .. hex:rep(32) .. "\n$", first.stdout)
    assert.not_equal(first.stdout, second.stdout)
  end)
end)
