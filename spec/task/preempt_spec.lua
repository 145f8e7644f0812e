--- co.preempt: a task that does not suspend is suspended when its slice is over. Nothing here measures time:
--- a loop runs until another task has done something, so it would never end if that did not get its turn.

local co = require "coropanic"
local helpers = require "spec.helpers"
local luasocket = require "socket"

local error, pcall = error, pcall -- else busted's own functions find them, and may be what is preempted

local SLICE = 0.0005

--- Calls `fn` in a run with preemption.
local function run(fn)
  co.preempt { slice = SLICE }
  finally(function() co.preempt(false) end)
  return co.run(fn)
end

--- Returns a function that computes until the running task was preempted once more.
local function compute_until_preempted()
  local before = co.stats().preemptions
  while co.stats().preemptions == before do
  end
end

describe("co.preempt", function()
  it("is off at first, and returns the setting before, which can be passed back", function()
    finally(function() co.preempt(false) end)
    assert.is_false(co.preempt { slice = 0.02 })
    assert.same({ slice = 0.02 }, co.preempt(true))
    assert.same({ slice = 0.01 }, co.preempt {})
    local before = co.preempt(false)
    assert.same({ slice = 0.01 }, before)
    assert.is_false(co.preempt(before))
    assert.same({ slice = 0.01 }, co.preempt())
    assert.same({ slice = 0.01 }, co.preempt(nil))
  end)

  it("refuses other arguments, and then changes nothing", function()
    local expected = "bad argument #1 to 'preempt' (table or boolean expected, got number)"
    helpers.assert_error(expected, co.preempt, 1)
    helpers.assert_error("unknown option 'slices'", co.preempt, { slices = 1 })
    helpers.assert_error("option 'slice': seconds from 0.00001 to 3600 expected, got string", co.preempt,
      { slice = "1" })
    for _, slice in ipairs { 0, -1, 1e-6, 3601, math.huge, 0 / 0 } do
      helpers.assert_error("option 'slice': seconds from 0.00001 to 3600 expected, got ", co.preempt,
        { slice = slice })
    end
    assert.is_false(co.preempt())
  end)

  it("lets the others run while tasks compute without suspending, and counts that", function()
    local before = co.stats().preemptions
    run(function()
      local stop, turns = false, 0
      local function hog()
        while not stop do
        end
        return "stopped"
      end
      local first, second = co.spawn(hog), co.spawn(hog)
      for _ = 1, 5 do
        co.yield()
        turns = turns + 1
      end
      stop = true
      assert.same({ 5, "stopped", "stopped" }, { turns, first:await(), second:await() })
    end)
    assert.is_true(co.stats().preemptions >= before + 5)
  end)

  it("lets timers and descriptors wake tasks meanwhile", function()
    run(function()
      local woken = 0
      local function hog()
        while woken < 2 do
        end
      end
      local server = assert(luasocket.bind("127.0.0.1", 0))
      local client = assert(luasocket.connect("127.0.0.1", (select(2, server:getsockname()))))
      co.spawn(function()
        co.sleep(0.001)
        woken = woken + 1
      end)
      co.spawn(function()
        co.wait_fd(server, "r")
        woken = woken + 1
      end)
      co.spawn(hog)
      hog()
      client:close()
      server:close()
    end)
  end)

  it("needs no memory for the text of the code that it suspends", function()
    co.preempt { slice = 0.00005 }
    finally(function()
      collectgarbage "restart"
      co.preempt(false)
    end)
    local compute = assert(load([[
      local stats = require("coropanic").stats
      local before = stats().preemptions
      while stats().preemptions == before do
      end --]] .. ("x"):rep(1000000)))
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    co.run(function()
      for _ = 1, 20 do compute() end
    end)
    assert.is_true(collectgarbage "count" - before < 10000)
  end)

  it("leaves no hook in a task that it has suspended", function()
    run(function()
      compute_until_preempted()
      co.preempt(false)
      assert.is_nil((debug.gethook()))
    end)
  end)

  it("can be turned on and off by a task that runs", function()
    finally(function() co.preempt(false) end)
    co.run(function()
      co.preempt { slice = SLICE }
      compute_until_preempted()
      local before = co.stats().preemptions
      co.preempt(false)
      local ran = false
      co.spawn(function() ran = true end)
      for _ = 1, 1e6 do
      end
      assert.is_false(ran)
      assert.equal(before, co.stats().preemptions)
      co.preempt { slice = SLICE }
      while not ran do
      end
    end)
  end)

  it("works in one run after the other", function()
    for _ = 1, 3 do run(compute_until_preempted) end
  end)

  it("shows a preempted task as ready, with the line that it has reached", function()
    run(function()
      local seen
      local task = co.spawn(function()
        while not seen do
        end
      end)
      co.yield()
      assert.equal("ready", task:status())
      assert.is_nil(task.operation)
      helpers.assert_contains("preempt_spec.lua:", task.where)
      helpers.assert_contains(("task %d \"task %d\" ready"):format(task.id, task.id), co.dump())
      seen = true
    end)
  end)
end)

local places = {
  ["in pcall"] = function() assert(pcall(compute_until_preempted)) end,
  ["in co.pcall and a frame"] = function() assert(co.pcall(co.call, compute_until_preempted)) end,
  ["in a metamethod"] = function()
    local object = setmetatable({}, {
      __index = function(_, key)
        compute_until_preempted()
        return key
      end,
      __add = function(_, n)
        compute_until_preempted()
        return n + 1
      end,
    })
    assert.equal("key", object.key)
    assert.equal(3, object + 2)
  end,
  ["in an iterator"] = function()
    local function steps(_, i)
      compute_until_preempted()
      return i < 3 and i + 1 or nil
    end
    local sum = 0
    for i in steps, nil, 0 do sum = sum + i end
    assert.equal(6, sum)
  end,
  ["in a __close"] = load [[
    local compute_until_preempted = ...
    return function()
      do
        local _ <close> = setmetatable({}, { __close = compute_until_preempted })
      end
    end
  ]](compute_until_preempted),
  ["in a deferred call"] = function() co.call(co.defer, compute_until_preempted) end,
  ["deep in a recursion"] = function()
    local function deep(n)
      if n > 0 then return (deep(n - 1)) + 1 end
      compute_until_preempted()
      return 0
    end
    assert.equal(1000, deep(1000))
  end,
  ["in nested coroutines, whose own yields go to their resumers"] = function()
    local outer = co.coroutine.wrap(function(a)
      local inner = co.coroutine.wrap(function(b)
        compute_until_preempted()
        local c = co.coroutine.yield(b + 1)
        compute_until_preempted()
        return c + 1
      end)
      local b = co.coroutine.yield(inner(a))
      compute_until_preempted()
      return inner(b)
    end)
    assert.equal(2, outer(1))
    assert.equal(11, outer(10))
  end,
}

describe("a task is preempted", function()
  for where, compute in pairs(places) do
    it(where, function()
      run(function()
        local turns, done = 0, false
        co.spawn(function()
          while not done do
            turns = turns + 1
            co.yield()
          end
        end)
        compute()
        done = true
        assert.is_true(turns > 0)
      end)
    end)
  end

  it("after code that can't suspend: a comparator, a callback of gsub, a coroutine of Lua's", function()
    run(function()
      local list, text = {}, ("x"):rep(20000)
      for i = 1, 20000 do list[i] = i * 7919 % 20011 end
      table.sort(list, function(a, b) return a < b end)
      for i = 2, #list do assert(list[i - 1] <= list[i]) end
      local count = 0
      assert.equal(("y"):rep(20000), (text:gsub("x", function()
        count = count + 1
        return "y"
      end)))
      assert.equal(20000, count)
      local numbers = coroutine.wrap(function()
        for i = 1, 20000 do coroutine.yield(i) end
      end)
      for i = 1, 20000 do assert(numbers() == i) end
      compute_until_preempted()
    end)
  end)

  it("not where it has a debug hook of its own, which goes on", function()
    run(function()
      local calls, ran = 0, false
      local function hook() calls = calls + 1 end
      debug.sethook(hook, "", 100)
      local before = co.stats().preemptions
      local other = co.spawn(function()
        debug.sethook() -- it has inherited the hook
        ran = true
      end)
      for _ = 1, 1e6 do
      end
      assert.equal(hook, (debug.gethook()))
      assert.is_false(ran)
      assert.equal(before, co.stats().preemptions)
      assert.is_true(calls > 1000)
      debug.sethook()
      while not ran do
      end
      other:join()
    end)
  end)
end)

describe("co.cooperative", function()
  --- Functions of a file that shares a number between tasks.
  local open = load([[
    local co, is_cooperative = ...
    if is_cooperative then co.cooperative() end
    local n = 0
    return {
      count = function()
        local before = n
        for _ = 1, 30 do
        end
        n = before + 1
      end,
      counted = function() return n end,
      compute = function()
        local before = co.stats().preemptions
        for _ = 1, 1e6 do
        end
        return co.stats().preemptions - before
      end,
      call = function(fn) return fn() end,
    }
  ]], "@shared.lua")

  it("spares the functions of its file, so that nothing happens between two of their instructions", function()
    local shared = open(co, true)
    co.preempt { slice = 0.00002 }
    finally(function() co.preempt(false) end)
    local before = co.stats().preemptions
    co.run(function()
      local function count()
        local calls = 0
        repeat
          shared.count()
          calls = calls + 1
        until co.stats().preemptions - before > 200
        return calls
      end
      local first, second = co.spawn(count), co.spawn(count)
      assert.equal(first:await() + second:await(), shared.counted())
    end)
  end)

  it("does not spare the functions of other files that they call", function()
    local shared = open(co, true)
    run(function()
      local task = co.spawn(function() end)
      assert.equal(0, shared.compute())
      shared.call(compute_until_preempted)
      task:await()
    end)
  end)

  it("has to be called by the file", function()
    helpers.assert_error("co.cooperative: call it in the file", co.cooperative)
  end)
end)

local function endless()
  while true do
  end
end

--- Swallows its cancellation as often as a task may.
local function endless_in_pcall()
  for _ = 1, 100 do
    pcall(endless)
  end
  error "may be swallowed for ever"
end

local function endless_in_coroutine() co.coroutine.wrap(endless_in_pcall)() end

describe("an endless loop", function()
  local loops = {
    ["by itself"] = endless,
    ["in pcall"] = endless_in_pcall,
    ["in a coroutine"] = endless_in_coroutine,
  }
  for where, loop in pairs(loops) do
    it(("%s ends when its task is cancelled, and its deferred calls run"):format(where), function()
      run(function()
        local notes = {}
        local task = co.spawn(function()
          co.defer(function()
            co.sleep(0.001)
            notes[#notes + 1] = "slept"
          end)
          co.defer(function()
            compute_until_preempted()
            notes[#notes + 1] = "computed"
          end)
          loop()
        end)
        co.yield()
        task:cancel "enough"
        local ok, record = task:join()
        assert.is_false(ok)
        assert.same({ "cancelled", "explicit", "enough" }, { record.kind, record.source, record.reason })
        assert.same({ "computed", "slept" }, notes)
        helpers.assert_contains("preempt_spec.lua", record.frames[1].source)
      end)
    end)

    it(("%s ends with the run"):format(where), function()
      local notes = {}
      local ok, record = pcall(run, function()
        co.spawn(function()
          co.defer(table.insert, notes, "cleaned")
          loop()
        end)
        co.yield()
        error "main"
      end)
      assert.is_false(ok)
      helpers.assert_contains("main", record.message)
      assert.same({ "cleaned" }, notes)
    end)
  end

  it("ends when the time of with_timeout is over, and the code around it goes on", function()
    run(function()
      for _, loop in ipairs { endless, function() co.scope(endless) end } do
        local ok, record = co.with_timeout(0.002, loop)
        assert.same({ false, "timeout" }, { ok, record.kind })
      end
      co.yield()
      compute_until_preempted()
    end)
  end)

  it("in a comparator ends if its task was cancelled before", function()
    run(function()
      local task = co.spawn(function()
        co.current():cancel "enough"
        table.sort({ 1, 2, 3 }, endless)
      end)
      local ok, record = task:join()
      assert.same({ false, "cancelled", "enough" }, { ok, record.kind, record.reason })
      co.spawn(compute_until_preempted):join() -- on the same thread, if that were kept
    end)
  end)

  it("of main ends with Ctrl-C", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.preempt { slice = 0.001 }
      local ok, record = pcall(co.run, function()
        co.defer(print, "cleaned")
        io.popen("(sleep 0.05; kill -INT $PPID) >/dev/null &"):close()
        while true do
        end
      end)
      print(ok, record.source)
    ]]
    assert.equal("cleaned\nfalse\tinterrupt\n", result.stdout)
  end)
end)

describe("a step", function()
  it("is cut at its deadline, even if the slice is much longer", function()
    co.preempt { slice = 3600 }
    finally(function() co.preempt(false) end)
    local stop, turns = false, 0
    co.spawn(function()
      while not stop do
      end
    end)
    co.spawn(function()
      while not stop do
        turns = turns + 1
        co.yield()
      end
    end)
    for _ = 1, 5 do assert.is_true(co.step(0.001)) end
    assert.is_true(turns > 0)
    stop = true
    while co.step(0.001) do
    end
    assert.equal(0, #co.tasks())
  end)

  it("without a budget ends when each task has had a slice", function()
    co.preempt { slice = SLICE }
    finally(function() co.preempt(false) end)
    local stop
    co.spawn(function()
      while not stop do
      end
    end)
    for _ = 1, 3 do assert.is_true(co.step()) end
    stop = true
    assert.is_false(co.step())
  end)
end)
