--- co.record: what the recorder keeps of a program's events, and what the reader makes of them.

local co = require "coropanic"
local helpers = require "spec.helpers"
local programs = require "telemetry.programs"
local reader = require "coropanic.record.reader"

local recorder

--- Records a run of `fn` as the main task, under the virtual clock.
---@return table[] events, table dump
local function events_of(fn, options)
  recorder = co.record(options)
  co.run_with({ clock = "virtual", unhandled = function() end }, fn)
  local dump = reader.parse(recorder:snapshot())
  local events = {}
  for e in dump:events() do events[#events + 1] = e end
  return events, dump
end

--- The events of a kind.
local function of(kind, events)
  local found = {}
  for _, e in ipairs(events) do
    if e.kind == kind then found[#found + 1] = e end
  end
  return found
end

local function kinds(events)
  local list = {}
  for i, e in ipairs(events) do list[i] = e.kind end
  return table.concat(list, " ")
end

after_each(function()
  if recorder then recorder:stop() end
end)

describe("the recorder", function()
  it("tells of a task from its spawn to its end", function()
    local child, place
    local events = events_of(function()
      child, place = co.spawn(co.sleep, 1.5), debug.getinfo(1, "Sl")
      child:join()
    end)
    assert.equal("spawn trace start spawn trace park start park idle_begin idle_end wake start "
      .. "wake end start end", kinds(events))
    local spawn = of("spawn", events)[2]
    assert.equal(child.id, spawn.task)
    assert.equal(child.parent.id, spawn.by)
    assert.equal(("%s:%d"):format(place.short_src, place.currentline), spawn.place)
    -- Ids that the program has made are numbered, so that each run gives the same.
    assert.equal(("0"):rep(31) .. "1", of("trace", events)[2].trace_id)
    assert.equal("join sleep", of("park", events)[1].wait .. " " .. of("park", events)[2].wait)
    local wake = of("wake", events)[1]
    assert.same({ child.id, "timeout", 1500000000 }, { wake.task, wake.reason, wake.time })
    assert.equal("done", of("end", events)[1].status)
  end)

  it("tells the same by the system's clock, with or without others that count", function()
    local function body()
      local channel, mutex = co.chan(), co.mutex()
      co.scope(function(s)
        for _ = 1, 3 do
          s:spawn(function()
            local _ <close> = mutex:guard()
            co.yield()
            channel:send(1)
          end)
        end
        for _ = 1, 3 do
          co.yield()
          channel:recv()
        end
      end)
    end
    local function lines(clock)
      local list, first = {}, co.stats().spawned
      recorder = co.record()
      co.run_with({ clock = clock }, body)
      for e in reader.parse(recorder:snapshot()):events() do
        local more = e.wait or e.reason or e.status or ""
        if e.task ~= 0 then list[#list + 1] = ("%s %d %s"):format(e.kind, e.task - first, more) end
      end
      return list
    end
    local expected = lines "virtual"
    assert.is_true(#expected > 40)
    assert.same(expected, lines "monotonic")
    co.accounting(true)
    finally(function() co.accounting(false) end)
    assert.same(expected, lines "monotonic")
  end)

  it("tells how long a task was ready before it ran", function()
    local dump
    recorder = co.record()
    co.run(function()
      co.spawn(function() end)
      local began = os.clock()
      while os.clock() - began < 0.02 do end
      co.yield()
    end)
    dump = reader.parse(recorder:snapshot())
    local starts = {}
    for e in dump:events() do starts[#starts + 1] = e.kind == "start" and e or nil end
    assert.is_true(starts[2].delay >= 19000000)
    assert.is_true(starts[2].delay < 10000000000)
  end)

  it("tells of panics, recoveries, cancellations, spans and events by name", function()
    local events = events_of(function()
      local panics = co.spawn(error, "x", 0)
      co.pcall(panics.join, panics)
      co.call(function() co.defer(function() co.recover() end) error "recovered" end)
      local sleeps = co.spawn(co.sleep, 1)
      co.yield()
      sleeps:cancel()
      co.trace.span("work", function() co.trace.event "half" end)
      local headers = { traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }
      co.trace.continue(headers, co.yield)
    end)
    assert.equal("error", of("panic", events)[1].panic)
    assert.equal(of("panic", events)[2].record, of("recover", events)[1].record)
    local cancel = of("cancel", events)[1]
    assert.same({ "explicit", of("spawn", events)[1].task }, { cancel.source, cancel.by })
    assert.equal(of("spawn", events)[3].task, cancel.task)
    assert.equal("work", of("span_begin", events)[1].text)
    assert.equal(of("span_begin", events)[1].span, of("span_end", events)[1].span)
    assert.equal("half", of("log", events)[1].text)
    local continued = of("trace", events)
    continued = continued[#continued]
    assert.equal("4bf92f3577b34da6a3ce929d0e0e4736", continued.trace_id)
    assert.is_true(continued.from_outside)
  end)

  it("tells of the end of a span also if an error, a cancellation or a closed coroutine leaves it", function()
    local function works(...)
      co.trace.span("outer", function(...) co.trace.span("inner", { kind = "client" }, ...) end, ...)
    end
    local function ended(events)
      local at = {}
      for i, e in ipairs(events) do at[e.kind == "span_end" and e.span] = i end
      for i, e in ipairs(events) do
        if e.kind == "span_begin" then assert.is_true(at[e.span] > i) end
      end
      return #of("span_end", events), #of("span_begin", events)
    end
    assert.same({ 2, 2 }, { ended(events_of(function() co.pcall(works, error, "x") end)) })
    assert.same({ 2, 2 }, { ended(events_of(function() pcall(works, error, "x") end)) })
    assert.same({ 2, 2 }, { ended(events_of(function() co.spawn(works, error, "x"):join() end)) })
    assert.same({ 2, 2 }, { ended(events_of(function()
      local sleeps = co.spawn(works, co.sleep, 1)
      co.yield()
      sleeps:cancel()
    end)) })
    assert.same({ 2, 2 }, { ended(events_of(function() co.spawn(works, co.goexit):join() end)) })
    assert.same({ 2, 2 }, { ended(events_of(function()
      local inside = coroutine.create(works)
      coroutine.resume(inside, coroutine.yield)
      coroutine.close(inside)
    end)) })
  end)

  it("tells of spans that are exported too, each once, in the order of the calls", function()
    local before = co.trace.on_span(function() end)
    finally(function() co.trace.on_span(before) end)
    local events = events_of(function()
      co.pcall(co.trace.span, "fails", { attributes = { a = 1 } }, error, "x")
      local a, b = co.trace.span("returns", function(...) co.yield() return ... end, 1, 2)
      assert.same({ 1, 2 }, { a, b })
      co.pcall(co.trace.span, "never", { kind = 5 }, error)
    end)
    local begins, ends = of("span_begin", events), of("span_end", events)
    assert.same({ 2, 2 }, { #begins, #ends })
    for i, e in ipairs(begins) do assert.equal(e.span, ends[i].span) end
  end)

  it("tells why a task was woken", function()
    local events = events_of(function()
      local channel = co.chan()
      co.spawn(function() channel:recv() end)
      co.yield()
      channel:close()
    end)
    assert.equal("closed", of("wake", events)[1].reason)
    events = events_of(function()
      local mutex = co.mutex()
      co.spawn(function() mutex:lock() co.yield() end)
      co.spawn(function() mutex:lock() end)
      co.yield()
      co.yield()
    end)
    assert.equal("abandoned", of("wake", events)[1].reason)
  end)

  it("tells of unhandled panics with the record's number", function()
    local events = events_of(function() co.spawn(error, "x", 0) co.sleep(1) end)
    assert.equal(of("panic", events)[1].record, of("unhandled", events)[1].record)
  end)

  it("keeps events of one clock: those before are dropped when tasks run by the other", function()
    local main
    local function body()
      main = co.current().id
      co.yield()
    end
    recorder = co.record()
    for _, clock in ipairs { "system", "virtual", "system" } do
      co.run_with(clock == "virtual" and { clock = clock } or {}, body)
      local dump = reader.parse(recorder:snapshot())
      assert.equal(clock == "virtual", dump.virtual)
      local starts = 0
      for e in dump:events() do
        assert.is_true(e.task == 0 or e.task == main)
        if e.kind == "start" then starts = starts + 1 end
      end
      assert.equal(2, starts)
    end
  end)

  it("tells of the collector's cycles, but not under the virtual clock, where runs are alike", function()
    assert.equal(0, #of("gc", events_of(function() collectgarbage() end)))
    recorder = co.record()
    co.run(function() collectgarbage() collectgarbage() end)
    local cycles = {}
    for e in reader.parse(recorder:snapshot()):events() do
      if e.kind == "gc" then cycles[#cycles + 1] = e.cycle end
    end
    assert.is_true(#cycles >= 2)
    assert.equal(cycles[1] + 1, cycles[2])
  end)

  it("tells of cycles also after one in which Lua has dropped finalizers, where the C stack ended", function()
    co.accounting(true)
    finally(function() co.accounting(false) end)
    local function deep(n)
      if n == 0 then return collectgarbage() end
      string.gsub("x", "x", function() deep(n - 1) end)
    end
    recorder = co.record()
    for n = 170, 200 do pcall(deep, n) end
    collectgarbage() -- frees the object with the finalizer, which it has no more
    co.run(function()
      for _ = 1, 64 do co.spawn(function() end):join() end
      collectgarbage()
      collectgarbage()
    end)
    local cycles = 0
    for e in reader.parse(recorder:snapshot()):events() do cycles = cycles + (e.kind == "gc" and 1 or 0) end
    assert.is_true(cycles >= 2)
  end)

  it("says where a task waits if it is asked for stacks", function()
    local line
    local function waits()
      line = debug.getinfo(1, "l").currentline + 1
      co.sleep(1)
    end
    local park = of("park", events_of(function() waits() end, { stacks = 1 }))[1]
    assert.truthy(park.place:find(":" .. line .. "$"))
    assert.is_nil(of("park", events_of(function() waits() end))[1].place)
  end)

  it("lists the live tasks, by their names", function()
    local dump
    recorder = co.record()
    helpers.run(function()
      co.spawn_with({ name = "reader", daemon = true }, co.sleep, 9)
      co.yield()
      dump = reader.parse(recorder:snapshot())
    end)
    table.sort(dump.tasks, function(a, b) return a.id < b.id end)
    local first, second = dump.tasks[1], dump.tasks[2]
    assert.same({ "main running", "reader waiting" },
      { first.name .. " " .. first.status, second.name .. " " .. second.status })
  end)

  it("is one: another call has new options, and begins anew", function()
    recorder = co.record { events = 64 }
    helpers.run(function() end)
    assert.is_true(recorder:stats().events > 0)
    assert.equal(recorder, co.record { events = 128 })
    assert.equal(0, recorder:stats().events)
    assert.is_true(recorder:stats().bytes > 128 * 32)
  end)

  it("stops, and holds no memory then", function()
    recorder = co.record()
    recorder:stop()
    recorder:stop()
    assert.same({ events = 0, lost = 0, bytes = 0 }, recorder:stats())
    assert.equal("recorder (stopped)", tostring(recorder))
    assert.has_error(function() recorder:snapshot() end,
      "recorder:snapshot: the recorder has stopped; co.record starts it again")
  end)

  it("says that a dump failed, and goes on", function()
    recorder = co.record()
    local ok, message, code = recorder:dump "/dev/full"
    assert.same({ nil, "/dev/full: No space left on device", 28 }, { ok, message, code })
    ok, message = recorder:dump "/nowhere/at/all"
    assert.same({ nil, "/nowhere/at/all: No such file or directory" }, { ok, message })
    helpers.run(function() end)
    local path = os.tmpname()
    assert.is_true(recorder:dump(path))
    local dump = reader.read(path)
    os.remove(path)
    assert.equal(recorder:stats().events, dump.count)
  end)

  it("counts as co.stats does, in the programs of many seeds", function()
    for seed = 1, 300 do
      recorder = co.record()
      local before = co.stats()
      programs.run(seed)
      local after, counts = co.stats(), {}
      for e in reader.parse(recorder:snapshot()):events() do
        counts[e.kind] = (counts[e.kind] or 0) + 1
      end
      local function counted(name) return after[name] - before[name] end
      assert.equal(counted "spawned", counts.spawn, seed)
      assert.equal(counted "switches", counts.start, seed)
      assert.equal(counts.spawn, counts["end"], seed)
      assert.equal(counted "panics", counts.panic or 0, seed)
      assert.equal(counted "recovered", counts.recover or 0, seed)
      assert.equal(counted "unhandled", counts.unhandled or 0, seed)
    end
  end)

  it("keeps the newest events, wherever the ring wraps", function()
    local function lines(events)
      recorder = co.record { events = events }
      programs.run(7, 40)
      local list = {}
      local dump = reader.parse(recorder:snapshot())
      for e in dump:events() do
        list[#list + 1] = ("%s %s %d"):format(e.kind, e.wait or e.status or e.reason or "", e.time)
      end
      return list, dump
    end
    collectgarbage() -- the collector decides when the panic of a task that nobody has joined is unhandled
    collectgarbage "stop"
    finally(function() collectgarbage "restart" end)
    local all = lines(65536)
    for power = 0, 9 do
      local newest, dump = lines(1 << power)
      assert.equal(1 << power, dump.count)
      assert.is_true(dump.lost > 0)
      for i = 0, #newest - 1 do assert.equal(all[#all - i], newest[#newest - i]) end
    end
  end)
end)

describe("a dump under the virtual clock", function()
  local SCRIPT = [[
    local co, programs = require "coropanic", require "telemetry.programs"
    local recorder = co.record { stacks = %d }
    programs.run(%d, 9)
    io.stdout:write(recorder:snapshot())
  ]]

  local function output(stacks, seed)
    local command = ('%s -e "package.path = \'spec/?.lua;\' .. package.path" -e \'%s\''):format(
      os.getenv "LUA" or "lua5.4", SCRIPT:format(stacks, seed))
    local pipe = assert(io.popen(command))
    local bytes = pipe:read "a"
    pipe:close()
    return bytes
  end

  it("is the same to the byte for the same seed", function()
    for seed = 1, 4 do
      local bytes = output(seed % 2, seed)
      assert.is_true(reader.parse(bytes).count > 50)
      assert.equal(bytes, output(seed % 2, seed))
    end
    assert.not_equal(output(0, 1), output(0, 2))
  end)
end)

describe("the reader", function()
  local bytes

  setup(function()
    recorder = co.record { stacks = 1 }
    programs.run(3)
    recorder:stop()
    recorder = co.record { events = 64, stacks = 1 }
    helpers.run(function()
      co.spawn_with({ name = "reader" }, co.sleep, 1)
      co.trace.event "log"
      co.yield()
      bytes = recorder:snapshot()
    end)
    recorder:stop()
  end)

  --- Reads all there is. Returns nil, or the message.
  local function read(text)
    local ok, message = pcall(function()
      for _ in reader.parse(text):events() do end
    end)
    return not ok and message or nil
  end

  it("says where a truncated file ends, whatever is missing", function()
    assert.is_nil(read(bytes))
    for length = 0, #bytes - 1 do
      local message = read(bytes:sub(1, length))
      assert.truthy(message and message:find "^not a coropanic%-events/1 file: at offset %d+: .* expected")
    end
    assert.truthy(read(bytes .. "x"):find("bytes expected by the header", 1, true))
  end)

  it("reads damaged files, or says what is wrong, and never fails otherwise", function()
    local n = helpers.random(1)
    for _ = 1, 3000 do
      local place = n(#bytes)
      local damaged = bytes:sub(1, place - 1) .. string.char(n(256) - 1) .. bytes:sub(place + 1)
      local message = read(damaged)
      if message then assert.truthy(message:find "^not a coropanic%-events/1 file: at offset %d+: ") end
    end
  end)

  it("says what it expected of a header, a string and an event", function()
    local function with(offset, format, value)
      local text = format:pack(value)
      return bytes:sub(1, offset) .. text .. bytes:sub(offset + #text + 1)
    end
    assert.truthy(read "hello":find("at offset 0", 1, true))
    assert.truthy(read(with(8, "<I4", 64)):find("a header of 128 bytes expected, got 64", 1, true))
    assert.truthy(read(with(18, "<I2", 9)):find("a source of ticks from 0 to 2 expected, got 9", 1, true))
    assert.truthy(read(with(140, "<I1", 99)):find("a kind of event from 1 to 17 expected, got 99", 1, true))
  end)

  it("does not read files that are too large to be one", function()
    local max = reader.MAX_BYTES
    reader.MAX_BYTES = 1000
    local path = os.tmpname()
    local file = io.open(path, "wb")
    file:write(("x"):rep(1001)):close()
    local dump, message = reader.read(path)
    os.remove(path)
    reader.MAX_BYTES = max
    assert.same({ nil, path .. ": at most 1000 bytes expected" }, { dump, message })
    assert.same({ nil, "/nowhere: No such file or directory" }, { reader.read "/nowhere" })
  end)
end)

describe("co.accounting", function()
  local function turn_off()
    while co.accounting() do co.accounting(false) end
  end

  before_each(turn_off) -- coropanic.metrics turns it on
  after_each(turn_off)

  it("is off until it is asked for, and as long as anybody has asked for it", function()
    assert.is_nil(co.accounting())
    co.accounting(false)
    co.accounting(true)
    co.accounting(true)
    co.accounting(false)
    assert.equal(0, co.accounting().delay.count)
    co.accounting(false)
    assert.is_nil(co.accounting())
  end)

  it("counts what tasks waited for, how long they were ready, and how often they ran", function()
    co.accounting(true)
    helpers.run(function()
      local channel = co.chan()
      co.spawn(function() channel:recv() end)
      co.sleep(1.5)
      channel:send(1)
      co.yield()
    end)
    local kept = co.accounting()
    assert.same({ 1, 1.5, 1.5 }, { kept.wait.sleep.count, kept.wait.sleep.sum, kept.wait.sleep.longest })
    assert.equal(1, kept.wait.sleep.buckets[31]) -- from 2^30 ns to below 2^31 ns
    assert.equal(1.5, kept.wait.receive.sum)
    assert.equal(kept.delay.count, kept.run.count)
    assert.equal(kept.delay.buckets[0], kept.delay.count) -- virtual time stands still while tasks run
    assert.equal(1.5, kept.idle)
  end)

  it("measures the time that a task runs, and the delay that it makes", function()
    co.accounting(true)
    co.run(function()
      co.spawn(co.yield)
      local began = os.clock()
      while os.clock() - began < 0.02 do end
      co.yield()
    end)
    local kept = co.accounting()
    assert.is_true(kept.run.longest >= 0.019 and kept.run.longest < 10)
    assert.is_true(kept.delay.longest >= 0.019 and kept.delay.longest < 10)
  end)

  it("knows how long each live task has lived, run and been ready", function()
    co.accounting(true)
    co.run_with({ clock = "virtual" }, function()
      local census = co.census()
      co.sleep(2)
      local task = co.spawn(co.sleep, 9)
      co.sleep(3)
      assert.same({ 3, 0, 0 }, { census:times(task) })
      assert.same({ 5, 0, 0 }, { census:times(co.current()) })
    end)
    co.run(function()
      local task = co.spawn(co.sleep, 60)
      local began = os.clock()
      while os.clock() - began < 0.02 do end
      co.yield()
      local age, run, ready = co.census():times(task)
      assert.is_true(ready >= 0.019 and ready <= age and run < age)
      age, run = co.census():times(co.current())
      assert.is_true(run >= 0.019 and run <= age)
      task:cancel()
      task:join()
      assert.is_nil(co.census():times(task))
    end)
    co.accounting(false)
    assert.is_nil(co.run(function() return co.census():times(co.current()) end))
  end)

  it("counts a turn that has begun before it from then on", function()
    local kept = co.run(function()
      co.accounting(true)
      co.yield()
      return co.accounting()
    end)
    co.accounting(false)
    assert.is_true(kept.run.count >= 1 and kept.run.longest < 10)
  end)

  it("counts each turn and each wait of many seeds' programs once", function()
    for seed = 1, 50 do
      recorder = co.record()
      co.accounting(true)
      local before = co.stats().switches
      programs.run(seed)
      local kept, parked, waited = co.accounting(), 0, 0
      for e in reader.parse(recorder:snapshot()):events() do
        if e.kind == "wake" then parked = parked + 1 end
      end
      for _, histogram in pairs(kept.wait) do waited = waited + histogram.count end
      assert.equal(co.stats().switches - before, kept.run.count, seed)
      assert.equal(kept.run.count, kept.delay.count, seed)
      assert.equal(parked, waited, seed)
      co.accounting(false)
    end
  end)
end)
