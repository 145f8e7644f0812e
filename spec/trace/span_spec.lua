-- Spans, sampling, and what a logger wants to know.

local co = require "coropanic"
local helpers = require "spec.helpers"

local TRACE = "0af7651916cd43dd8448eb211c80319c"

local function header(flags) return { traceparent = ("00-%s-b7ad6b7169203331-%s"):format(TRACE, flags) } end

--- Runs `main` as a task and returns the spans that ended meanwhile, by name and in order.
local function spans_of(main)
  local spans = {}
  local before = co.trace.on_span(function(span)
    spans[#spans + 1] = span
    spans[span.name] = span
  end)
  local ok, why = pcall(co.run, main)
  co.trace.on_span(before)
  if not ok then error(why, 0) end
  return spans
end

local function names_of(spans)
  local names = {}
  for i, span in ipairs(spans) do names[i] = span.name end
  return names
end

describe("co.trace.span", function()
  it("calls the function and returns what it returns", function()
    spans_of(function()
      local function same(...) return ... end
      assert.same({ 1, nil, 3, n = 3 }, table.pack(co.trace.span("s", same, 1, nil, 3)))
      assert.equal(0, select("#", co.trace.span("s", { kind = "server" }, function() end)))
    end)
  end)

  it("gives what was done to the listener when it has ended", function()
    local began
    local spans = spans_of(function()
      co.trace.span("work", { kind = "client", attributes = { a = 1 } }, function()
        began = co.trace.current()
        assert.equal(0, #co.tasks() - 1)
        co.sleep(0.001)
      end)
    end)
    local span = spans.work
    assert.equal(began.trace_id, span.trace_id)
    assert.equal(began.span_id, span.span_id)
    assert.equal(began.parent_span_id, span.parent_span_id)
    assert.equal("client", span.kind)
    assert.same({ a = 1 }, span.attributes)
    assert.same({}, span.events)
    assert.is_nil(span.status)
    assert.equal("integer", math.type(span.start_time))
    assert.is_true(span.start_time <= span.end_time)
    assert.is_true(math.abs(span.start_time / 1e9 - os.time()) < 600)
  end)

  it("has the span or task around it as parent, and is the parent of what is inside", function()
    local spans = spans_of(function()
      co.trace.span("outer", function()
        co.trace.span("inner", function() end)
        co.spawn_with({ name = "child" }, function() co.trace.span("in child", function() end) end):join()
      end)
      co.trace.span("after", function() end)
    end)
    assert.same({ "inner", "in child", "child", "outer", "after", "main" }, names_of(spans))
    assert.equal(spans.main.span_id, spans.outer.parent_span_id)
    assert.equal(spans.outer.span_id, spans.inner.parent_span_id)
    assert.equal(spans.outer.span_id, spans.child.parent_span_id)
    assert.equal(spans.child.span_id, spans["in child"].parent_span_id)
    assert.equal(spans.main.span_id, spans.after.parent_span_id)
    assert.is_nil(spans.main.parent_span_id)
    for _, span in ipairs(spans) do assert.equal(spans.main.trace_id, span.trace_id) end
  end)

  it("is what inject sends on", function()
    spans_of(function()
      co.trace.span("s", function()
        local id = co.trace.current().span_id
        assert.matches("-" .. id .. "-03", co.trace.inject({}).traceparent, 1, true)
      end)
    end)
  end)

  it("carries the tracestate", function()
    local headers = header "01"
    headers.tracestate = "a=1"
    local spans = spans_of(function() co.trace.continue(headers, co.trace.span, "s", function() end) end)
    assert.equal("a=1", spans.s.trace_state)
    assert.equal(TRACE, spans.s.trace_id)
  end)

  it("leaves its task in the span before, across suspensions of several tasks", function()
    spans_of(function()
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = co.spawn(function()
          local mine = co.trace.current().span_id
          for _ = 1, 3 do
            co.trace.span("s" .. i, function()
              local inside = co.trace.current()
              assert.equal(mine, inside.parent_span_id)
              co.yield()
              assert.equal(inside.span_id, co.trace.current().span_id)
            end)
            assert.equal(mine, co.trace.current().span_id)
          end
        end)
      end
      for _, t in ipairs(tasks) do assert.is_true(t:join()) end
    end)
  end)

  it("gives the listener the record of the panic that ended it", function()
    local records = {}
    local before = co.trace.on_span(function(span, record) records[span.name] = record or "none" end)
    co.run(function()
      local task = co.spawn_with({ name = "task" }, function()
        co.trace.span("outer", co.trace.span, "inner", function() error "boom" end)
      end)
      local _, record = task:join()
      for _, name in ipairs { "inner", "outer", "task" } do assert.equal(record, records[name]) end
      pcall(co.trace.span, "stopped by pcall", error, "boom")
      co.with_timeout(0.001, co.trace.span, "cancelled", co.sleep, 10)
    end)
    co.trace.on_span(before)
    assert.equal("none", records["stopped by pcall"])
    assert.equal("none", records.cancelled)
    assert.equal("none", records.main)
  end)

  it("begins the trace of code outside tasks", function()
    -- A state of its own, in which nobody has asked for an id.
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.trace.on_span(function(span) io.write(span.name, " ", #span.trace_id) end)
      co.trace.span("first", function() end)]]
    assert.equal("first 32", result.stdout)
  end)

  it("is not made of what the listener does", function()
    local heard = {}
    local before = co.trace.on_span(function(span)
      heard[#heard + 1] = span.name
      co.trace.span("of the listener", function() co.trace.event "x" end)
      co.spawn_with({ name = "task of the listener" }, function() end)
    end)
    co.run(function() co.trace.span("s", function() end) end)
    co.trace.on_span(before)
    assert.same({ "s", "main" }, heard)
  end)

  it("is the child of who called, in co.trace.continue", function()
    local spans = spans_of(function()
      co.trace.continue(header "01", co.trace.span, "served", function() end)
    end)
    assert.equal("b7ad6b7169203331", spans.served.parent_span_id)
  end)

  it("is not written to any more when it has ended, also out of order", function()
    local ended, main = {}, nil
    local before = co.trace.on_span(function(span)
      ended[#ended + 1] = span.name
      if span.name == "main" then main = span.attributes.late end
      span.attributes, span.events = nil, nil
    end)
    co.run(function()
      local generator
      co.trace.span("outer", function()
        generator = coroutine.wrap(function() co.trace.span("inner", coroutine.yield) end)
        generator()
      end)
      generator()
      co.trace.set { late = true }
      co.trace.event "late"
    end)
    co.trace.on_span(before)
    assert.same({ "outer", "inner", "main" }, ended)
    assert.is_true(main)
  end)

  it("works outside tasks", function()
    local spans = {}
    co.trace.on_span(function(span) spans[#spans + 1] = span end)
    co.trace.span("outside", function() co.trace.event "here" end)
    co.trace.on_span(nil)
    assert.equal("outside", spans[1].name)
    assert.equal("here", spans[1].events[1].name)
    assert.is_nil(spans[1].task)
  end)

  it("ends with status error and an exception when a panic passes, which goes on unchanged", function()
    local value = { code = "E_IO", message = "no disk" }
    local record
    local spans = spans_of(function()
      local _
      _, record = co.spawn(function()
        co.trace.span("bad", function() co.panic(value) end)
      end):join()
    end)
    assert.equal(value, record.value)
    local span = spans.bad
    assert.equal("error", span.status)
    assert.equal("E_IO: no disk", span.status_message)
    assert.equal(1, #span.events)
    local exception = span.events[1]
    assert.equal("exception", exception.name)
    assert.equal("E_IO: no disk", exception.attributes["exception.message"])
    assert.equal("E_IO", exception.attributes["exception.type"])
    assert.matches("panic: E_IO: no disk", exception.attributes["exception.stacktrace"], 1, true)
    assert.equal("error", spans[2].status, "the task's span")
    -- The stack is that of the panic, not that of the span's end.
    assert.matches("span_spec.lua$", record.frames[1].source)
    assert.equal("span", record.frames[2].name)
  end)

  it("ends with an error of Lua too", function()
    local spans = spans_of(function()
      assert.is_false(pcall(co.trace.span, "bad", function() error({}, 0) end))
      assert.is_false(pcall(co.trace.span, "worse", function() error "x" end))
    end)
    assert.equal("error", spans.bad.status)
    assert.equal("exception", spans.worse.events[1].name)
  end)

  it("is no error when it is cancelled", function()
    local spans = spans_of(function()
      local t = co.spawn(function() co.trace.span("long", co.sleep, math.huge) end)
      co.yield()
      t:cancel()
      t:join()
    end)
    assert.is_nil(spans.long.status)
    assert.is_true(spans.long.attributes["coro.cancelled"])
    assert.is_true(spans[2].attributes["coro.cancelled"])
  end)

  it("does nothing when nobody listens, or its trace is not sampled", function()
    co.run(function()
      local mine = co.trace.current().span_id
      co.trace.span("s", function() assert.equal(mine, co.trace.current().span_id) end)
    end)
    local spans = spans_of(function()
      co.trace.continue(header "00", function()
        local mine = co.trace.current().span_id
        co.trace.span("s", function()
          assert.equal(mine, co.trace.current().span_id)
          co.trace.event "e"
          co.trace.set { a = 1 }
          co.spawn(function() end):join()
        end)
      end)
    end)
    assert.same({ "main" }, names_of(spans))
  end)

  it("reports a listener that panics, and goes on", function()
    local reported = 0
    local before = co.on_panic(function() reported = reported + 1 end)
    co.trace.on_span(function() error "listener" end)
    co.run(function() co.trace.span("s", function() end) end)
    co.trace.on_span(nil)
    co.on_panic(before)
    assert.equal(2, reported) -- the span's and the task's
  end)

  it("says what is wrong with its arguments", function()
    local function fails(message, ...)
      local ok, why = pcall(co.trace.span, ...)
      assert.is_false(ok)
      assert.equal(message, why)
    end
    fails("bad argument #1 to 'span' (string expected, got nil)", nil)
    fails("bad argument #2 to 'span' (function expected, got no value)", "s")
    fails("bad argument #3 to 'span' (function expected, got no value)", "s", {})
    spans_of(function()
      fails("bad argument #2 to 'span' (unknown option 'x')", "s", { x = 1 }, print)
      fails("bad argument #2 to 'span' (option 'attributes': table expected, got number)", "s",
        { attributes = 1 }, print)
    end)
  end)
end)

describe("what listeners do", function()
  it("makes no spans, nor do the tasks that they spawn, and what these spawn", function()
    local heard = {}
    local before = co.trace.on_span(function(span)
      heard[#heard + 1] = span.name
      co.spawn(function()
        co.trace.span("of its task", function() co.trace.event "x" end)
        co.spawn(function()
          co.trace.continue(header "01", co.trace.span, "of its task's task", co.trace.current)
        end):await()
      end)
    end)
    co.run(function() co.trace.span("s", function() end) end)
    co.trace.on_span(before)
    assert.same({ "s", "main" }, heard)
  end)

  it("is not cut short by the cancellation that ends the span", function()
    local queue = co.chan(10)
    local before = co.trace.on_span(function(span) queue:send(span.name) end)
    co.run(function()
      local t = co.spawn_with({ name = "task" }, function()
        co.trace.span("cancelled", co.sleep, math.huge)
      end)
      co.yield()
      t:cancel()
      t:join()
      co.with_timeout(0.001, co.trace.span, "timed out", co.sleep, math.huge)
      co.spawn_with({ name = "exits" }, function() co.trace.span("exited", co.goexit) end):join()
      local busy = co.spawn_with({ name = "busy" }, function()
        co.trace.span("cancelled and not waiting", function() co.current():cancel() end)
      end)
      busy:join()
    end)
    co.trace.on_span(before)
    queue:close()
    local names = {}
    for name in queue:iter() do names[#names + 1] = name end
    local all = { "cancelled", "task", "timed out", "exited", "exits",
      "cancelled and not waiting", "busy", "main" }
    assert.same(all, names)
  end)
end)

describe("an exception", function()
  it("is told of any value, whatever its __tostring does", function()
    local bad = setmetatable({}, { __tostring = function() error "no text" end })
    local long = setmetatable({}, { __tostring = function() return ("x"):rep(10 ^ 7) end })
    local spans = spans_of(function()
      pcall(co.trace.span, "bad", error, bad)
      pcall(co.trace.span, "long", error, long)
    end)
    assert.equal("error", spans.bad.status)
    assert.matches("no text", spans.bad.status_message)
    assert.is_true(#spans.long.status_message < 10 ^ 6)
  end)

  it("always has a place among the events", function()
    local spans = spans_of(function()
      pcall(co.trace.span, "s", function()
        for _ = 1, 200 do co.trace.event "e" end
        error "x"
      end)
    end)
    assert.equal(129, #spans.s.events)
    assert.equal("exception", spans.s.events[129].name)
    assert.equal(72, spans.s.dropped_events)
  end)
end)

describe("the span of co.trace.continue", function()
  local PARENT = "b7ad6b7169203331"

  it("is told when its id was: nobody has a parent that is not", function()
    for how, ask in pairs {
      current = co.trace.current,
      inject = co.trace.inject,
      fields = co.trace.fields,
      spawn = function() co.spawn_with({ name = "child" }, function() end):join() end,
    } do
      local id
      local spans = spans_of(function()
        co.trace.continue(header "01", function()
          ask()
          co.trace.span("inside", function() end)
          id = co.trace.current().span_id
        end)
      end)
      assert.equal("server", spans.continue.kind, how)
      assert.same({ TRACE, id, PARENT },
        { spans.continue.trace_id, spans.continue.span_id, spans.continue.parent_span_id }, how)
      assert.equal(id, spans.inside.parent_span_id, how)
      if spans.child then assert.equal(id, spans.child.parent_span_id) end
    end
  end)

  it("is told when something was written to it, and that goes nowhere else", function()
    local spans = spans_of(function()
      co.trace.continue(header "01", function()
        co.trace.event "e"
        co.trace.set { a = 1 }
      end)
    end)
    assert.equal("e", spans.continue.events[1].name)
    assert.same({ a = 1 }, spans.continue.attributes)
    assert.same({ {}, {} }, { spans.main.events, spans.main.attributes })
  end)

  it("is not when nobody can know of it", function()
    local spans = spans_of(function()
      co.trace.continue(header "01", co.trace.span, "served", function() end)
    end)
    assert.same({ "served", "main" }, names_of(spans))
    assert.equal(PARENT, spans.served.parent_span_id)
  end)

  it("is not when nobody can know of it, in whatever order generators end", function()
    local spans = spans_of(function()
      local first = coroutine.wrap(function() co.trace.continue(header "01", coroutine.yield) end)
      local second = coroutine.wrap(function() co.trace.span("second", coroutine.yield) end)
      for _, step in ipairs { first, second, first, second } do step() end
    end)
    assert.same({ "second", "main" }, names_of(spans))
    assert.equal(PARENT, spans.second.parent_span_id)
  end)

  it("is the parent of what is begun in it after something was written to it", function()
    local spans = spans_of(function()
      co.trace.continue(header "01", function()
        co.trace.span("before", function() end)
        co.trace.event "e"
        co.trace.span("after", function() end)
      end)
    end)
    assert.equal(PARENT, spans.before.parent_span_id)
    assert.equal(spans.continue.span_id, spans.after.parent_span_id)
  end)

  it("has its id when its first event is told of", function()
    local event
    local stop = co.observe({ "span_event" }, function(_, span) event = event or span.span_id end)
    local spans = spans_of(function()
      co.trace.continue(header "01", function() co.trace.event "e" end)
    end)
    stop()
    assert.equal(16, #event)
    assert.equal(spans.continue.span_id, event)
  end)

  it("has the panic that passes", function()
    local spans = spans_of(function() co.pcall(co.trace.continue, header "01", co.panic, "boom") end)
    assert.equal("error", spans.continue.status)
    assert.equal("boom", spans.continue.status_message)
  end)

  it("is none in a trace that is not sampled, and what is written there is not written around it", function()
    local spans = spans_of(function()
      co.trace.span("s", function()
        co.trace.continue(header "00", function()
          co.trace.current()
          co.trace.event "e"
          co.trace.set { a = 1 }
        end)
      end)
    end)
    assert.same({ "s", "main" }, names_of(spans))
    assert.same({ {}, {} }, { spans.s.events, spans.s.attributes })
  end)

  it("is one outside tasks too", function()
    local spans = {}
    local before = co.trace.on_span(function(span) spans[span.name] = span end)
    local id = co.trace.continue(header "01", function() return co.trace.current().span_id end)
    co.trace.current()
    co.trace.span("after", function() end)
    co.trace.on_span(before)
    assert.equal(id, spans.continue.span_id)
    assert.is_nil(spans.after.parent_span_id) -- code outside tasks is no span
  end)
end)

describe("spans that do not end in order", function()
  it("leave their task where it was, once all have ended", function()
    spans_of(function()
      local before = co.trace.current()
      local function generator(name)
        return coroutine.wrap(function() co.trace.span(name, coroutine.yield) end)
      end
      local a, b, c = generator "a", generator "b", generator "c"
      for _, step in ipairs { a, b, c, b, a, c } do step() end
      assert.same(before, co.trace.current())
      for _, step in ipairs { generator "d", generator "e" } do step() step() end
      assert.same(before, co.trace.current())
    end)
  end)

  it("leave it in those that have not", function()
    local spans = spans_of(function()
      local inner
      local first = coroutine.wrap(function()
        co.trace.span("first", function()
          coroutine.yield()
        end)
      end)
      local second = coroutine.wrap(function()
        co.trace.span("second", function()
          inner = co.trace.current().span_id
          coroutine.yield()
        end)
      end)
      first()
      second()
      first()
      assert.equal(inner, co.trace.current().span_id)
      co.trace.event "in second"
      second()
      co.trace.event "in main"
    end)
    assert.equal("in second", spans.second.events[1].name)
    assert.equal("in main", spans.main.events[1].name)
  end)

  it("leave each coroutine of co.coroutine where it was, and the task", function()
    spans_of(function()
      local before = co.trace.current()
      local inside, inner, outer
      co.trace.span("around", function()
        inside = co.trace.current()
        inner = co.coroutine.create(function()
          co.trace.span("inner", co.coroutine.yield)
          assert.same(inside, co.trace.current())
        end)
        assert(co.coroutine.resume(inner))
        outer = coroutine.create(function() co.trace.span("outer", coroutine.yield) end)
        assert(coroutine.resume(outer))
      end)
      assert(co.coroutine.resume(inner))
      assert(coroutine.resume(outer))
      assert.same(before, co.trace.current())
    end)
  end)

  it("do not give their task, once it has ended, their ids", function()
    spans_of(function()
      local generator, mine
      local t = co.spawn(function()
        mine = co.trace.current()
        generator = coroutine.wrap(function() co.trace.continue(header "01", coroutine.yield) end)
        generator()
        assert.equal(TRACE, co.current().trace_id)
      end)
      t:join()
      assert.same({ mine.trace_id, mine.span_id }, { t.trace_id, t.span_id })
      generator()
    end)
  end)

  it("keep their order when the innermost ends before a coroutine that was made in it", function()
    local spans = spans_of(function()
      local thread
      co.trace.span("around", function()
        thread = co.coroutine.create(function()
          co.trace.span("inside", co.coroutine.yield)
          co.trace.event "late"
        end)
        co.coroutine.resume(thread)
      end)
      assert(co.coroutine.resume(thread))
      co.trace.span("after", function() end)
    end)
    assert.same({ "around", "inside", "after", "main" }, names_of(spans))
    assert.equal(spans.around.span_id, spans.inside.parent_span_id)
    assert.equal(spans.main.span_id, spans.after.parent_span_id)
    assert.equal("late", spans.main.events[1].name)
  end)

  it("may end after their task", function()
    local spans = spans_of(function()
      local thread = coroutine.create(function() co.trace.span("late", coroutine.yield) end)
      co.spawn_with({ name = "early" }, coroutine.resume, thread):join()
      assert(coroutine.resume(thread))
    end)
    assert.same({ "early", "late", "main" }, names_of(spans))
  end)

end)

describe("a coroutine of co.coroutine", function()
  it("is where it was made after it has resumed another one", function()
    spans_of(function()
      local outer
      local inner = co.coroutine.wrap(function() end)
      co.trace.span("around", function()
        local around = co.trace.current()
        outer = co.coroutine.wrap(function()
          inner()
          assert.same(around, co.trace.current())
        end)
      end)
      outer()
    end)
  end)
end)

describe("what is written to spans", function()
  it("is not written to one around a trace whose span nobody hears of", function()
    local listener
    local spans = spans_of(function()
      listener = co.trace.on_span(nil)
      co.trace.on_span(listener)
      co.trace.span("around", function()
        co.trace.on_span(nil)
        co.trace.continue(header "01", function()
          co.trace.on_span(listener)
          co.trace.event "e"
          co.trace.set { a = 1 }
        end)
      end)
    end)
    assert.same({ {}, {} }, { spans.around.events, spans.around.attributes })
  end)

  it("counts once, however often a name is set", function()
    local spans = spans_of(function()
      for i = 1, 300 do co.trace.set { a = i } end
      for i = 1, 127 do co.trace.set { ["b" .. i] = i } end
    end)
    assert.is_nil(spans.main.dropped_attributes)
    assert.equal(300, spans.main.attributes.a)
  end)

  it("says nothing of a cancellation where there was none", function()
    local spans = spans_of(function()
      co.spawn_with({ name = "exits" }, function() co.trace.span("exited", co.goexit) end):join()
    end)
    assert.same({ {}, {} }, { spans.exits.attributes, spans.exited.attributes })
  end)

  it("is let go of with the task", function()
    local before = co.trace.on_span(function() end)
    local function memory_after(tasks)
      co.run(function()
        for _ = 1, tasks do co.spawn(function() end):join() end
      end)
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    memory_after(2000)
    local first = memory_after(2000)
    local growth = memory_after(2000) - first
    co.trace.on_span(before)
    assert.is_true(growth < 50, growth) -- KB; a place has more than a hundred bytes
  end)
end)

describe("a parent", function()
  it("is recorded, or who called, also of tasks whose spawner began before somebody listened", function()
    local spans = {}
    local before
    co.run(function()
      co.trace.continue(header "01", function()
        before = co.trace.on_span(function(span) spans[span.name] = span end)
        co.trace.current()
        co.spawn_with({ name = "of a call" }, function() end):join()
      end)
      co.spawn_with({ name = "of a task" }, function() end):join()
    end)
    co.trace.on_span(before)
    assert.equal("b7ad6b7169203331", spans["of a call"].parent_span_id)
    assert.is_nil(spans["of a task"].parent_span_id)
  end)
end)

describe("a task after a context", function()
  it("makes spans if who asked for it does, whoever ends the context", function()
    local heard, context, cancel = {}, nil, nil
    local before = co.trace.on_span(function(span)
      heard[#heard + 1] = span.name
      if span.name == "s" then
        local ended = co.context.with_timeout(co.context.background(), 0)
        ended:after(function() co.trace.span("listener's", print) end)
        cancel()
      end
    end)
    co.run(function()
      context, cancel = co.context.with_cancel(co.context.background())
      context:after(function() co.trace.span("asked", function() end) end)
      co.trace.span("s", function() end)
      co.sleep(0.001)
    end)
    co.trace.on_span(before)
    assert.same({ "s", "asked", "after", "main" }, heard)
  end)
end)

describe("co.trace.event and co.trace.set", function()
  it("belong to the innermost span, or to the task's own", function()
    local spans = spans_of(function()
      co.trace.event("in main", { n = 1 })
      co.trace.set { where = "main" }
      co.trace.span("s", function()
        co.trace.event "in s"
        co.trace.set { where = "s", list = { "a", "b" } }
        co.trace.set { where = "still s" }
      end)
      co.trace.event "in main again"
    end)
    assert.same({ where = "still s", list = { "a", "b" } }, spans.s.attributes)
    assert.equal("in s", spans.s.events[1].name)
    assert.same({ n = 1 }, spans.main.events[1].attributes)
    assert.equal("in main again", spans.main.events[2].name)
    assert.same({ where = "main" }, spans.main.attributes)
    assert.is_true(spans.main.events[1].time <= spans.main.events[2].time)
  end)

  it("keep their own copy of an array", function()
    local list = { 1, 2 }
    local spans = spans_of(function()
      co.trace.set { list = list }
      list[1] = "changed"
    end)
    assert.same({ 1, 2 }, spans.main.attributes.list)
  end)

  it("are bounded, and count what they leave out", function()
    local spans = spans_of(function()
      for i = 1, 130 do
        co.trace.event("e" .. i)
        co.trace.set { ["a" .. i] = i }
      end
      co.trace.set { a1 = "again" }
    end)
    assert.equal(128, #spans.main.events)
    assert.equal(2, spans.main.dropped_events)
    assert.equal(2, spans.main.dropped_attributes)
    assert.equal("again", spans.main.attributes.a1)
    assert.is_nil(spans.main.attributes.a129)
  end)

  it("say what is wrong with their arguments", function()
    local function fails(message, ...)
      local ok, why = pcall(...)
      assert.is_false(ok)
      assert.equal(message, why)
    end
    fails("bad argument #1 to 'set' (table expected, got nil)", co.trace.set, nil)
    fails("bad argument #1 to 'event' (string expected, got nil)", co.trace.event, nil)
    fails("bad argument #2 to 'event' (table expected, got number)", co.trace.event, "e", 5)
  end)

  it("leave out and count what is no attribute: it must not fail in sampled traces alone", function()
    local long = {}
    for i = 1, 129 do long[i] = i end
    local spans = spans_of(function()
      co.trace.set { good = 1, bad = print, mixed = { 1, "a" }, holes = { 1, nil, 3 }, map = { a = 1 } }
      co.trace.set { "unnamed", nested = { { 1 } }, long = long, empty = {} }
      co.trace.event("e", { good = true, bad = print })
      co.trace.span("s", { attributes = { good = "x", bad = print } }, function() end)
    end)
    assert.same({ good = 1, empty = {} }, spans.main.attributes)
    assert.equal(7, spans.main.dropped_attributes)
    assert.same({ good = true }, spans.main.events[1].attributes)
    assert.equal(1, spans.main.events[1].dropped_attributes)
    assert.same({ good = "x" }, spans.s.attributes)
    assert.equal(1, spans.s.dropped_attributes)
  end)

  it("take an array of as many items as there may be", function()
    local long = {}
    for i = 1, 128 do long[i] = i end
    local spans = spans_of(function() co.trace.set { long = long } end)
    assert.same(long, spans.main.attributes.long)
  end)

  it("take names with any bytes", function()
    local spans = spans_of(function()
      co.trace.event("a\0b", { ["c\0d"] = "e\0f" })
      co.trace.span("x\0y", function() end)
    end)
    assert.equal("a\0b", spans.main.events[1].name)
    assert.same({ ["c\0d"] = "e\0f" }, spans.main.events[1].attributes)
    assert.is_table(spans["x\0y"])
  end)
end)

describe("a task", function()
  it("is a span from when it is spawned to its end, with its attributes", function()
    local t
    local spans = spans_of(function()
      t = co.spawn_with({ name = "reader", attributes = { file = "x", odd = print } }, co.sleep, 0.001)
      t:join()
    end)
    local span = spans.reader
    assert.equal(t.id, span.task)
    assert.equal(t.span_id, span.span_id)
    assert.equal("internal", span.kind)
    assert.same({ file = "x" }, span.attributes)
  end)

  it("keeps arrays of what it was spawned with, counts the rest, and is told more by its code", function()
    local list = { 1, 2 }
    local spans = spans_of(function()
      local attributes = { list = list, file = "x", odd = print, [5] = 5 }
      co.spawn_with({ name = "reader", attributes = attributes }, function()
        co.trace.set { file = "y" }
      end):join()
    end)
    assert.same({ list = list, file = "y" }, spans.reader.attributes)
    assert.equal(2, spans.reader.dropped_attributes)
  end)

  it("has its attributes when on_spawn is called", function()
    local seen
    local before = co.on_spawn(function(t) seen = t.name == "child" and t.attributes or seen end)
    co.run(function() co.spawn_with({ name = "child", attributes = { a = 1 } }, function() end):join() end)
    co.on_spawn(before)
    assert.same({ a = 1 }, seen)
  end)

  it("is no longer kept when it has ended", function()
    local task = setmetatable({}, { __mode = "k" })
    local before = co.trace.on_span(function() end)
    co.run(function()
      co.trace.span("s", function() task[co.spawn(function() end)] = true end)
      co.sleep(0)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(task))
    end)
    co.trace.on_span(before)
  end)

  it("is one however it ends", function()
    local spans = spans_of(function()
      local value, record
      local t = co.spawn_with({ name = "exits" }, co.goexit)
      t:join()
      t = co.spawn_with({ name = "unstarted" }, function() end)
      t:cancel()
      t:join()
      t = co.spawn_with({ name = "panics" }, co.panic, "x")
      value, record = t:join()
      assert.is_false(value)
      assert.equal("x", record.value)
    end)
    assert.same({ "exits", "unstarted", "panics", "main" }, names_of(spans))
    assert.is_nil(spans.exits.status)
    assert.is_true(spans.unstarted.attributes["coro.cancelled"])
    assert.equal("error", spans.panics.status)
  end)

  it("that began before somebody listened is none", function()
    local spans = {}
    co.run(function()
      co.trace.on_span(function(span) spans[#spans + 1] = span.name end)
      co.trace.event "nowhere"
      co.trace.set { nowhere = true }
      co.trace.span("s", function() end)
    end)
    co.trace.on_span(nil)
    assert.same({ "s" }, spans)
  end)
end)

describe("co.trace.on_span", function()
  it("returns the listener before", function()
    local function listener() end
    assert.is_nil(co.trace.on_span(listener))
    assert.equal(listener, co.trace.on_span(nil))
    assert.has_error(function() co.trace.on_span(5) end,
      "bad argument #1 to 'on_span' (function expected, got number)")
  end)
end)

describe("co.trace.sampler", function()
  after_each(function() co.trace.sampler "parent" end)

  local function sampled(headers)
    return co.trace.continue(headers, function() return co.trace.current().sampled end)
  end

  local function share_of_new(n)
    local count = 0
    for _ = 1, n do
      if co.run(function() return co.trace.current().sampled end) then count = count + 1 end
    end
    return count / n
  end

  it("follows who calls, and samples what begins here, if nobody says otherwise", function()
    assert.equal("parent", co.trace.sampler "parent")
    assert.is_true(sampled(header "01"))
    assert.is_false(sampled(header "00"))
    assert.equal(1, share_of_new(10))
  end)

  it("samples always, or never", function()
    co.trace.sampler "never"
    assert.is_false(sampled(header "01"))
    assert.equal(0, share_of_new(10))
    assert.matches("%-02$", co.run(function() return co.trace.inject({}).traceparent end))
    assert.equal("never", co.trace.sampler "always")
    assert.is_true(sampled(header "00"))
    assert.equal(1, share_of_new(10))
  end)

  it("samples by the trace id", function()
    co.trace.sampler("ratio", { ratio = 0.25 })
    local share = share_of_new(4000)
    assert.is_true(share > 0.18 and share < 0.32, share) -- ten standard deviations
    -- The right-most 56 bits of this id, 8448eb211c80319c without its first byte, are 0x48.../2^56 = 0.28.
    co.trace.sampler("ratio", { ratio = 0.7 })
    assert.is_false(sampled(header "01"))
    co.trace.sampler("ratio", { ratio = 0.73 })
    assert.is_true(sampled(header "00"))
  end)

  it("returns what puts back the one before", function()
    for _, options in ipairs { { root = "always" }, { root = "ratio", ratio = 0.3 } } do
      co.trace.sampler("parent", options)
      assert.same({ "parent", options }, { co.trace.sampler("ratio", { ratio = 0.7 }) })
      assert.same({ "ratio", { ratio = 0.7 } }, { co.trace.sampler "never" })
      assert.same({ "never", {} }, { co.trace.sampler("parent", options) })
    end
  end)

  it("takes another one for the traces that begin here", function()
    co.trace.sampler("parent", { root = "never" })
    assert.is_true(sampled(header "01"))
    assert.equal(0, share_of_new(10))
    co.trace.sampler("parent", { root = "ratio", ratio = 1 })
    assert.equal(1, share_of_new(10))
    co.trace.sampler("parent", { root = "ratio", ratio = 0 })
    assert.equal(0, share_of_new(10))
    assert.is_false(co.trace.continue(header "00", function()
      return co.spawn(function() return co.trace.current().sampled end) and co.trace.current().sampled
    end))
  end)

  it("says what is wrong with its arguments", function()
    local function fails(message, ...)
      local ok, why = pcall(co.trace.sampler, ...)
      assert.is_false(ok)
      assert.equal(message, why)
    end
    fails([[bad argument #1 to 'sampler' ("always", "never", "ratio" or "parent" expected)]], "sometimes")
    fails([[bad argument #1 to 'sampler' ("always", "never", "ratio" or "parent" expected)]], "always\0")
    fails([[bad argument #2 to 'sampler' (option 'ratio': number from 0 to 1 expected, got nil)]], "ratio")
    -- How much of a word with a zero is shown is not said.
    helpers.assert_error("bad argument #2 to 'sampler' (unknown option 'ratio", co.trace.sampler, "ratio",
      { ["ratio\0"] = 1 })
    helpers.assert_error([[(option 'root': "always", "never" or "ratio" expected, got never]],
      co.trace.sampler, "parent", { root = "never\0" })
    fails([[bad argument #2 to 'sampler' (option 'ratio': number from 0 to 1 expected, got number)]], "ratio",
      { ratio = 2 })
    fails([[bad argument #2 to 'sampler' (unknown option 'ratio')]], "always", { ratio = 1 })
    fails([[bad argument #2 to 'sampler' (unknown option 'ratio')]], "parent", { ratio = 0 })
    fails([[bad argument #2 to 'sampler' (option 'root': "always", "never" or "ratio" expected, got x)]],
      "parent", { root = "x" })
  end)
end)

describe("co.trace.fields", function()
  it("has what a line of a log wants", function()
    co.run(function()
      local here = co.trace.current()
      assert.same({
        trace_id = here.trace_id,
        span_id = here.span_id,
        sampled = true,
        trace_flags = "03",
        task_id = co.current().id,
        task = "main",
      }, co.trace.fields())
    end)
  end)

  it("has no task outside tasks", function()
    local fields = co.trace.fields()
    assert.is_nil(fields.task_id)
    assert.equal(co.trace.current().trace_id, fields.trace_id)
  end)
end)
