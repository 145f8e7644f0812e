-- coropanic.debug: what its server tells of the past: lanes and events from the recorder, samples, loads.

local cjson = require "cjson"
local client = require "spec.debug.client"
local co = require "coropanic"
local helpers = require "spec.helpers"

local function ask(port, path)
  local response = client.get(port, path)
  return response.status == 200 and cjson.decode(response.body) or nil, response.status
end

--- Runs a test with a server and a recorder.
local function with_recorder(fn)
  client.with_server(nil, function(server)
    local recorder = co.record()
    co.defer(recorder.stop, recorder)
    fn(server, recorder)
  end)
end

local function lane_of(told, id)
  for _, lane in ipairs(told.lanes) do
    if lane.id == id then return lane end
  end
end

--- The kinds of a lane's spans, in order.
local function kinds_of(lane)
  local kinds = {}
  for i, span in ipairs(lane.spans) do kinds[i] = span[3] end
  return kinds
end

local function spin(seconds)
  local until_ = os.clock() + seconds
  repeat until os.clock() >= until_
end

describe("/lanes", function()
  it("has what each task did, in microseconds", function()
    with_recorder(function(server)
      local jobs, slept = co.chan(), false
      local worker = co.spawn_with({ name = "worker" }, function()
        local first = jobs:recv()
        spin(0.02)
        co.sleep(first)
        slept = true
        jobs:recv()
      end)
      co.sleep(0.01)
      jobs:send(0.03)
      repeat co.sleep(0.01) until slept
      local told = ask(server.port, "/lanes?seconds=60")
      assert.same({ "coropanic-explorer-lanes/1", true, 0 }, { told.schema, told.recording, told.lost })
      local lane = lane_of(told, worker.id)
      assert.equal("worker", lane.name)
      assert.same({ "ready", "run", "receive", "ready", "run", "sleep", "ready", "run", "receive" },
        kinds_of(lane))
      assert.is_true(lane.spans[5][2] >= 19999)
      for i = 2, #lane.spans do
        local before = lane.spans[i - 1]
        assert.is_true(math.abs(before[1] + before[2] - lane.spans[i][1]) < 0.3)
      end
      local last = lane.spans[#lane.spans]
      assert.is_true(math.abs((told.to - told.from) * 1e6 - (last[1] + last[2])) < 2)
      worker:cancel()
    end)
  end)

  it("is empty while nothing is recorded", function()
    client.with_server(nil, function(server)
      local told = ask(server.port, "/lanes")
      assert.same({ false, 0 }, { told.recording, #told.lanes })
    end)
  end)

  it("refuses seconds that are no number up to 60", function()
    client.with_server(nil, function(server)
      for _, text in ipairs { "61", "-1", "x", "1e1", "" } do
        local _, status = ask(server.port, "/lanes?seconds=" .. text)
        assert.equal(400, status)
      end
    end)
  end)

  it("has the 200 tasks that ran longest, and counts the others", function()
    with_recorder(function(server)
      local all = co.waitgroup()
      local busy
      for i = 1, 300 do
        local task = all:spawn(function()
          co.yield()
          if i == 250 then spin(0.01) end
        end)
        if i == 250 then busy = task end
      end
      all:wait()
      local told = ask(server.port, "/lanes")
      assert.equal(200, #told.lanes)
      assert.is_true(told.omitted >= 100)
      assert.equal(busy.id, told.lanes[1].id)
    end)
  end)

  it("joins short spans when there are more than 20,000", function()
    with_recorder(function(server)
      for _ = 1, 2 do
        co.spawn(function()
          for _ = 1, 15000 do co.yield() end
        end)
      end
      co.sleep(0.001)
      while co.stats().ready > 0 do co.yield() end
      local told = ask(server.port, "/lanes?seconds=60")
      local count, length = 0, 0
      for _, lane in ipairs(told.lanes) do
        count = count + #lane.spans
        for _, span in ipairs(lane.spans) do length = length + span[2] end
      end
      assert.is_true(count <= 20000)
      assert.is_true(told.merged > 20000)
      assert.is_true(length > 0)
    end)
  end)

  it("says how many events of its time were lost", function()
    client.with_server(nil, function(server)
      local recorder = co.record { events = 1024 }
      for _ = 1, 3000 do co.yield() end
      local told = ask(server.port, "/lanes?seconds=60")
      assert.is_true(told.lost >= 1500)
      assert.is_true(told.to - told.from < 60)
      recorder:stop()
    end)
  end)

  it("knows what tasks did before its time", function()
    with_recorder(function(server)
      local parked = co.spawn_with({ name = "parked" }, co.sleep, 60)
      co.sleep(0.05)
      local told = ask(server.port, "/lanes?seconds=0.02")
      local lane = lane_of(told, parked.id)
      assert.same({ "sleep" }, kinds_of(lane))
      assert.is_true(math.abs(lane.spans[1][2] - 20000) < 2 and lane.spans[1][1] == 0)
      parked:cancel()
    end)
  end)

  it("agrees with what was accounted for each task, whatever the tasks did", function()
    for seed = 1, 20 do
      co.run_with({ seed = seed }, function()
        local random = helpers.random(seed)
        local recorder = co.record()
        co.accounting(true)
        local jobs, tasks, done = co.chan(3), {}, 0
        local acts = {
          co.yield, function() co.sleep(random(3) / 10000) end, function() co.select(0.0001, jobs) end,
          function() co.select(0.0001, { jobs, 1 }) end, function() spin(random(3) / 10000) end,
        }
        for i = 1, 20 do
          tasks[i] = co.spawn(function()
            for _ = 1, random(30) do acts[random(#acts)]() end
            done = done + 1
            co.sleep(60)
          end)
        end
        repeat co.sleep(0.005) until done == #tasks
        local lanes, census = recorder:lanes(60), co.census()
        local times = {}
        for _, task in ipairs(tasks) do times[task.id] = { census:times(task) } end
        while lanes:step(random(50)) do co.yield() end
        local told = { lanes = {} }
        for number = 1, lanes:window().count do
          local id = lanes:lane(number)
          told.lanes[number] = { id = id, spans = cjson.decode("[" .. lanes:spans(number) .. "]") }
        end
        for _, task in ipairs(tasks) do
          local sums, at = { run = 0, ready = 0 }, 0
          local spans = lane_of(told, task.id).spans
          for _, span in ipairs(spans) do
            assert.is_true(span[1] >= at - 0.2)
            at = span[1] + span[2]
            sums[span[3]] = (sums[span[3]] or 0) + span[2]
          end
          local _, run, ready = table.unpack(times[task.id])
          local slack = 0.1 * #spans + 1
          assert.is_true(math.abs(sums.run - run * 1e6) < slack)
          assert.is_true(math.abs(sums.ready - ready * 1e6) < slack)
          task:cancel()
        end
        co.accounting(false)
        recorder:stop()
      end)
    end
  end)

  it("counts events that newer ones overwrite before they are read", function()
    co.run(function()
      local recorder = co.record { events = 256 }
      for _ = 1, 400 do co.yield() end
      local lanes = recorder:lanes(60)
      local before = lanes:window().lost
      assert.is_true(lanes:step(10))
      for _ = 1, 400 do co.yield() end
      while lanes:step(10) do co.yield() end
      -- A yield is one event, and each is lost once, although it is read twice.
      local lost = lanes:window().lost - before
      assert.is_true(before > 0 and lost > 0 and lost <= 256)
      assert.equal(1, lanes:window().count)
      recorder:stop()
    end)
  end)

  it("is made of what was read if the recorder stops meanwhile", function()
    co.run(function()
      local recorder = co.record()
      for _ = 1, 100 do co.yield() end
      local found = recorder:lanes(10)
      found:step(50)
      recorder:stop()
      while found:step() do co.yield() end
      assert.equal(0, found:window().count)
      helpers.assert_error("recorder:lanes: the recorder has stopped", recorder.lanes, recorder)
    end)
  end)
end)

describe("the recorder's methods for the Explorer", function()
  it("refuse what they do not expect", function()
    local recorder = co.record()
    local expected = "bad argument #1 to 'lanes' (number of seconds from 0 to 3600 expected"
    for _, value in ipairs { -1, 3601, "10", 0 / 0, {} } do
      helpers.assert_error(expected, recorder.lanes, recorder, value)
    end
    helpers.assert_error("bad argument #1 to 'last' (id", recorder.last, recorder, 0, 1)
    helpers.assert_error("bad argument #2 to 'last' (events", recorder.last, recorder, 1, 1025)
    local lanes = recorder:lanes(0)
    helpers.assert_error("bad argument #1 to 'lane' (lane", lanes.lane, lanes, 1)
    helpers.assert_error("bad argument #1 to 'spans' (lane", lanes.spans, lanes, 0)
    helpers.assert_error("bad argument #1 to 'step' (events", lanes.step, lanes, 0)
    recorder:stop()
  end)
end)

describe("a task's page", function()
  it("has its last events and its spans while they are recorded", function()
    with_recorder(function(server)
      local task = co.spawn(function()
        co.trace.span("outer", function()
          co.trace.span("inner", function() co.trace.event "here" end)
          pcall(co.trace.span, "broken", error, "no")
          co.sleep(60)
        end)
      end)
      co.yield()
      local told = ask(server.port, "/task/" .. task.id)
      local whats = {}
      for i, event in ipairs(told.events) do whats[i] = event.what end
      assert.same({ "spawn", "start", "span_begin", "span_begin", "log", "span_end", "span_begin", "span_end",
        "park" }, whats)
      assert.equal("sleep", told.events[#told.events].wait)
      assert.truthy(told.events[1].site:find "history_spec")
      local spans = {}
      for i, span in ipairs(told.spans) do spans[i] = span.name .. " " .. span.status end
      assert.same({ "outer open", "inner ok", "broken error" }, spans)
      assert.is_true(told.spans[1].duration >= told.spans[2].duration)
      task:cancel()
      task:join()
      told = ask(server.port, "/task/" .. task.id)
      assert.equal("error", told.spans[1].status)
      assert.equal("end", told.events[#told.events].what)
    end)
  end)

  it("has at most the last 64 events, and none while nothing is recorded", function()
    client.with_server(nil, function(server)
      local task = co.spawn(function()
        for _ = 1, 100 do co.yield() end
        co.sleep(60)
      end)
      assert.is_nil(ask(server.port, "/task/" .. task.id).events)
      local recorder = co.record()
      local other = co.spawn(function()
        for _ = 1, 100 do co.yield() end
        co.sleep(60)
      end)
      co.sleep(0.02)
      assert.equal(64, #ask(server.port, "/task/" .. other.id).events)
      recorder:stop()
      task:cancel()
      other:cancel()
    end)
  end)
end)

describe("the state's loads", function()
  local function row_of(told, id)
    for _, row in ipairs(told.tasks) do
      if row.id == id then return row end
    end
  end

  it("say for each task how old it is, and how much of that it ran, and was ready", function()
    client.with_server(nil, function(server)
      co.accounting(true)
      co.defer(co.accounting, false)
      local busy = co.spawn(function()
        spin(0.05)
        co.sleep(60)
      end)
      local delayed = co.spawn(co.sleep, 60)
      co.sleep(0.01)
      local told = ask(server.port, "/state")
      local row, other = row_of(told, busy.id), row_of(told, delayed.id)
      assert.is_true(row.busy > 0.3 and row.busy <= 1 and row.delayed < row.busy)
      assert.is_true(other.busy < 0.3 and other.delayed > 0.3)
      assert.is_true(row.age >= 0 and row.age < 30)
      busy:cancel()
      delayed:cancel()
    end)
  end)

  it("have samples, one a second, once somebody has asked", function()
    client.with_server(nil, function(server)
      local first = ask(server.port, "/state").series
      assert.equal(0, #first.t)
      local busy = co.spawn(function()
        for _ = 1, 11 do
          spin(0.005)
          co.sleep(0.1)
        end
        co.sleep(60)
      end)
      co.sleep(1.15)
      local series = ask(server.port, "/state").series
      for _, name in ipairs { "t", "tasks", "ready", "switches", "delay_p99_us", "memory_kb", "panics" } do
        assert.equal(1, #series[name], name)
      end
      assert.is_true(series.tasks[1] >= 3 and series.switches[1] > 5 and series.delay_p99_us[1] > 0)
      assert.is_true(math.abs(series.t[1] - os.time()) < 5)
      busy:cancel()
    end)
  end)

  it("are sampled by nobody before", function()
    client.with_server(nil, function()
      co.sleep(0.01)
      for _, task in ipairs(co.tasks()) do assert.are_not.equal("debug samples", task.name) end
    end)
  end)
end)

describe("/leaks", function()
  it("names the tasks that nothing can wake, and then the state warns of them", function()
    client.with_server(nil, function(server)
      local id = co.spawn_with({ name = "forgotten" }, function() co.chan():recv() end).id
      co.yield()
      require("coropanic.debug.leaks").forget()
      local told = ask(server.port, "/leaks")
      assert.same({ id, "forgotten" }, { told.leaks[1].task, told.leaks[1].name })
      assert.truthy(told.leaks[1].site:find "history_spec")
      local found
      for _, warning in ipairs(ask(server.port, "/state").warnings) do
        if warning.kind == "leak" then found = warning end
      end
      assert.same({ id, 1 }, { found.tasks[1], #found.leaked })
      co.leaks { leaked = "cancel" }
    end)
  end)

  it("looks once in 30 seconds, however many ask", function()
    client.with_server(nil, function(server)
      require("coropanic.debug.leaks").forget()
      ask(server.port, "/leaks")
      co.spawn(function() co.chan():recv() end)
      co.yield()
      local told = ask(server.port, "/leaks")
      assert.equal(0, told.count)
      assert.is_true(told.age >= 0)
      co.leaks { leaked = "cancel" }
    end)
  end)
end)
