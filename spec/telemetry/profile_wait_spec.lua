--- co.profile of kinds "wait" and "tasks".

local co = require "coropanic"
local helpers = require "spec.helpers"
local pprof = require "telemetry.pprof"

local VIRTUAL = { clock = "virtual" }

--- The profile of waits of a run of `fn` under the virtual clock.
local function waits_of(fn)
  local profile = co.profile.start { kind = "wait" }
  local ok, message = pcall(co.run_with, VIRTUAL, fn)
  local bytes = profile:stop()
  assert(ok, message)
  return pprof.read(bytes)
end

local function with(label, value)
  return function(sample) return sample.labels[label] == value end
end

describe("a profile of waits", function()
  it("counts each wait that has ended, by kind, with its duration", function()
    local read = waits_of(function()
      local ch, mutex = co.chan(), co.mutex()
      local receiver = co.spawn(function()
        ch:recv()
        mutex:lock()
        mutex:unlock()
      end)
      mutex:lock()
      co.sleep(2)
      ch:send(1)
      co.sleep(3)
      mutex:unlock()
      receiver:join()
    end)
    assert.same({ "waits/count", "delay/nanoseconds" }, read.types)
    for kind, expected in pairs {
      receive = { 1, 2e9 }, sleep = { 2, 5e9 }, lock = { 1, 3e9 }, join = { 1, 0 }, yield = { 0, 0 },
    } do
      local function is_kind(s) return s.labels.wait == kind end
      assert.same(expected, { pprof.total(read, 1, is_kind), pprof.total(read, 2, is_kind) }, kind)
    end
  end)

  it("has the stack of the wait, and the task's labels", function()
    local at, task
    local function pause()
      at = helpers.here(1)
      co.sleep(1)
    end
    local read = waits_of(function()
      task = co.spawn_with({ name = "sleeper" }, co.profile.labels, { route = "/a" }, function()
        pause()
        return nil
      end)
    end)
    local sample = read.samples[1]
    assert.same({ "sleep", "pause" }, { sample.stack[1], sample.stack[2] })
    assert.equal(at, sample.lines[2])
    assert.same({
      task = task.id .. " sleeper", task_id = task.id, trace_id = task.trace_id, wait = "sleep", route = "/a",
    }, sample.labels)
  end)

  it("says where the task was spawned that is joined", function()
    local at
    local read = waits_of(function()
      at = helpers.here(1)
      local task = co.spawn(co.sleep, 1)
      task:await()
    end)
    assert.equal(1, pprof.total(read, 1, with("object", at)))
  end)

  it("says where the object was made that a task waits for", function()
    local at = {}
    local read = waits_of(function()
      local channel, full, mutex, shared, semaphore, group, once, event, condition
      at.receive, channel = helpers.here(), co.chan()
      at.send, full = helpers.here(), co.chan()
      at.lock, mutex = helpers.here(), co.mutex()
      at["read lock"], shared = helpers.here(), co.rwmutex()
      at.acquire, semaphore = helpers.here(), co.semaphore(1)
      at.group, group = helpers.here(), co.waitgroup()
      at.once, once = helpers.here(), co.once(function() co.sleep(1) end)
      at.event, event = helpers.here(), co.event()
      at.condition, condition = helpers.here(), co.condition(mutex)
      mutex:lock()
      shared:lock()
      semaphore:acquire()
      group:add(1)
      for _, wait in ipairs {
        function() channel:recv() end, function() full:send(1) end,
        function() mutex:lock() mutex:unlock() end,
        function() shared:rlock() end, function() semaphore:acquire() end, function() group:wait() end,
        function() once() end, function() once() end, function() event:wait() end,
        function()
          local _ <close> = mutex:guard()
          condition:wait()
        end,
      } do
        co.spawn(wait)
      end
      co.sleep(1)
      channel:send(1)
      full:recv()
      mutex:unlock()
      shared:unlock()
      semaphore:release()
      group:done()
      event:set()
      co.sleep(1)
      condition:signal()
    end)
    local expected, found = {}, {}
    for _, place in pairs(at) do expected[place] = true end
    for _, sample in ipairs(read.samples) do
      local kind, object = sample.labels.wait, sample.labels.object
      assert.is_true(kind ~= "sleep" or object == nil)
      if kind ~= "join" and object then found[object] = true end
      if at[kind] then assert.equal(at[kind], object) end
    end
    assert.same(expected, found)
  end)

  it("adds up equal waits of a task", function()
    local read = waits_of(function()
      for _ = 1, 1000 do co.sleep(0.5) end
    end)
    assert.equal(1, #read.samples)
    assert.same({ 1000, 500e9 }, read.samples[1].values)
  end)

  it("counts a wait that began before from the profile's start", function()
    co.run_with(VIRTUAL, function()
      co.spawn(co.sleep, 10)
      co.sleep(4)
      local read = pprof.read(co.profile.take("wait", 8))
      assert.same({ 1, 6e9 }, { pprof.total(read, 1), pprof.total(read, 2) })
    end)
  end)

  it("leaves out the wait of the task that takes it, and waits that go on", function()
    co.run_with(VIRTUAL, function()
      local sleeper = co.spawn(co.sleep, 10)
      local read = pprof.read(co.profile.take("wait", 5))
      assert.same({}, read.samples)
      sleeper:cancel()
    end)
  end)

  it("counts a wait however it ends", function()
    local read = waits_of(function()
      local task = co.spawn(co.sleep, 100)
      co.sleep(1)
      task:cancel()
      co.pcall(co.with_timeout, 1, co.await, function() end)
    end)
    assert.same({ 1, 1e9 }, { pprof.total(read, 1, with("wait", "await")),
      pprof.total(read, 2, with("wait", "await")) })
    assert.equal(2, pprof.total(read, 1, with("wait", "sleep")))
  end)
end)

describe("a profile of tasks", function()
  it("has every live task with its stack, status and wait", function()
    co.run_with(VIRTUAL, function()
      local function idle() co.chan():recv() end
      local task = co.spawn_with({ name = "idler" }, function()
        idle()
        return nil
      end)
      local ready
      co.sleep(1)
      local profile = co.profile.start { kind = "tasks" }
      co.sleep(2)
      ready = co.spawn(function() end)
      local read = pprof.read(profile:stop())
      task:cancel()
      assert.same({ "tasks/count", "blocked/nanoseconds" }, read.types)
      assert.equal(3, pprof.total(read, 1))
      local idler, running, waits
      for _, s in ipairs(read.samples) do
        if s.labels.task_id == task.id then idler = s end
        if s.labels.task_id == co.current().id then running = s end
        if s.labels.task_id == ready.id then waits = s end
      end
      assert.same({ 1, 2e9 }, idler.values)
      assert.same({ "recv", "idle" }, { idler.stack[1], idler.stack[2] })
      assert.same({ "waiting", "receive", task.id .. " idler", task.trace_id },
        { idler.labels.status, idler.labels.wait, idler.labels.task, idler.labels.trace_id })
      assert.same({ "running", 0 }, { running.labels.status, running.values[2] })
      assert.equal("ready", waits.labels.status)
    end)
  end)

  it("says where the object was made that a task waits for", function()
    co.run_with(VIRTUAL, function()
      local profile = co.profile.start { kind = "tasks" }
      local at, channel = helpers.here(), co.chan()
      local task = co.spawn(channel.recv, channel)
      co.sleep(1)
      local read = pprof.read(profile:stop())
      task:cancel()
      assert.equal(1, pprof.total(read, 1, with("object", at)))
    end)
  end)
end)
