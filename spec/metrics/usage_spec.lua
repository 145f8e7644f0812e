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

  it("counts allocated bytes for the trace that allocates, while a profile does", function()
    co.run(function()
      local own = co.trace.current().trace_id
      co.trace.usage()
      co.yield()
      assert.is_nil(co.trace.usage(own).allocated)
      local profile = co.profile.start { kind = "alloc" }
      local large, small
      local function work(size)
        return co.spawn_with({ detached_trace = true }, function()
          for _ = 1, 100 do
            local text = ("x"):rep(size)
            co.yield()
            assert(#text == size)
          end
          local used = co.trace.usage(co.trace.current().trace_id).allocated
          if size > 1000 then large = used else small = used end
        end)
      end
      for _, t in ipairs { work(10000), work(10) } do t:join() end
      profile:stop()
      assert.is_true(large >= 1000000)
      assert.is_true(small > 0 and small < 500000)
      local before = co.trace.usage(own).allocated
      local text = ("x"):rep(1000000)
      co.yield()
      assert.equal(1000000, #text)
      assert.is_true((co.trace.usage(own).allocated or 0) - (before or 0) < 1000000)
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

describe("the root span of a trace", function()
  local ended
  local before

  before_each(function()
    ended = {}
    before = co.trace.on_span(function(span) ended[span.name] = span.attributes end)
    co.trace.usage()
  end)

  after_each(function()
    co.trace.on_span(before)
    co.trace.usage(false)
  end)

  local function usage_of(name)
    local used = {}
    for key, value in pairs(ended[name]) do
      local field = key:match "^coropanic%.usage%.(.*)$"
      if field then used[field] = value end
    end
    return used
  end

  it("has what the trace has used as attributes, when it ends", function()
    co.run_with({ clock = "virtual" }, function()
      co.spawn_with({ detached_trace = true, name = "job" }, function()
        local inner = co.spawn_with({ name = "part" }, co.sleep, 2)
        co.trace.span("work", co.sleep, 3)
        inner:join()
      end):join()
    end)
    local used = usage_of "job"
    used.spans = nil
    assert.same({ tasks = 2, switches = 4, run_ns = 0, wait_ns = 5000000000 }, used)
    assert.same({}, usage_of "part")
    assert.same({}, usage_of "work")
  end)

  it("is each one whose parent is in another process", function()
    co.run_with({ clock = "virtual" }, function()
      co.trace.continue(headers "a", function()
        co.trace.span("first", co.sleep, 1)
        co.trace.span("second", function() co.trace.span("inside", co.sleep, 1) end)
      end)
      co.trace.continue(headers "b", function() co.spawn_with({ name = "child" }, co.sleep, 4):join() end)
    end)
    assert.equal(1000000000, usage_of("first").wait_ns)
    assert.equal(2000000000, usage_of("second").wait_ns)
    assert.same({}, usage_of "inside")
    assert.equal(8000000000, usage_of("continue").wait_ns)
    assert.same({}, usage_of "child")
  end)

  it("counts the slice in which it ends", function()
    local function compute()
      local began = os.clock()
      repeat until os.clock() - began > 0.01
    end
    co.run(function()
      co.spawn_with({ detached_trace = true, name = "job" }, compute):join()
      co.trace.continue(headers "a", co.trace.span, "request", compute)
    end)
    -- half of it: the processor's time and that of the system are different clocks
    assert.is_true(usage_of("job").run_ns >= 5000000)
    assert.is_true(usage_of("request").run_ns >= 5000000)
  end)

  it("has room for it, however many attributes it has", function()
    co.run(function()
      co.spawn_with({ detached_trace = true, name = "job" }, function()
        for i = 1, 200 do co.trace.set("k" .. i, i) end
      end):join()
    end)
    assert.equal(1, usage_of("job").tasks)
  end)

  it("has none of it for traces beyond the bound, and when nothing is counted", function()
    co.run_with({ clock = "virtual" }, function()
      local tasks = {}
      for i = 1, 1001 do
        tasks[i] = co.spawn_with({ detached_trace = true, name = "job " .. i }, co.sleep, 1)
      end
      for _, t in ipairs(tasks) do t:join() end
      assert.equal(1, usage_of("job 1").tasks)
      assert.same({}, usage_of "job 1001")
      co.trace.usage(false)
      co.spawn_with({ detached_trace = true, name = "later" }, co.sleep, 1):join()
      assert.same({}, usage_of "later")
    end)
  end)
end)
