--- co.profile of kind "cpu", and its labels. Nothing here measures time: programs compute until the process
--- has used so much of the processor's time, or a profile has so many samples.

local co = require "coropanic"
local helpers = require "spec.helpers"
local pprof = require "telemetry.pprof"

-- busted has functions of its own to look these up.
local clock, sethook, gethook = os.clock, debug.sethook, debug.gethook

--- Computes until the process has used so many seconds of the processor's time.
local function burn(seconds)
  local till = clock() + seconds
  while clock() < till do
  end
end

local profile_of = pprof.of_run

local function sum(n)
  local s = 0
  for i = 1, n do s = s + i % 7 end
  return s
end

describe("co.profile.start", function()
  it("refuses wrong options, and then nothing runs", function()
    local expected = "bad argument #1 to 'start' (table expected, got nil)"
    helpers.assert_error(expected, co.profile.start)
    helpers.assert_error("unknown option 'rate'", co.profile.start, { rate = 1 })
    helpers.assert_error("option 'kind': ", co.profile.start, {})
    helpers.assert_error("expected, got nil", co.profile.start, {})
    helpers.assert_error("expected, got heap", co.profile.start, { kind = "heap" })
    helpers.assert_error("expected, got number", co.profile.start, { kind = 1 })
    for _, hz in ipairs { 0, -1, 10001, 1.5, "x" } do
      helpers.assert_error("'hz'", co.profile.start, { kind = "cpu", hz = hz })
    end
    co.profile.start({ kind = "cpu" }):stop()
  end)

  it("refuses a second profile of the kind while one runs", function()
    local profile = co.profile.start { kind = "cpu" }
    helpers.assert_error("co.profile.start: a profile of kind 'cpu' runs already", co.profile.start,
      { kind = "cpu" })
    profile:stop()
    co.profile.start({ kind = "cpu" }):stop()
  end)

  it("can be stopped once", function()
    local profile = co.profile.start { kind = "cpu" }
    assert.is_string(profile:stop())
    helpers.assert_error("the profile was stopped before", profile.stop, profile)
    helpers.assert_error("calling 'stop' on bad self", profile.stop, 1)
  end)

  it("stops a profile that is dropped, or goes out of scope", function()
    co.profile.start { kind = "cpu" }
    collectgarbage()
    collectgarbage()
    do
      local profile <close> = co.profile.start { kind = "cpu" }
      assert.is_truthy(profile)
    end
    co.profile.start({ kind = "cpu" }):stop()
  end)

  it("says that a thread can't have it which blocks its signal", function()
    local blocked = 'LUA_PATH="%s" LUA_CPATH="%s" python3 -c \'import os, signal; '
      .. "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG]); "
      .. 'os.execvp("%s", ["lua", "-e", "co = require([[coropanic]]) '
      .. 'print(pcall(co.profile.start, {kind = [[cpu]]}))"])\''
    local pipe = io.popen(blocked:format(package.path, package.cpath, os.getenv "LUA" or "lua5.4"))
    local output = pipe:read "a"
    pipe:close()
    helpers.assert_contains("co.profile.start: the signal SIGURG is blocked in this thread", output)
  end)
end)

describe("a cpu profile", function()
  it("has the types of samples that pprof knows, and the time between two", function()
    local read = profile_of({ kind = "cpu", hz = 50 }, function() end)
    assert.same({ "samples/count", "cpu/nanoseconds" }, read.types)
    assert.equal(20000000, read.period)
    assert.same({}, read.comments)
  end)

  it("has the stacks of the code that ran, with lines", function()
    local at
    local function inner()
      at = helpers.here(1)
      burn(0.1)
    end
    local function outer()
      inner()
      return nil
    end
    local read = profile_of({ kind = "cpu", hz = 1000 }, outer)
    local sample
    for _, s in ipairs(read.samples) do
      if pprof.has(s, "burn") and (not sample or s.values[1] > sample.values[1]) then sample = s end
    end
    local start = sample.stack[1] == "burn" and 1 or 2 -- a native function may be on top
    assert.same({ "burn", "inner" }, { table.unpack(sample.stack, start, start + 1) })
    helpers.assert_contains("function ", sample.stack[start + 2])
    assert.equal(at, sample.lines[start + 1])
  end)

  it("says how the processor's time is shared, within 5 points", function()
    local function twice() sum(4000) end
    local function first() sum(2000) end
    local function second() sum(2000) end
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      local till = clock() + 2
      while clock() < till do
        twice()
        first()
        second()
      end
    end)
    local total = pprof.total(read, 1)
    assert.is_true(total > 500, total)
    for name, share in pairs { twice = 50, first = 25, second = 25 } do
      for value = 1, 2 do
        local own = pprof.total(read, value, function(s) return pprof.has(s, name) end)
        local percent = 100 * own / pprof.total(read, value)
        assert.is_true(math.abs(percent - share) < 5, ("%s has %.1f %%"):format(name, percent))
      end
    end
  end)

  it("tells tasks apart, and the code outside of tasks", function()
    local profile = co.profile.start { kind = "cpu", hz = 1000 }
    local function outside() burn(0.05) end
    outside()
    local trace, id
    co.run(function()
      local reader = co.spawn_with({ name = "reader", detached_trace = true }, burn, 0.05)
      trace, id = reader.trace_id, reader.id
      reader:join()
    end)
    local read = pprof.read(profile:stop())
    local of_reader = pprof.total(read, 1, function(s)
      local labels = s.labels
      return labels.task == id .. " reader" and labels.task_id == id and labels.trace_id == trace
    end)
    assert.is_true(of_reader > 5)
    local of_main = pprof.total(read, 1, function(s)
      return pprof.has(s, "outside") and s.labels.task == nil and s.labels.task_id == nil
    end)
    assert.is_true(of_main > 5)
  end)

  it("has the stack through coroutines of co.coroutine", function()
    local function generate()
      burn(0.1)
      co.coroutine.yield(1)
    end
    local function consume() co.coroutine.wrap(generate)() end
    local read = profile_of({ kind = "cpu", hz = 1000 }, consume)
    local seen = pprof.total(read, 1, function(s) return pprof.has(s, "burn") and #s.stack >= 3 end)
    assert.is_true(seen > 10)
  end)

  it("counts a C function's time where it was called", function()
    local text = ("x"):rep(500)
    local function search()
      local till = clock() + 0.1
      while clock() < till do text:find(("x?"):rep(9) .. "y") end
    end
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      search()
      return nil
    end)
    assert.is_true(pprof.total(read, 2, function(s) return pprof.has(s, "search") end) > 50e6)
  end)

  it("keeps the innermost 63 functions of a deep stack", function()
    local function deep(n)
      if n == 0 then return burn(0.1) end
      deep(n - 1)
      return n
    end
    local read = profile_of({ kind = "cpu", hz = 1000 }, deep, 1000)
    local most = 0
    for _, s in ipairs(read.samples) do most = math.max(most, #s.stack) end
    assert.is_true(most == 63 or most == 64, most)
  end)

  it("loses nothing of a task that waits before its hook is called", function()
    local read = profile_of({ kind = "cpu", hz = 2000 }, function()
      local till = clock() + 0.2
      local function switch()
        while clock() < till do co.yield() end
      end
      co.spawn(switch)
      switch()
    end)
    assert.is_true(pprof.total(read, 2) > 150e6)
  end)

  it("goes on while the loop sleeps, and through several runs", function()
    local profile = co.profile.start { kind = "cpu", hz = 1000 }
    for _ = 1, 3 do
      co.run(function()
        co.sleep(0.005)
        burn(0.03)
      end)
    end
    local read = pprof.read(profile:stop())
    assert.is_true(pprof.total(read, 1, function(s) return pprof.has(s, "burn") end) > 20)
    assert.is_true(pprof.total(read, 2) < 1e9)
  end)

  it("does not keep a run's deadlock from being seen", function()
    local profile = co.profile.start { kind = "cpu", hz = 1000 }
    local ok, record = pcall(co.run, co.await, function() end)
    profile:stop()
    assert.same({ false, "deadlock" }, { ok, record.kind })
  end)

  it("works with preemption on", function()
    co.preempt { slice = 0.0005 }
    finally(function() co.preempt(false) end)
    local others = 0
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      local stop = false
      local function hog()
        while not stop do
        end
      end
      co.spawn(hog)
      co.spawn(hog)
      local till = clock() + 0.1
      while clock() < till do
        others = others + 1
        co.yield()
      end
      stop = true
    end)
    assert.is_true(others > 5)
    assert.is_true(pprof.total(read, 1) > 20)
  end)

  it("leaves a line hook of the program where it is, and all its lines", function()
    collectgarbage "stop" -- finalizers have lines, too
    finally(function() collectgarbage "restart" end)
    local lines = 0
    local function hook() lines = lines + 1 end
    local read = profile_of({ kind = "cpu", hz = 5000 }, function()
      sethook(hook, "l")
      local till = clock() + 0.1
      local rounds = 0
      while clock() < till do
        rounds = rounds + 1
      end
      local seen = lines
      local f, mask, count
      for _ = 1, 100 do -- a tick within gethook, in which no sample can be taken, is seen by it
        f, mask, count = gethook()
        if count == 0 then break end
      end
      sethook()
      assert.same({ hook, "l", 0 }, { f, mask, count })
      assert.is_true(seen >= 2 * rounds, seen .. " lines in " .. rounds .. " rounds")
      assert.is_true(seen <= 2 * rounds + 10)
    end)
    assert.is_true(pprof.total(read, 1) > 20)
  end)

  it("leaves a hook for calls and returns where it is", function()
    collectgarbage "stop"
    finally(function() collectgarbage "restart" end)
    local calls, returns = 0, 0
    local function hook(event)
      if event == "return" then returns = returns + 1 else calls = calls + 1 end
    end
    local function empty() end
    profile_of({ kind = "cpu", hz = 5000 }, function()
      local till = clock() + 0.1
      sethook(hook, "cr")
      local rounds = 0
      while clock() < till do
        empty()
        rounds = rounds + 1
      end
      sethook()
      assert.is_true(math.abs(calls - 2 * rounds) < 5, calls .. " calls in " .. rounds .. " rounds")
      assert.is_true(math.abs(returns - 2 * rounds) < 5)
    end)
  end)

  it("leaves a hook alone that counts instructions, and says what it has not seen", function()
    local counted = 0
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      sethook(function() counted = counted + 1 end, "", 100000)
      burn(0.1)
      sethook()
    end)
    assert.is_true(counted > 0)
    assert.is_true(pprof.total(read, 1) < 20)
    helpers.assert_contains("hidden: ", read.comments[1])
  end)

  it("leaves no hook behind", function()
    profile_of({ kind = "cpu", hz = 5000 }, burn, 0.02)
    assert.is_nil((gethook()))
  end)

  it("is what Go's pprof can read", function()
    local first
    local _, bytes = profile_of({ kind = "cpu", hz = 1000 }, function()
      local function price() burn(0.1) end
      local function render() burn(0.05) end
      for i = 1, 2 do
        local task = co.spawn_with({ name = "request " .. i, detached_trace = true }, function()
          price()
          render()
        end)
        first = first or task.id
      end
    end)
    local top = pprof.go(bytes, "-top")
    helpers.assert_contains("Type: cpu", top)
    helpers.assert_contains("price", top)
    helpers.assert_contains("render", top)
    local tags = pprof.go(bytes, "-tags")
    helpers.assert_contains(first .. " request 1", tags)
    helpers.assert_contains("trace_id", tags)
    local traces = pprof.go(bytes, "-traces")
    helpers.assert_contains(("task:  %d request 2"):format(first + 1), traces)
    local focused = pprof.go(bytes, "-top -tagfocus=task=request.1")
    local percent = tonumber(focused:match "nodes accounting for [^,]+, ([%d.]+)%%")
    assert.is_true(percent > 25 and percent < 75, focused)
    focused = pprof.go(bytes, "-top -tagfocus=task_id=" .. first)
    percent = tonumber(focused:match "accounting for [^,]+, ([%d.]+)%%")
    assert.is_true(percent > 25 and percent < 75)
  end)
end)

describe("co.profile.take", function()
  it("suspends the task for so long, and returns the profile", function()
    local read = co.run(function()
      local stop = false
      co.spawn(function()
        while not stop do
          burn(0.005)
          co.yield()
        end
      end)
      local bytes = co.profile.take("cpu", 0.2)
      stop = true
      return pprof.read(bytes)
    end)
    assert.is_true(pprof.total(read, 1, function(s) return pprof.has(s, "burn") end) > 0)
  end)

  it("refuses to be called outside a task, and wrong arguments", function()
    helpers.assert_error("'profile.take' outside a task", co.profile.take, "cpu", 1)
    helpers.assert_error("bad argument #1 to 'take' (", co.profile.take, "heap", 1)
    helpers.assert_error('expected, got "heap"', co.profile.take, "heap", 1)
    helpers.assert_error("expected, got nil", co.profile.take)
    helpers.assert_error("bad argument #2 to 'take'", co.profile.take, "cpu", -1)
    helpers.assert_error("bad argument #2 to 'take'", co.profile.take, "cpu", "x")
  end)

  it("stops the profile when the task is cancelled", function()
    co.run(function()
      local taking = co.spawn(co.profile.take, "cpu", 1e6)
      co.yield()
      assert.equal("profile", taking.operation)
      helpers.assert_error("co.profile.take: a profile of kind 'cpu' runs already", co.profile.take, "cpu", 1)
      taking:cancel()
      taking:join()
      co.profile.start({ kind = "cpu" }):stop()
    end)
  end)
end)

describe("co.profile.labels", function()
  --- The labels of the program, in text, with the samples' share of each.
  local function labels_in(read, value)
    local found = {}
    for _, s in ipairs(read.samples) do
      local names = {}
      for name, text in pairs(s.labels) do
        if not name:find "^task" and name ~= "trace_id" then names[#names + 1] = name .. "=" .. text end
      end
      table.sort(names)
      local key = table.concat(names, ",")
      found[key] = (found[key] or 0) + s.values[value or 1]
    end
    return found
  end

  it("calls the function and returns its results", function()
    local function same(...) return ... end
    assert.same({ 1, nil, 3, n = 3 }, table.pack(co.profile.labels({}, same, 1, nil, 3)))
    assert.same({ n = 0 }, table.pack(co.profile.labels({ a = 1 }, same)))
    helpers.assert_error("oh", co.profile.labels, { a = 1 }, error, "oh", 0)
  end)

  it("labels the samples of the function, and no others", function()
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      co.profile.labels({ route = "/a", tries = 2 }, burn, 0.05)
      pcall(co.profile.labels, { route = "/b" }, function()
        burn(0.05)
        error "x"
      end)
      burn(0.05)
    end)
    local found = labels_in(read)
    for _, key in ipairs { "route=/a,tries=2", "route=/b", "" } do assert.is_true(found[key] > 5, key) end
  end)

  it("adds to the labels around it, and changes those of the same name", function()
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      co.profile.labels({ a = "1", b = "1" }, co.profile.labels, { b = "2", c = "2" }, burn, 0.05)
    end)
    assert.is_true(labels_in(read)["a=1,b=2,c=2"] > 5)
  end)

  it("is inherited by tasks that are spawned in it, also by theirs, for all their life", function()
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      co.profile.labels({ route = "/a" }, function()
        co.spawn(function()
          co.spawn(function()
            co.yield()
            burn(0.05)
          end)
        end)
      end)
      co.spawn(burn, 0.05)
    end)
    local found = labels_in(read)
    assert.is_true(found["route=/a"] > 5)
    assert.is_true(found[""] > 5)
  end)

  it("stays with the task while it waits", function()
    local read = profile_of({ kind = "cpu", hz = 1000 }, function()
      for i = 1, 2 do
        co.spawn(co.profile.labels, { i = i }, function()
          for _ = 1, 20 do
            burn(0.005)
            co.yield()
          end
        end)
      end
    end)
    local found = labels_in(read)
    for key, samples in pairs(found) do assert.is_true((key ~= "") or samples < 20, key) end
    assert.is_true(found["i=1"] > 10 and found["i=2"] > 10)
  end)

  it("works outside tasks, for the tasks spawned there too", function()
    local profile = co.profile.start { kind = "cpu", hz = 1000 }
    co.profile.labels({ where = "outside" }, function()
      burn(0.05)
      co.run(burn, 0.05)
    end)
    burn(0.05)
    local read = pprof.read(profile:stop())
    local found = labels_in(read)
    assert.is_true(found["where=outside"] > 20)
    assert.is_true(found[""] > 5)
  end)

  it("refuses what is no label, and more than there may be", function()
    local function refused(expected, labels)
      helpers.assert_error(expected, co.profile.labels, labels, function() error "called" end)
    end
    refused("bad argument #1 to 'labels' (table expected, got number)", 1)
    refused("names of labels are strings, got number", { "a" })
    refused("label 'a': string or number expected, got table", { a = {} })
    refused("label 'a': string or number expected, got boolean", { a = true })
    refused("label 'a': at most 64 bytes expected, got 65", { a = ("x"):rep(65) })
    refused("names of labels have 1 to 64 bytes", { [("x"):rep(65)] = "a" })
    refused("names of labels have 1 to 64 bytes", { [""] = "a" })
    refused("the label 'task' is the profile's own", { task = "a" })
    refused("the label 'trace_id' is the profile's own", { trace_id = "a" })
    local many = {}
    for i = 1, 9 do many["l" .. i] = i end
    refused("at most 8 labels expected", many)
    many.l9 = nil
    co.profile.labels(many, function()
      refused("at most 8 labels expected, with those that the code has already", { another = 1 })
      co.profile.labels({ l8 = "x" }, function() end)
    end)
    helpers.assert_error("bad argument #2 to 'labels'", co.profile.labels, {}, 1)
  end)

  it("costs a spawn nothing once nobody has labels", function()
    co.run(function()
      co.profile.labels({ a = 1 }, function() co.spawn(co.yield):join() end)
      local before = collectgarbage "count"
      for _ = 1, 10 do co.spawn(function() end):join() end
      assert.is_true(collectgarbage "count" - before < 100)
    end)
  end)
end)
