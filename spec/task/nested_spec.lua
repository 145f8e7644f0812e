--- co.coroutine inside tasks: suspending, cancellation, panics.

local co = require "coropanic"
local helpers = require "spec.helpers"

local coroutine, run = co.coroutine, helpers.run

describe("a coroutine inside a task", function()
  it("suspends the task and keeps its own yields", function()
    run(function()
      local seen = {}
      local generator = coroutine.wrap(function()
        for i = 1, 3 do
          co.sleep(1)
          coroutine.yield(i)
        end
      end)
      for _ = 1, 3 do table.insert(seen, ("%d at %g"):format(generator(), co.now())) end
      assert.same({ "1 at 1", "2 at 2", "3 at 3" }, seen)
    end)
  end)

  it("suspends the task through any number of others", function()
    run(function()
      local function nest(depth)
        if depth == 0 then
          co.sleep(1)
          return "done"
        end
        return (coroutine.wrap(nest)(depth - 1))
      end
      assert.equal("done", nest(20))
      assert.equal(1, co.now())
    end)
  end)

  it("lets other tasks run meanwhile", function()
    run(function()
      local order = {}
      co.spawn(function() table.insert(order, "other") end)
      coroutine.wrap(function()
        co.yield()
        table.insert(order, "coroutine")
      end)()
      assert.same({ "other", "coroutine" }, order)
    end)
  end)

  it("receives from channels and takes locks", function()
    run(function()
      local ch, mutex = co.chan(), co.mutex()
      co.spawn(function()
        mutex:lock()
        ch:send(1)
        co.sleep(1)
        mutex:unlock()
        ch:close()
      end)
      local doubled = coroutine.wrap(function()
        local next_value = ch:iter()
        local v = next_value()
        while v do
          mutex:lock()
          coroutine.yield(v * 2)
          mutex:unlock()
          v = next_value()
        end
      end)
      assert.equal(2, doubled())
      assert.is_nil(doubled())
    end)
  end)

  it("may be resumed by another task later", function()
    run(function()
      local generator = coroutine.wrap(function()
        coroutine.yield(1)
        co.sleep(1)
        return 2
      end)
      assert.equal(1, generator())
      assert.same({ true, 2 }, { co.spawn(generator):join() })
    end)
  end)

  it("can not be resumed or closed while its task waits in it", function()
    run(function()
      local thread = coroutine.create(function() co.sleep(1) end)
      local task = co.spawn(coroutine.resume, thread)
      co.yield()
      assert.equal("normal", coroutine.status(thread))
      local refusal = "this coroutine belongs to a task of coropanic: "
        .. "only its scheduler may resume or close it"
      for _, library in ipairs { coroutine, _G.coroutine } do
        assert.same({ false, refusal }, { library.resume(thread) })
        if library.close then assert.same({ false, refusal }, { library.close(thread) }) end
      end
      assert.same({ true, true }, { task:join() })
      assert.equal("dead", coroutine.status(thread))
    end)
  end)

  it("can not suspend where a C function between is in the way, which is named", function()
    run(function()
      helpers.assert_error(
        "the C function 'table.sort' is in the way",
        table.sort,
        { 3, 2, 1 },
        function() coroutine.wrap(co.sleep)(1) end
      )
    end)
  end)

  it("can not suspend inside one of Lua's own", function()
    run(function()
      local generator = _G.coroutine.wrap(function() coroutine.wrap(co.sleep)(1) end)
      helpers.assert_error("'sleep' inside a coroutine that coropanic did not make", generator)
    end)
  end)

  it("is shown in the dump, innermost first", function()
    run(function()
      local here
      local task = co.spawn(function()
        coroutine.wrap(function()
          here = helpers.here(1)
          co.sleep(1)
        end)()
      end)
      co.yield()
      helpers.assert_contains(here, co.dump())
      assert.equal(here, task.where)
    end)
  end)

  it("that runs a C function is where it was resumed", function()
    run(function()
      local here
      local task = co.spawn(function()
        here = helpers.here(1)
        coroutine.wrap(co.sleep)(1)
      end)
      co.yield()
      assert.equal(here, task.where)
      here = helpers.here(1)
      local spawned = coroutine.wrap(co.spawn)(function() end)
      assert.equal(here, spawned.spawned_at)
    end)
  end)
end)

describe("a cancellation inside coroutines", function()
  it("unwinds all of them and the task, innermost first, each deferred call once", function()
    run(function()
      local log = {}
      local function deferring(name, fn)
        co.call(function()
          co.defer(function()
            co.sleep(1)
            table.insert(log, name)
          end)
          fn()
          table.insert(log, "never")
        end)
      end
      local task = co.spawn(function()
        deferring("task", coroutine.wrap(function()
          deferring("outer", coroutine.wrap(function()
            deferring("inner", function()
              pcall(co.sleep, 100)
              co.sleep(100)
            end)
          end))
        end))
      end)
      co.yield()
      task:cancel "enough"
      local _, record = task:join()
      assert.same({ "inner", "outer", "task" }, log)
      assert.equal("cancelled", task:status())
      assert.equal("enough", record.reason)
      assert.equal(3, co.now())
    end)
  end)

  it("does not reach the coroutines of deferred calls", function()
    run(function()
      local log = {}
      local task = co.spawn(coroutine.wrap(co.func(function()
        co.defer(function()
          coroutine.wrap(co.sleep)(1)
          table.insert(log, "outer")
        end)
        coroutine.wrap(co.func(function()
          co.defer(function()
            coroutine.wrap(co.sleep)(1)
            table.insert(log, "inner")
          end)
          co.sleep(100)
        end))()
      end)))
      co.yield()
      task:cancel()
      task:join()
      assert.same({ "inner", "outer" }, log)
      assert.equal(2, co.now())
    end)
  end)

  it("goes on where a frame in the coroutine returns that has swallowed it", function()
    run(function()
      local went_on = false
      local task = co.spawn(co.coroutine.wrap(function()
        co.call(function() pcall(co.sleep, 100) end)
        went_on = true
      end))
      co.yield()
      task:cancel()
      task:join()
      assert.equal("cancelled", task:status())
      assert.is_false(went_on)
    end)
  end)

  it("does not end in resume", function()
    run(function()
      local went_on = false
      local task = co.spawn(function()
        coroutine.resume(coroutine.create(function() co.sleep(100) end))
        went_on = true
      end)
      co.yield()
      task:cancel()
      task:join()
      assert.is_false(went_on)
    end)
  end)

  it("by a time-out ends at with_timeout", function()
    run(function()
      local ok, record = co.with_timeout(1, function()
        coroutine.wrap(function()
          local inner = coroutine.create(function() co.sleep(100) end)
          coroutine.resume(inner)
          error "not reached"
        end)()
      end)
      assert.is_false(ok)
      assert.equal("timeout", record.kind)
      co.sleep(1)
      assert.equal(2, co.now())
    end)
  end)

  it("waits for the deferred calls of a coroutine that is unwinding already", function()
    run(function()
      local cleaned = false
      local task = co.spawn(function()
        coroutine.wrap(function()
          co.call(function()
            co.defer(function()
              co.sleep(5)
              cleaned = true
            end)
            error "first"
          end)
        end)()
      end)
      co.sleep(1)
      task:cancel()
      task:join()
      assert.is_true(cleaned)
      assert.equal(5, co.now())
    end)
  end)

  it("as goexit ends the task too", function()
    run(function()
      local log = {}
      local task = co.spawn(function()
        co.defer(table.insert, log, "task")
        coroutine.wrap(function()
          co.call(function()
            co.defer(table.insert, log, "coroutine")
            co.goexit()
          end)
        end)()
        table.insert(log, "never")
      end)
      task:join()
      assert.same({ "coroutine", "task" }, log)
      assert.equal("exited", task:status())
    end)
  end)
end)

describe("a panic inside a coroutine", function()
  --- The places of a record's Lua frames.
  local function places(record)
    local found = {}
    for _, frame in ipairs(record.frames) do
      table.insert(found, frame.name or "?")
    end
    return table.concat(found, " ")
  end

  it("has the stack of the coroutine first, then that of its resumer", function()
    local _, record = co.pcall(function()
      local generator = coroutine.wrap(function()
        local function innermost() return nil + 1 end
        local result = innermost()
        return result
      end)
      local function use()
        generator()
        return true
      end
      local result = use()
      return result
    end)
    helpers.assert_contains("innermost", places(record))
    assert.is_true(places(record):find "innermost" < places(record):find "use")
    local text = tostring(record)
    assert.is_true(text:find("innermost", 1, true) < text:find("in use", 1, true))
  end)

  it("has both stacks when a frame inside it makes the record", function()
    local _, record = run(function() return co.pcall(function()
      local generator = coroutine.wrap(co.func(function()
        local function innermost() error "framed" end
        innermost()
      end))
      local function use()
        generator()
        return true
      end
      local result = use()
      return result
    end) end)
    assert.is_true(places(record):find "innermost" < places(record):find "use")
  end)

  it("has the stacks of coroutines in coroutines", function()
    local _, record = co.pcall(function()
      local outer = coroutine.wrap(function()
        local inner = coroutine.wrap(function()
          local function innermost() error "deep" end
          innermost()
        end)
        local function between()
          inner()
          return true
        end
        local result = between()
        return result
      end)
      outer()
    end)
    assert.is_true(places(record):find "innermost" < places(record):find "between")
  end)

  it("is the plain error for pcall and resume", function()
    assert.same({ false, "x" }, { coroutine.resume(coroutine.create(function() error("x", 0) end)) })
    local value = {}
    assert.same({ false, value }, { pcall(coroutine.wrap(function() error(value) end)) })
  end)

  it("does not lend its stack to a later error", function()
    pcall(coroutine.wrap(function()
      local function guilty() error "first" end
      guilty()
    end))
    local _, record = co.pcall(error, "second")
    helpers.assert_lacks("guilty", places(record))
    local dead = coroutine.wrap(function()
      local function guilty() error "first" end
      guilty()
    end)
    pcall(dead)
    _, record = co.pcall(function() dead() end)
    helpers.assert_contains("dead coroutine", record.message)
    helpers.assert_lacks("guilty", places(record))
  end)
end)

describe("the trace of a coroutine", function()
  local function trace_id() return co.trace.current().trace_id end

  it("is its creator's, when another task resumes it", function()
    run(function()
      local mine = trace_id()
      local seen = {}
      local generator = coroutine.wrap(function()
        table.insert(seen, trace_id())
        co.sleep(1)
        table.insert(seen, trace_id())
        coroutine.yield()
        table.insert(seen, trace_id())
        error "over"
      end)
      co.spawn_with({ detached_trace = true }, function()
        local other = trace_id()
        assert.not_equal(mine, other)
        generator()
        assert.equal(other, trace_id())
        pcall(generator)
        assert.equal(other, trace_id())
      end):await()
      assert.same({ mine, mine, mine }, seen)
      assert.equal(mine, trace_id())
    end)
  end)

  local headers = { traceparent = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01" }

  it("is its own to change: its resumer stays where it is, and it goes on where it was", function()
    run(function()
      local before = co.trace.current()
      local generator = coroutine.wrap(function()
        co.trace.set_baggage("mine", "1")
        coroutine.yield()
        co.trace.continue(headers, function()
          local inside = co.trace.current()
          coroutine.yield(inside)
          assert.same(inside, co.trace.current())
          co.sleep(1)
          assert.same(inside, co.trace.current())
        end)
        assert.equal("1", co.trace.baggage "mine")
        return co.trace.current()
      end)
      generator()
      assert.is_nil(co.trace.baggage "mine")
      assert.equal(("a"):rep(32), generator().trace_id)
      assert.same(before, co.trace.current())
      co.trace.set_baggage("task's", "2")
      assert.same(before, generator())
      assert.same({ ["task's"] = "2" }, co.trace.baggage())
    end)
  end)

  it("is at one place in it, whoever resumes it", function()
    run(function()
      local mine = co.trace.current()
      local generator = coroutine.wrap(function()
        while true do coroutine.yield(co.trace.current()) end
      end)
      assert.same(mine, generator())
      co.spawn_with({ detached_trace = true }, function()
        assert.same(mine, generator())
      end):await()
      co.spawn(function() assert.same(mine, generator()) end):await()
      co.trace.continue(headers, function() assert.same(mine, generator()) end)
    end)
  end)

  it("is its creator's also before anybody has asked where that is", function()
    run(function()
      co.trace.continue(headers, function()
        local span_id = coroutine.wrap(function() return co.trace.current().span_id end)()
        assert.equal(span_id, co.trace.current().span_id)
      end)
    end)
  end)

  it("keeps spans, and what is written to them, apart from the resumer's", function()
    local spans = {}
    local before = co.trace.on_span(function(span) spans[span.name] = span end)
    run(function()
      local generator = coroutine.wrap(function()
        co.trace.span("generator's", function()
          local inside = co.trace.current()
          coroutine.yield()
          assert.same(inside, co.trace.current())
          co.trace.event "second"
          coroutine.yield()
        end)
      end)
      co.spawn_with({ name = "other", detached_trace = true }, function()
        generator()
        co.trace.event "other's"
        co.trace.span("other's span", function()
          generator()
          co.trace.event "other's"
        end)
      end):await()
      generator()
      co.trace.event "main's"
    end)
    co.trace.on_span(before)
    local function events(name)
      local names = {}
      for i, event in ipairs(spans[name].events) do names[i] = event.name end
      return table.concat(names, " ")
    end
    assert.equal("second", events "generator's")
    assert.equal("other's", events "other")
    assert.equal("other's", events "other's span")
    assert.equal("main's", events "main")
    assert.equal(spans.main.span_id, spans["generator's"].parent_span_id)
  end)

  it("finds the span that it was made in for as long as that is open, and then the one around it", function()
    local spans = {}
    local before = co.trace.on_span(function(span) spans[span.name] = span end)
    run(function()
      local generator
      co.trace.span("outer", function()
        co.trace.span("inner", function()
          generator = coroutine.wrap(function()
            while true do
              co.trace.event "g"
              coroutine.yield()
            end
          end)
          generator()
        end)
        collectgarbage()
        generator()
      end)
      generator()
    end)
    co.trace.on_span(before)
    assert.same({ 1, 1, 1 }, { #spans.inner.events, #spans.outer.events, #spans.main.events })
  end)

  -- Generators of Lua's library share the place of whose code they are begun in.
  local lua = require "coroutine"

  local function stays_in(trace)
    return lua.create(function() co.trace.continue(trace, lua.yield) end)
  end

  it("is not what ends a generator of the task's", function()
    run(function()
      local before = co.trace.current()
      for _, made_before in ipairs { true, false } do
        local generator
        local function finish() lua.resume(generator) end
        local inner = made_before and coroutine.wrap(finish)
        generator = stays_in(headers)
        lua.resume(generator)
        inner = inner or coroutine.wrap(finish)
        inner()
        assert.same(before, co.trace.current())
      end
    end)
  end)

  it("is what it was when a generator of its own ends, is closed or dropped outside it", function()
    local endings = {
      lua.resume,
      lua.close,
      function() end,
    }
    for _, finish in ipairs(endings) do
      run(function()
        local generator
        local inner = coroutine.wrap(function()
          local before = co.trace.current()
          generator = stays_in(headers)
          lua.resume(generator)
          coroutine.yield()
          collectgarbage()
          collectgarbage()
          assert.same(before, co.trace.current())
          return true
        end)
        inner()
        finish(generator)
        generator = nil
        assert.is_true(inner())
      end)
    end
  end)

  it("is left by its own code alone, where generators of the task end in another order", function()
    run(function()
      local before = co.trace.current()
      local inner
      local first = lua.wrap(function()
        co.trace.continue(headers, function()
          inner = coroutine.wrap(function()
            local mine = co.trace.current()
            co.trace.continue(headers, function() end)
            assert.same(mine, co.trace.current())
            return true
          end)
          lua.yield()
        end)
      end)
      local second = stays_in(headers)
      first()
      lua.resume(second)
      first()
      assert.is_true(inner())
      lua.resume(second)
      assert.same(before, co.trace.current())
    end)
  end)

  it("is there when that of the code outside tasks has not begun", function()
    local result = require("spec.helpers").run_script [[
      local co = require "coropanic"
      local headers = { traceparent = "00-" .. ("a"):rep(32) .. "-" .. ("b"):rep(16) .. "-01" }
      local inner, generator
      generator = coroutine.wrap(function()
        co.trace.continue(headers, function()
          inner = co.coroutine.wrap(function()
            generator()
            co.coroutine.yield()
            co.spawn(function() io.write(co.trace.current().trace_id) end)
          end)
          coroutine.yield()
        end)
      end)
      generator()
      inner()
      co.run(function() inner() end)]]
    assert.equal(("a"):rep(32), result.stdout)
  end)

  it("is the coroutine's, and not the task's: a task that ends in one has its own", function()
    run(function()
      local generator = co.trace.continue(headers, function()
        return coroutine.wrap(function() co.sleep(math.huge) end)
      end)
      local task = co.spawn(function() generator() end)
      local trace = task.trace_id
      co.yield()
      assert.equal(trace, task.trace_id)
      task:cancel()
      task:join()
      assert.equal(trace, task.trace_id)
    end)
  end)

  it("is carried through coroutines of several requests", function()
    run(function()
      local mine = trace_id()
      local inner = coroutine.create(function() return trace_id() end)
      co.spawn_with({ detached_trace = true }, function()
        local other = trace_id()
        local outer = coroutine.wrap(function()
          local _, id = coroutine.resume(inner)
          return id, trace_id()
        end)
        co.spawn_with({ detached_trace = true }, function()
          local id, between = outer()
          assert.equal(mine, id)
          assert.equal(other, between)
        end):await()
      end):await()
    end)
  end)
end)

describe("co.instrument", function()
  it("puts co.coroutine in the place of Lua's, and returns what was there", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local original = coroutine
      print(co.instrument() == original, coroutine == co.coroutine, require "coroutine" == co.coroutine)
      print(co.instrument() == co.coroutine)
      co.run(function()
        print(coroutine.wrap(function() co.sleep(0) coroutine.yield "generated" end)())
      end)
    ]]
    assert.equal("true\ttrue\ttrue\ntrue\ngenerated\n", result.stdout)
  end)
end)
