-- A task that swallows its exit in a loop, and never suspends, is unwound by force (CANCEL_MAX_RAISES).

local co = require "coropanic"
local endless = require "spec.structure.endless"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local MAX_RAISES = 100

describe("a task that swallows its cancellation for ever", function()
  before_each(function() co.call(function() end) end) -- the main thread has had frames

  for loop_name, loop in pairs(endless.LOOPS) do
    for wait_name, make in pairs(endless.WAITS) do
      for request_name, request in pairs(endless.REQUESTS) do
        co_it(("by %s around %s, after %s, is unwound"):format(loop_name, wait_name, request_name), function()
          local log, ticks = {}, 0
          local context, cancel = co.context.with_cancel(co.context.background())
          local task = co.spawn_with({ context = context }, function()
            co.defer(function()
              co.sleep(1)
              log[#log + 1] = "deferred"
            end)
            loop(make(), function() ticks = ticks + 1 end)
          end)
          co.sleep(1)
          request.ask(task, cancel)
          local ended, record = task:join(100)
          assert.is_false(ended)
          assert.is_true(record.forced)
          assert.equal(task:status() == "exited" and "goexit" or request.kind, record.kind)
          assert.same({ "deferred" }, log)
          assert.equal(2, co.now())
          local at_end = ticks
          co.sleep(10)
          assert.equal(at_end, ticks)
        end)
      end
    end
  end

  co_it("is raised CANCEL_MAX_RAISES times", function()
    local raised = 0
    local task = co.spawn(function()
      while true do
        pcall(co.sleep, 1e6)
        raised = raised + 1
      end
    end)
    co.yield()
    task:cancel()
    task:join()
    assert.equal(MAX_RAISES - 1, raised)
  end)

  it("does not keep a run from its end", function()
    local jobs = co.chan()
    local deferred = false
    co.run_with({ clock = "virtual" }, function()
      co.spawn_with({ daemon = true }, function()
        co.defer(function() deferred = true end)
        while true do
          pcall(function()
            local job = jobs:recv()
            return job()
          end)
        end
      end)
      co.sleep(1)
    end)
    assert.is_true(deferred)
  end)

  it("may be main", function()
    local deferred = false
    local ok, record = pcall(co.run_with, { clock = "virtual" }, function()
      co.defer(function()
        co.sleep(1)
        deferred = true
      end)
      co.current():cancel "enough"
      while true do pcall(co.sleep, 1) end
    end)
    assert.is_false(ok)
    assert.equal("enough", record.reason)
    assert.is_true(record.forced)
    assert.is_true(deferred)
  end)

  co_it("has the deferred calls of its frames and generators run, innermost first", function()
    local log = {}
    local function note(name, seconds)
      co.defer(function()
        if seconds then co.sleep(seconds) end
        co.defer(function() log[#log + 1] = name end)
      end)
    end
    local task = co.spawn(function()
      note("entry", 1)
      co.call(function()
        note("call", 1)
        co.coroutine.wrap(function()
          co.call(function()
            note "generator"
            while true do pcall(co.sleep, 1e6) end
          end)
        end)()
      end)
    end)
    co.yield()
    task:cancel()
    task:join()
    assert.same({ "generator", "call", "entry" }, log)
  end)

  co_it("waits for the tasks of its scopes before the deferred calls around them", seeded, function()
    local log = {}
    local function note(name, seconds)
      co.defer(function()
        co.sleep(seconds)
        log[#log + 1] = name
      end)
    end
    local task = co.spawn(function()
      note("around", 1)
      co.scope(function(s)
        s:spawn(function()
          note("member", 5)
          co.sleep(1e6)
        end)
        note("body", 1)
        co.yield()
        while true do pcall(co.sleep, 1e6) end
      end)
    end)
    co.sleep(1)
    task:cancel()
    task:join()
    assert.same({ "body", "member", "around" }, log)
    assert.equal(8, co.now())
  end)

  co_it("ends with the panic of a member of its scope", seeded, function()
    local task = co.spawn(function()
      co.scope(function(s)
        s:spawn(function()
          co.defer(error, "member", 0)
          co.sleep(1e6)
        end)
        co.yield()
        while true do pcall(co.sleep, 1e6) end
      end)
    end)
    co.sleep(1)
    task:cancel()
    local _, record = task:join()
    assert.equal("member", record.value)
    assert.equal("panicked", task:status())
  end)

  co_it("under its own time-out ends as out of time", seeded, function()
    local went_on = false
    local task = co.spawn(function()
      co.with_timeout(1, function()
        while true do pcall(co.sleep, 1e6) end
      end)
      went_on = true
    end)
    local _, record = task:join()
    assert.equal("timeout", record.kind)
    assert.equal("deadline", record.source)
    assert.is_true(record.forced)
    assert.equal("cancelled", task:status())
    assert.is_false(went_on)
    assert.equal(1, co.now())
  end)

  co_it("and is cancelled itself in a cancelled scope, ends with what was asked of it", seeded, function()
    local task = co.spawn(co.scope, function(s)
      s:cancel "the scope's"
      pcall(co.yield)
      co.current():cancel "its own"
      while true do pcall(co.yield) end
    end)
    local _, record = task:join()
    assert.equal("its own", record.reason)
    assert.is_true(record.forced)
  end)

  co_it("may have a debug hook that sets results while it is unwound", function()
    local count = 0
    local function set_more_results()
      count = count % 100 + 1
      pcall(co.set_results, table.unpack({}, 1, count))
    end
    local task = co.spawn(function()
      co.defer(function()
        debug.sethook(set_more_results, "c")
        while true do pcall(co.goexit) end
      end)
      co.panic "x"
    end)
    local _, record = task:join()
    debug.sethook() -- in LuaJIT there is one for all coroutines
    assert.equal("x", record.value)
    assert.is_true(record.forced)
  end)

  co_it("in deferred calls that are unwound themselves goes on with the others", function()
    local begun = 0
    local task = co.spawn(function()
      for _ = 1, 30 do
        co.defer(function()
          begun = begun + 1
          while true do pcall(co.goexit) end
        end)
        co.defer(function()
          begun = begun + 1
          co.with_timeout(1, function()
            while true do pcall(co.sleep, 1e6) end
          end)
        end)
      end
      co.sleep(1e6)
    end)
    co.yield()
    task:cancel "enough"
    local _, record = task:join()
    assert.equal(60, begun)
    assert.equal("enough", record.reason)
    assert.is_true(record.forced)
    assert.equal(30, co.now())
  end)

  co_it("in a deferred call of a panic does not hide the panic", seeded, function()
    local task = co.spawn(function()
      co.defer(function()
        co.with_timeout(1, function()
          while true do pcall(co.sleep, 1e6) end
        end)
      end)
      error("bad", 0)
    end)
    local _, record = task:join()
    assert.equal("bad", record.value)
    assert.is_true(record.forced)
    assert.equal("panicked", task:status())
  end)

  co_it("by goexit in generators, which it makes or stays in, is unwound", seeded, function()
    local function in_one()
      co.coroutine.wrap(function()
        while true do pcall(co.goexit) end
      end)()
    end
    local function in_many()
      while true do pcall(co.coroutine.wrap(function() co.goexit() end)) end
    end
    for _, body in ipairs { in_one, in_many } do
      local task = co.spawn(body)
      local _, record = task:join()
      assert.equal("exited", task:status())
      assert.is_true(record.forced)
    end
  end)

  co_it("does not go on where a deferred call recovers another panic", function()
    local recovered, went_on
    local task = co.spawn(function()
      co.call(function()
        co.defer(function() recovered = co.recover() end)
        co.defer(error, "another", 0)
        while true do pcall(co.sleep, 1e6) end
      end)
      went_on = true
    end)
    co.yield()
    task:cancel "enough"
    local _, record = task:join()
    assert.equal("another", recovered)
    assert.is_nil(went_on)
    assert.equal("enough", record.reason)
  end)

  co_it("says so in the report and the table of its record", seeded, function()
    local task = co.spawn(function()
      co.current():cancel()
      while true do pcall(co.yield) end
    end)
    local _, record = task:join()
    assert.matches("was unwound by force: it had swallowed that 100 times", tostring(record), 1, true)
    assert.is_true(record:to_table().forced)
  end)

  co_it("leaves nothing of it behind: what it waited for, held, and its thread serve others",
    seeded, function()
    local mutex, ch = co.mutex(), co.chan()
    local task = co.spawn(function()
      mutex:lock()
      co.defer(mutex.unlock, mutex)
      while true do pcall(ch.recv, ch) end
    end)
    co.yield()
    task:cancel()
    task:join()
    assert.is_true(mutex:try_lock())
    assert.is_false(ch:try_send(1))
    for _ = 1, 10 do assert.is_true(co.spawn(function() co.sleep(1) end):join()) end
  end)
end)

describe("a task that is not unwound by force", function()
  local function cancelled(body)
    helpers.run(function()
      local task = co.spawn(body)
      co.yield()
      task:cancel()
      local _, record = task:join()
      assert.equal("cancelled", task:status())
      assert.is_nil(record.forced)
    end)
  end

  it("swallows its cancellation less often", function()
    local rounds = 0
    cancelled(function()
      for _ = 1, MAX_RAISES - 1 do
        pcall(co.sleep, 1e6)
        rounds = rounds + 1
      end
    end)
    assert.equal(MAX_RAISES - 1, rounds)
  end)

  it("suspends in between, in a deferred call", function()
    local rounds = 0
    cancelled(function()
      for _ = 1, 5 * MAX_RAISES do
        pcall(co.call, function()
          co.defer(co.yield)
          co.sleep(1e6)
        end)
        rounds = rounds + 1
      end
    end)
    assert.equal(5 * MAX_RAISES, rounds)
  end)

  co_it("has many time-outs of its own, one after the other", seeded, function()
    for _ = 1, 5 * MAX_RAISES do
      local ok, record = co.with_timeout(0, co.sleep, 1)
      assert.is_false(ok)
      assert.equal("timeout", record.kind)
    end
  end)

  co_it("cancels many scopes of its own, one after the other", seeded, function()
    for _ = 1, 5 * MAX_RAISES do
      co.scope(function(s)
        s:cancel()
        pcall(co.yield)
        co.yield()
      end)
    end
  end)

  it("loops in a deferred call, which is shielded", function()
    cancelled(function()
      co.defer(function()
        for _ = 1, 5 * MAX_RAISES do assert.is_true(pcall(co.sleep, 1)) end
      end)
      co.sleep(1e6)
    end)
  end)

  it("runs hooks that call goexit", function()
    local went_on
    helpers.run_reporting(function()
      local previous = co.on_spawn(function() co.goexit() end)
      for _ = 1, 5 * MAX_RAISES do co.spawn(function() end) end
      co.on_spawn(previous)
      co.sleep(1)
      went_on = true
    end)
    assert.is_true(went_on)
  end)
end)
