local co = require "coropanic"
local helpers = require "spec.helpers"

local KINDS = {
  "spawn", "start", "stop", "wake", "end", "panic", "recover", "unhandled", "cancel", "scope_open",
  "scope_close",
  "context_open", "context_end", "span_begin", "span_event", "span_end", "timer", "sleep", "awake", "overrun",
}

-- What is said of an object in these specs.
local function name_of(object)
  local kind = getmetatable(object)
  if type(object) == "string" then return object end
  if kind == "task" then return object.name end
  if kind == "coropanic.record" then return object.message end
  if type(object) == "number" then return ("%.14g"):format(object) end -- not all Luas write 1.0
  if type(kind) == "string" then return kind end
  if type(object) == "table" then return object.name end
  return tostring(object)
end

--- Observes while `fn` runs; the events, each as "kind object extra".
local function observed(kinds, fn, ...)
  local lines = {}
  local stop = co.observe(kinds, function(kind, object, extra)
    lines[#lines + 1] = ("%s %s %s"):format(kind, name_of(object), extra == nil and "-" or name_of(extra))
  end)
  helpers.run(fn, ...)
  stop()
  return lines
end

local function spawn(name, ...) return co.spawn_with({ name = name }, ...) end

describe("co.observe", function()
  it("tells of a task's life: each slice begins with start and ends with stop or end", function()
    local lines = observed({ "spawn", "start", "stop", "wake", "end" }, function()
      spawn("child", co.sleep, 1):join()
    end)
    assert.same({
      "spawn main -", "start main -", "spawn child -", "stop main -",
      "start child -", "stop child -", "wake child timeout",
      "start child -", "wake main ready", "end child done",
      "start main -", "end main done",
    }, lines)
  end)

  it("tells of a task that is cancelled before it runs that it ends, and not that it starts", function()
    local lines = observed({ "start", "cancel", "end" }, function()
      spawn("child", function() end):cancel()
    end)
    assert.same({ "start main -", "cancel child explicit", "end main done", "end child cancelled" }, lines)
  end)

  it("says how a task was woken and how it ended", function()
    local lines = observed({ "wake", "end" }, function()
      local ch = co.chan()
      spawn("sender", function() pcall(ch.send, ch, 1) end)
      spawn("sleeper", co.sleep, 100)
      spawn("exits", co.goexit)
      local fails = spawn("fails", error, "x")
      co.yield()
      ch:close()
      co.tasks()[3]:cancel()
      fails:join()
    end)
    assert.same({
      "end exits exited", "end fails panicked", "wake sender closed", "wake sleeper cancelled",
      "end main done", "end sender done", "end sleeper cancelled",
    }, lines)
  end)

  it("tells of a panic once where its record is made, once where it is recovered", function()
    local lines = observed({ "panic", "recover" }, function()
      co.call(function()
        co.defer(function() co.recover() end)
        co.panic "a"
      end)
      pcall(co.call, error, "b")
    end)
    assert.same({ "panic a main", "recover a main", "panic b main" }, lines)
  end)

  it("does not tell of an error that load returns, of a goexit or a cancellation as of a panic", function()
    local lines = observed({ "panic" }, function()
      co.call(load, function() error "not one" end)
      spawn("exits", co.goexit):join()
      co.with_timeout(1, co.sleep, 2)
    end)
    assert.same({}, lines)
  end)

  it("tells of a panic that nobody handles before the panic handler decides what is written", function()
    local lines, say = helpers.log()
    co.on_panic(function(record, task) say("handler", record.message, task.name) end)
    local stop = co.observe({ "unhandled" }, function(kind, record, task)
      say(kind, record.message, task.name)
    end)
    helpers.run(function() spawn("child", co.panic, "x") end)
    stop()
    co.on_panic(nil)
    assert.same({ "unhandled x child", "handler x child" }, lines)
  end)

  it("leaves the report on stderr as it is", function()
    local script = [[
      local co = require "coropanic"
      %s
      co.run(co.spawn, co.panic, "x")
    ]]
    local without = helpers.run_script(script:format "")
    local with = helpers.run_script(script:format [[co.observe({ "panic", "unhandled" }, function() end)]])
    local function without_ids(text)
      return (text:gsub("%x%x%x%x%x%x%x%x+", "id"):gsub("/tmp/[^:>%s]*", "script"))
    end
    helpers.assert_contains("panic: x", with.stderr)
    assert.equal(without_ids(without.stderr), without_ids(with.stderr))
  end)

  it("tells of scopes and contexts, and who cancels them", function()
    local kinds = { "scope_open", "scope_close", "context_open", "context_end", "cancel", "timer" }
    local lines = observed(kinds, function()
      co.scope(function(s) s:cancel() end)
      co.with_timeout(1, co.sleep, 5)
      local _, cancel = co.context.with_cancel(co.context.background())
      cancel()
    end)
    assert.same({
      "context_open context -", "scope_open scope -", "cancel scope scope",
      "context_end context context canceled", "scope_close scope -",
      "context_open context -", "timer context 1", "scope_open scope -", "timer main 5",
      "context_end context context deadline exceeded", "cancel scope deadline", "scope_close scope -",
      "context_open context -", "context_end context context canceled",
    }, lines)
  end)

  it("gives what can be cancelled of a co.with, too", function()
    local bodies = {}
    local stop = co.observe({ "scope_open" }, function(_, body) bodies[#bodies + 1] = body end)
    helpers.run(function()
      local waiting = co.spawn(function()
        local record = helpers.record_of(co.with, co.context.background(), co.sleep, 5)
        return record.kind, record.value, co.sleep(1)
      end)
      co.yield()
      assert.equal("body of co.with", tostring(bodies[1]))
      assert.is_true(bodies[1]:cancel "enough")
      assert.is_false(bodies[1]:cancel "again")
      assert.same({ "cancelled", "enough" }, { waiting:await() })
      assert.equal("body of co.with (ended)", tostring(bodies[1]))
      assert.is_nil(bodies[1].spawn)
    end)
    stop()
  end)

  it("tells of the end of a context once for each context that ends with it, parents first", function()
    local parent, child
    local ended = {}
    local stop = co.observe({ "context_end" }, function(_, context) ended[#ended + 1] = context end)
    helpers.run(function()
      local cancel
      parent, cancel = co.context.with_cancel(co.context.background())
      child = co.context.with_value(parent, "key", 1)
      cancel()
      cancel()
    end)
    stop()
    assert.same({ parent, child }, ended)
  end)

  it("makes spans and tells of them while anybody wants one of their kinds", function()
    local lines = observed({ "span_begin", "span_event", "span_end" }, function()
      co.trace.span("work", function() co.trace.event "done" end)
      co.trace.continue({}, function() end)
      pcall(co.trace.span, "fails", co.panic, "x")
    end)
    assert.same({
      "span_begin main -", "span_begin work -", "span_event work done", "span_end work -",
      "span_begin fails -", "span_end fails x", "span_end main -",
    }, lines)
  end)

  it("tells that co.trace.continue's span begins when it ends, for before that nobody knows of it", function()
    local header = { traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
    local lines = observed({ "span_begin", "span_end" }, function()
      co.trace.continue(header, function() co.trace.span("inside", function() co.trace.current() end) end)
      co.trace.continue(header, function() co.trace.current() end)
    end)
    assert.same({
      "span_begin main -", "span_begin inside -", "span_end inside -",
      "span_begin continue -", "span_end continue -", "span_end main -",
    }, lines)
  end)

  it("tells when the loop sleeps, and for how long at most", function()
    local lines = observed({ "sleep", "awake" }, function() co.sleep(3) end)
    assert.same({ "sleep nil 3", "awake nil -" }, lines)
  end)

  it("tells that a task has run for longer than the budget", function()
    local task, seconds
    local stop = co.observe({ "overrun" }, function(_, object, extra) task, seconds = object, extra end)
    co.run_with({ budget = 1e-9 }, function() end)
    stop()
    assert.equal("main", task.name)
    assert.is_true(seconds > 0)
  end)

  it("counts in co.stats what it tells", function()
    local counted = { spawned = "spawn", switches = "start", panics = "panic", recovered = "recover",
      unhandled = "unhandled", timers = "timer", steals = "overrun" }
    local told = {}
    local before = co.stats()
    co.on_panic(function() end)
    local stop = co.observe(KINDS, function(kind) told[kind] = (told[kind] or 0) + 1 end)
    helpers.run(function()
      co.sleep(1)
      spawn("child", error, "x")
      pcall(co.call, function()
        co.defer(function() co.recover() end)
        error "y"
      end)
    end)
    stop()
    co.on_panic(nil)
    local after = co.stats()
    for field, kind in pairs(counted) do
      assert.equal(after[field] - before[field], told[kind] or 0, field)
    end
  end)

  it("tells any number of observers, in the order in which they began", function()
    local lines, say = helpers.log()
    local stops = {}
    for i = 1, 3 do stops[i] = co.observe({ "spawn" }, function() say(i) end) end
    helpers.run(function() end)
    stops[2]()
    helpers.run(function() end)
    stops[1]()
    stops[3]()
    assert.same({ "1", "2", "3", "1", "3" }, lines)
  end)

  it("returns a function that stops it, and may be called again", function()
    local count = 0
    local stop = co.observe({ "spawn" }, function() count = count + 1 end)
    assert.equal(0, select("#", stop()))
    assert.equal(0, select("#", stop()))
    helpers.run(function() end)
    assert.equal(0, count)
  end)

  it("tells what has happened before it stops, and to a new one only what happens from then on", function()
    helpers.run(function()
      local task = spawn("child", co.sleep, 10)
      co.yield()
      local first, second = {}, {}
      local stop_first = co.observe({ "cancel" }, function() first[#first + 1] = 1 end)
      task:cancel()
      local stop_second = co.observe({ "cancel" }, function() second[#second + 1] = 1 end)
      stop_first()
      stop_second()
      assert.equal(1, #first)
      assert.equal(0, #second)
    end)
  end)

  it("may stop itself, and others, in a call: they hear of nothing from then on", function()
    local lines, say = helpers.log()
    local stop_first, stop_second
    stop_first = co.observe({ "spawn" }, function()
      say "first"
      stop_first()
      stop_second()
    end)
    stop_second = co.observe({ "spawn" }, function() say "second" end)
    local stop_third = co.observe({ "spawn" }, function() say "third" end)
    helpers.run(function() end)
    helpers.run(function() end)
    stop_third()
    assert.same({ "first", "third", "third" }, lines)
  end)

  it("may add another one in a call, which hears of the next event", function()
    local lines, say = helpers.log()
    local stops = {}
    stops[1] = co.observe({ "spawn" }, function(_, task)
      say("old", task.name)
      stops[2] = stops[2] or co.observe({ "spawn" }, function(_, other) say("new", other.name) end)
    end)
    helpers.run(function() spawn("child", function() end) end)
    for _, stop in ipairs(stops) do stop() end
    assert.same({ "old main", "old child", "new child" }, lines)
  end)

  it("reports an observer that panics, and harms neither the program nor other observers", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.observe({ "spawn" }, function(_, task) error("the observer fails at " .. task.name, 0) end)
      co.observe({ "spawn" }, function(_, task) print("heard of " .. task.name) end)
      co.run(function() print "goes on" end)
    ]]
    assert.equal("heard of main\ngoes on\n", result.stdout)
    assert.equal(0, result.status)
    helpers.assert_contains("panic: the observer fails at main", result.stderr)
  end)

  it("reports an observer that tries to suspend", function()
    local records = {}
    co.on_panic(function(record) records[#records + 1] = record.message end)
    local stop = co.observe({ "stop" }, function() co.sleep(1) end)
    helpers.run(co.yield)
    stop()
    co.on_panic(nil)
    assert.equal(1, #records)
    helpers.assert_contains("sleep", records[1])
  end)

  it("tells no observer of what an observer does, nor of its tasks and theirs", function()
    local records = 0
    co.on_panic(function() records = records + 1 end)
    local others = {}
    local stop_all = co.observe(KINDS, function(kind, object)
      if name_of(object) ~= "main" then others[#others + 1] = kind .. " " .. name_of(object) end
    end)
    local stop = co.observe({ "spawn" }, function()
      local _, cancel = co.context.with_cancel(co.context.background())
      cancel()
      pcall(co.call, error, "caught")
      spawn("muted", function()
        co.trace.span("of an observer", function() co.sleep(1) end)
        co.scope(function(s) s:spawn_with({ name = "muted too" }, error, "x") end)
      end)
      error "the observer fails"
    end)
    helpers.run(function() co.yield() end)
    stop()
    stop_all()
    co.on_panic(nil)
    assert.same({ "sleep nil", "awake nil" }, others)
    assert.equal(2, records) -- the panic handler still decides about both
  end)

  it("tells no observer of what co.on_spawn, co.on_suspend, co.on_exit and co.trace.on_span do", function()
    for _, of in ipairs { "on_spawn", "on_suspend", "on_exit", "trace.on_span" } do
      local calls, heard = 0, 0
      local set = of == "trace.on_span" and co.trace.on_span or co[of]
      set(function()
        calls = calls + 1
        spawn("spawned by it", co.yield)
      end)
      local kinds = { "spawn", "start", "stop", "end", "span_begin", "span_end" }
      local stop = co.observe(kinds, function(_, object)
        if name_of(object) == "spawned by it" then heard = heard + 1 end
      end)
      helpers.run(co.yield)
      set(nil)
      stop()
      assert.equal(1, calls, of)
      assert.equal(0, heard, of)
    end
  end)

  it("hears of what the program has asked for, even if an observer brings it about", function()
    local names = {}
    local stop_all = co.observe({ "end" }, function(_, task) names[#names + 1] = task.name end)
    helpers.run(function()
      local context, cancel = co.context.with_cancel(co.context.background())
      context:after(function() end)
      local stop
      stop = co.observe({ "spawn" }, function()
        stop()
        cancel()
      end)
      spawn("child", function() end)
    end)
    stop_all()
    assert.equal(3, #names)
  end)

  it("tells of many events that happen in one slice", function()
    local woken = 0
    local stop = co.observe({ "wake" }, function() woken = woken + 1 end)
    helpers.run(function()
      local ch = co.chan()
      for _ = 1, 10000 do co.spawn(ch.recv, ch) end
      co.yield()
      ch:close()
    end)
    stop()
    assert.equal(10000, woken)
  end)

  it("may spawn where the loop is about to sleep: that task runs first", function()
    local ran_at
    local stop
    stop = co.observe({ "sleep" }, function()
      stop()
      co.spawn(function() ran_at = co.now() end)
    end)
    helpers.run(function()
      local start = co.now()
      co.sleep(5)
      assert.equal(start, ran_at)
    end)
  end)

  it("is driven by co.step too", function()
    local kinds = {}
    local stop = co.observe({ "spawn", "wake", "end" }, function(kind) kinds[#kinds + 1] = kind end)
    local resume
    local task = co.spawn(co.await, function(r) resume = r end)
    co.step()
    resume()
    co.step()
    stop()
    assert.equal("done", task:status())
    assert.same({ "spawn", "wake", "end" }, kinds)
  end)

  for name, case in pairs {
    ["no list"] = { { "spawn", print }, "bad argument #1 to 'observe' (table expected, got string)" },
    ["nothing"] = { {}, "bad argument #1 to 'observe' (table expected, got nil)" },
    ["no kinds"] = { { {}, print },
      "bad argument #1 to 'observe' (list of one or more kinds of events expected)" },
    ["an unknown kind"] = { { { "spawn", "exit" }, print },
      "bad argument #1 to 'observe' (unknown kind \"exit\"; the kinds are spawn, start, " },
    ["a kind that is no string"] = { { { "spawn", 7 }, print },
      "bad argument #1 to 'observe' (item 2: string expected, got number" },
    ["no function"] = { { { "spawn" }, 7 }, "bad argument #2 to 'observe' (function expected, got number)" },
  } do
    it("refuses " .. name, function()
      local ok, message = pcall(co.observe, table.unpack(case[1], 1, 2))
      assert.is_false(ok)
      helpers.assert_contains(case[2], message)
    end)
  end
end)

describe("an observer", function()
  it("hears the next event although the stack was used up while it was told of one", function()
    local heard = 0
    local stop = co.observe({ "panic" }, function(_, record) heard = heard + #record.error_code end)
    local nest
    nest = co.func(function()
      co.defer(function() end)
      nest()
    end)
    co.pcall(nest)
    local before = heard
    co.pcall(error, "once more")
    stop()
    assert.is_true(heard > before)
  end)
end)
