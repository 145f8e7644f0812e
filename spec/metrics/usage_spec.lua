-- co.trace.usage: what live traces have used.
local co = require "coropanic"

local function headers(digit)
  return { traceparent = "00-" .. digit:rep(32) .. "-00f067aa0ba902b7-01" }
end

describe("co.trace.usage", function()
  after_each(function() co.trace.usage(false) end)

  it("counts tasks, switches, spans, and the times of waiting and running", function()
    co.run_with({ clock = "virtual" }, function()
      local id = co.trace.current().trace_id
      assert.same({ tasks = 1, switches = 0, spans = 0, run_ns = 0, wait_ns = 0 }, co.trace.usage(id))
      local t = co.spawn(co.sleep, 2)
      co.trace.span("work", co.sleep, 3)
      t:join()
      assert.same({ tasks = 2, switches = 3, spans = 2, run_ns = 0, wait_ns = 5000000000 },
        co.trace.usage(id))
    end)
  end)

  it("counts the time in which code runs, on the real clock", function()
    co.run(function()
      local id = co.trace.current().trace_id
      co.trace.usage()
      local began = co.now()
      repeat until co.now() - began > 0.01
      co.yield()
      assert.is_true(co.trace.usage(id).run_ns >= 10000000)
    end)
  end)

  it("keeps traces apart, those that a task continues too", function()
    co.run_with({ clock = "virtual" }, function()
      co.trace.usage()
      local tasks = {}
      for digit, seconds in pairs { a = 1, b = 2 } do
        tasks[digit] = co.spawn_with({ detached_trace = true }, function()
          co.trace.continue(headers(digit), function()
            co.sleep(seconds)
            co.spawn(co.sleep, 10)
            co.sleep(1)
            local used = co.trace.usage(digit:rep(32))
            assert.equal(1, used.tasks)
            assert.equal((seconds + 1) * 1000000000, used.wait_ns)
          end)
        end)
      end
      tasks.a:await()
      tasks.b:await()
    end)
  end)

  it("forgets a trace when it is over", function()
    co.run(function()
      co.trace.usage()
      local task = co.spawn_with({ detached_trace = true }, co.sleep, 0)
      local id = task.trace_id
      co.yield()
      assert.is_table(co.trace.usage()[id])
      task:join()
      assert.is_nil(co.trace.usage(id))
      assert.is_nil(co.trace.usage()[id])
      assert.is_table(co.trace.usage()[co.current().trace_id])
    end)
    assert.is_nil(next(co.trace.usage()))
  end)

  it("keeps at most 1,000 traces, and those that come later when some are over", function()
    co.run_with({ clock = "virtual" }, function()
      co.trace.usage()
      for _ = 1, 1500 do
        co.spawn_with({ detached_trace = true }, co.sleep, 1)
      end
      local count = 0
      for _ in pairs(co.trace.usage()) do
        count = count + 1
      end
      assert.equal(1000, count)
      co.sleep(2)
      local task = co.spawn_with({ detached_trace = true }, co.sleep, 1)
      co.trace.usage()
      co.sleep(0.5)
      assert.is_table(co.trace.usage(task.trace_id))
    end)
  end)

  it("begins anew after it was ended", function()
    co.run(function()
      local id = co.trace.current().trace_id
      co.trace.usage()
      co.yield()
      assert.equal(1, co.trace.usage(id).switches)
      assert.equal(0, select("#", co.trace.usage(false)))
      co.trace.usage(false)
      co.yield()
      assert.equal(0, co.trace.usage(id).switches)
    end)
  end)

  it("checks its argument", function()
    assert.has_error(function() co.trace.usage(1) end,
      "bad argument #1 to 'usage' (trace id, false or nil expected, got number)")
    assert.has_error(function() co.trace.usage "abc" end,
      "bad argument #1 to 'usage' (32 hex digits expected)")
    assert.has_error(function() co.trace.usage(("A"):rep(32)) end,
      "bad argument #1 to 'usage' (32 hex digits expected)")
  end)
end)
