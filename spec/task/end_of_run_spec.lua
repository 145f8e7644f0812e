-- What the end of a run makes: panics that are told late, what the handler spawns for them, services.

local co = require "coropanic"
local helpers = require "spec.helpers"

local function live() return co.stats().live end

describe("what the panic handler spawns at the end of a run", function()
  local lines, say, handler

  before_each(function()
    lines, say = helpers.log()
    function handler(record)
      co.spawn(function()
        co.sleep(0.1)
        say("sent", record.message)
      end)
    end
  end)

  it("runs, for the last panic", function()
    co.run_with({ clock = "virtual", unhandled = handler }, function() co.spawn(error, "late", 0) end)
    assert.same({ "sent late" }, lines)
    assert.equal(0, live())
  end)

  it("runs beside the daemons, which end after it", function()
    local jobs = co.chan()
    local function send(record)
      co.spawn(function() say("answer", jobs:send(record.message)) end)
    end
    co.run_with({ clock = "virtual", unhandled = send }, function()
      co.spawn_with({ daemon = true }, function()
        while true do say("daemon got", (jobs:recv())) end
      end)
      co.spawn(error, "late", 0)
    end)
    table.sort(lines)
    assert.same({ "answer", "daemon got late" }, lines)
    assert.equal(0, live())
  end)

  it("runs for a panic of a daemon's deferred call", function()
    co.run_with({ clock = "virtual", unhandled = handler }, function()
      co.spawn_with({ daemon = true }, function()
        co.defer(error, "on the way out", 0)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.same({ "sent on the way out" }, lines)
  end)

  it("runs although main has panicked, and co.run raises main's", function()
    local ok, record = pcall(co.run_with, { clock = "virtual", unhandled = handler }, function()
      co.spawn(error, "another", 0)
      co.yield()
      error("main", 0)
    end)
    assert.is_false(ok)
    assert.equal("main", record.message)
    assert.same({ "sent another" }, lines)
    assert.equal(0, live())
  end)

  it("is told of when it panics itself, but not for ever", function()
    local result = helpers.run_apart(function()
      local told = 0
      co.run_with({
        clock = "virtual",
        unhandled = function()
          told = told + 1
          if told > 100 then return end
          co.spawn(function()
            co.sleep(0.01)
            co.spawn(error, "again", 0):join()
            co.panic "again"
          end)
        end,
      }, function()
        co.spawn(error, "first", 0)
      end)
      assert(told == 8)
      assert(co.stats().live == 0)
    end)
    assert.matches("^panic: again\n", result.stderr)
    assert.equal(1, select(2, result.stderr:gsub("panic: ", "")))
  end)

  it("is unwound when it waits for ever", function()
    local ok, record = pcall(co.run_with, {
      clock = "virtual",
      unhandled = function()
        co.spawn(function()
          co.defer(say, "unwound")
          co.chan():recv()
        end)
      end,
    }, function() co.spawn(error, "late", 0) end)
    assert.is_false(ok)
    assert.equal("deadlock", record.kind)
    assert.same({ "unwound" }, lines)
    assert.equal(0, live())
  end)

  it("leaves nothing behind for the next run", function()
    pcall(co.run_with, { clock = "virtual", unhandled = handler }, function()
      co.spawn(error, "another", 0)
      error("main", 0)
    end)
    assert.equal(0, live())
    assert.equal("next", co.run_with({ clock = "virtual" }, function() return "next" end))
  end)

  it("may not be a run of its own", function()
    local message
    co.run_with({
      clock = "virtual",
      unhandled = function() message = select(2, pcall(co.run, function() end)) end,
    }, function() co.spawn(error, "late", 0) end)
    helpers.assert_contains("not in a handler or hook", message)
  end)
end)

describe("a panic that is held", function()
  it("is not told while its spawner awaits another task, and may be joined then", function()
    local joined
    local reports = helpers.run_reporting(function()
      local bad, slow = co.spawn(error, "bad", 0), co.spawn(co.sleep, 5)
      slow:await()
      joined = select(2, bad:join()).message
    end)
    assert.equal("bad", joined)
    assert.same({}, reports)
  end)
end)

describe("a service", function()
  it("is a daemon that lives until the deferred calls of all other daemons have run", function()
    local lines, say = helpers.log()
    local jobs = co.chan()
    helpers.run(function()
      co.spawn_with({ service = true }, function()
        co.defer(say, "the service ends")
        while true do say("served", (jobs:recv())) end
      end)
      co.spawn_with({ daemon = true }, function()
        co.defer(function()
          co.sleep(1)
          jobs:send "a last job"
        end)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.same({ "served a last job", "the service ends" }, lines)
  end)

  it("is ended with a deferred call that waits for its end", function()
    local status
    helpers.run(function()
      local service = co.spawn_with({ service = true }, co.sleep, math.huge)
      co.spawn_with({ daemon = true }, function()
        co.defer(function()
          service:join()
          status = service:status()
        end)
        co.sleep(100)
      end)
      co.yield()
    end)
    assert.equal("cancelled", status)
  end)

  it("has what its deferred calls spawn cancelled", function()
    local lines, say = helpers.log()
    helpers.run(function()
      co.spawn_with({ service = true }, function()
        co.defer(co.spawn, function()
          co.sleep(100)
          say "never"
        end)
        co.sleep(1000)
      end)
      co.yield()
    end)
    assert.same({}, lines)
  end)

  it("is ended, however busy, when all that others do is to wait for ever", function()
    local turns = 0
    helpers.run_reporting(function()
      co.spawn_with({ service = true }, function()
        for _ = 1, 1000 do
          co.sleep(1)
          turns = turns + 1
        end
      end)
      co.spawn_with({ daemon = true }, function()
        co.defer(function() co.chan():recv() end)
        co.panic "x"
      end)
      co.yield()
    end)
    assert.is_true(turns < 10)
  end)

  it("makes no spans, nor do the tasks that it spawns", function()
    local names = {}
    local before = co.trace.on_span(function(span) names[#names + 1] = span.name end)
    finally(function() co.trace.on_span(before) end)
    helpers.run(function()
      co.spawn_with({ service = true, name = "service" }, function()
        co.trace.span("in the service", function() end)
        co.spawn_with({ name = "helper" }, co.trace.span, "in its helper", function() end):join()
      end)
      co.sleep(1)
    end)
    assert.same({ "main" }, names)
  end)
end)

describe("a hook in a task that is being cancelled", function()
  it("is not told of as a panic when it runs into the cancellation", function()
    local before = co.on_spawn(function() co.call(co.goexit) end)
    finally(function() co.on_spawn(before) end)
    local reports = helpers.run_reporting(function()
      local task = co.spawn(function()
        co.defer(function() co.spawn(function() end) end)
        pcall(co.sleep, 10)
        co.spawn(function() end)
      end)
      co.yield()
      task:cancel()
    end)
    assert.same({}, reports)
  end)

  it("cuts short a deferred call that waits for ever, whatever it catches, and runs the others", function()
    local ran = {}
    local function note(name) return function() ran[#ran + 1] = name end end
    local function wait_for_ever()
      co.defer(note "inside")
      local ch = co.chan()
      while true do pcall(ch.recv, ch) end
    end
    for _, begin in ipairs {
      function() error("main fails", 0) end,
      function()
        co.spawn_with({ daemon = true }, co.call, function()
          co.defer(note "of the daemon")
          co.defer(wait_for_ever)
          co.sleep(1)
        end)
        co.yield()
        error("main fails", 0)
      end,
    } do
      ran = {}
      pcall(helpers.run, function()
        co.defer(note "first")
        co.defer(wait_for_ever)
        co.defer(wait_for_ever)
        begin()
      end)
      assert.equal(0, co.stats().live)
      local counts = {}
      for _, name in ipairs(ran) do counts[name] = (counts[name] or 0) + 1 end
      assert.equal(1, counts.first)
      local calls = counts["of the daemon"] and 3 or 2
      assert.equal(calls, counts.inside)
    end
  end)

  it("ends where deferred calls that wait for ever defer others that do", function()
    local times = 0
    local function again()
      times = times + 1
      co.defer(again)
      while true do pcall(co.await, function() end) end
    end
    pcall(helpers.run, function()
      co.defer(again)
      error "x"
    end)
    assert.is_true(times > 1)
    assert.equal(0, co.stats().live)
  end)
end)
