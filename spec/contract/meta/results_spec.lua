-- What functions take and return, and the tables among it, are of the types that lua/coropanic/meta.lua
-- declares.

local co = require "coropanic"
local luv = require "luv"
local api = require "contract.meta.api"
local calls = require "contract.meta.calls"
local conforms = require "contract.meta.conforms"
local luacats = require "contract.meta.luacats"

local call, told, called = calls.call, calls.told, calls.called

--- What a test needs that is not its subject.
local function nothing() end

describe("a function", function()
  local function in_run(title, body)
    it(title, function() co.run_with({ clock = "virtual", unhandled = nothing }, body) end)
  end

  it("that runs programs returns what is declared", function()
    call("coropanic.run", function(...) return ... end, 1, nil)
    local options = { clock = "virtual", seed = 1, unhandled = nothing, budget = 1, name = "main" }
    call("coropanic.run_with", options, nothing)
    call("coropanic.step")
    call("coropanic.step", 0.1)
    call("coropanic.timeout")
    call("coropanic.pollfd")
    call("coropanic.events")
    call("coropanic.thread_pool", call("coropanic.thread_pool"))
    local settings = call("coropanic.collector", { mode = "automatic", budget = 0.001, limit = 3 })
    call("coropanic.collector", settings)
    local recorder = call("coropanic.record", { events = 64, stacks = 1 })
    call "coropanic.recorder"
    call("coropanic.recorder:snapshot", recorder)
    call("coropanic.recorder:dump", recorder, "/dev/null")
    call("coropanic.recorder:dump", recorder, "/dev/full")
    call("coropanic.recorder:stats", recorder)
    call("coropanic.run", function()
      call("coropanic.recorder:last", recorder, co.current().id, 10)
      co.yield()
    end)
    local lanes = call("coropanic.recorder:lanes", recorder, 60)
    call("coropanic.lanes:step", lanes, 1)
    call("coropanic.lanes:step", lanes, 1000000)
    call("coropanic.lanes:window", lanes)
    call("coropanic.lanes:lane", lanes, 1)
    call("coropanic.lanes:spans", lanes, 1)
    call("coropanic.lanes:spans", lanes, 1)
    local dumping = { dump_on = { "panic", { delay = 1 } }, path = "/dev/null", max_dumps = 1, cooldown = 1 }
    call("coropanic.recorder:stats", call("coropanic.record", dumping))
    call("coropanic.recorder:stop", recorder)
    call "coropanic.recorder"
    call("coropanic.accounting", true)
    co.run(co.sleep, 0)
    call "coropanic.accounting"
    call("coropanic.accounting", false)
    call "coropanic.cooperative"
    call("coropanic.preempt", call("coropanic.preempt", { slice = 0.01 }))
    local global = coroutine
    local lua = call "coropanic.instrument"
    package.loaded.coroutine, coroutine = lua, global -- luacheck: ignore 121
  end)

  in_run("of tasks returns what is declared", function()
    local task = call("coropanic.spawn", function(...) co.yield() return ... end, 1, "x")
    call("coropanic.task:status", task)
    call("coropanic.task:join", task, 0)
    call("coropanic.task:join", task)
    call("coropanic.task:await", task)
    call("coropanic.task:cancel", task, "too late")
    local options = { name = "n", daemon = true, service = false, context = co.ctx(), detached_trace = true,
      attributes = { a = 1 } }
    local failed = call("coropanic.spawn_with", options, error, "x")
    call("coropanic.task:join", failed)
    call "coropanic.yield"
    call("coropanic.sleep", 1)
    call "coropanic.now"
    call("coropanic.await", function(resume) resume(1, 2) end)
    call("coropanic.wait_fd", co.pollfd(), "r", 0)
    call("coropanic.wait_fd", { getfd = co.pollfd }, "rw", 0)
    call "coropanic.current"
    call "coropanic.tasks"
    call "coropanic.dump"
    call("coropanic.dump", task)
    call "coropanic.ended"
    local census = call("coropanic.census", 10)
    call("coropanic.census:step", census)
    call("coropanic.census:step", census, 1)
    call("coropanic.census:tasks", census)
    call("coropanic.census:groups", census)
    call("coropanic.census:count", census)
    call("coropanic.census:find", census, task.id)
    call("coropanic.census:blockers", census, task)
    call("coropanic.census:times", census, task)
    call "coropanic.leaks"
    local order = call("coropanic.order", { strict = false, start = true })
    call("coropanic.order:stats", order)
    call("coropanic.order:warnings", order)
    call("coropanic.order:risk", order, co.mutex { name = "m" })
    call("coropanic.order:allow", order, "allowed by a spec", "allowed too", "rules are for good")
    local forecast = call("coropanic.forecast", { ahead = 3, window = 5, period = 0.25 })
    local filled = co.chan(4)
    for _ = 1, 2 do
      filled:send(1)
      co.sleep(2)
    end
    call("coropanic.forecast:list", forecast)
    call("coropanic.forecast:warnings", forecast)
    call("coropanic.forecast:stats", forecast)
    call("coropanic.forecast:stop", forecast)
    call("coropanic.order:reset", order)
    call("coropanic.order:stop", order)
    call "coropanic.trace.usage"
    call("coropanic.trace.usage", ("a"):rep(32))
    call("coropanic.trace.usage", false)
    call "coropanic.stats"
  end)

  in_run("of panics returns what is declared", function()
    local f = call("coropanic.func", function()
      co.defer(function()
        told("coropanic.recover", co.recover())
        told("coropanic.results", co.results())
        told("coropanic.set_results", co.set_results(1, nil))
      end)
      co.panic "x"
    end)
    f()
    co.call(function()
      co.defer(function() told("coropanic.recover", co.recover()) end)
      told("coropanic.defer", co.defer(nothing, 1))
    end)
    call("coropanic.call", function(...) return ... end, 1, 2)
    call("coropanic.pcall", nothing)
    local _, record = call("coropanic.pcall", error)
    call("coropanic.record:to_table", record)
    call("coropanic.record:stack_hashes", record)
    call("coropanic.record:stack_hashes", record, 1)
    call("coropanic.record:add_suppressed", record, select(2, co.pcall(error)))
    told "coropanic.goexit" -- these never return
    told "coropanic.panic"
  end)

  in_run("of scopes and contexts returns what is declared", function()
    call("coropanic.scope", function(scope)
      call("coropanic.scope:spawn", scope, co.sleep, 1)
      call("coropanic.scope:spawn_with", scope, { name = "n" }, co.sleep, 1)
      call("coropanic.scope:cancel", scope, "enough")
    end)
    call("coropanic.supervise", function() return 1, 2 end)
    call("coropanic.with_timeout", 1, co.sleep, 2)
    call("coropanic.with_timeout", 1, function(...) return ... end, 1, 2)
    local background = call "coropanic.contextlib.background"
    call("coropanic.with", background, nothing, 1)
    local valued = call("coropanic.contextlib.with_value", call "coropanic.ctx", "k", nil)
    local ended, cancel = call("coropanic.contextlib.with_cancel", valued)
    call("coropanic.contextlib.with_timeout", ended, 1, "cause")
    call("coropanic.contextlib.with_timeout", ended, 1)
    call("coropanic.contextlib.with_deadline", ended, 1, "cause")
    call("coropanic.contextlib.without_cancel", ended)
    call("coropanic.context:after", ended, nothing)
    for _, context in ipairs { background, ended } do
      if context == ended then cancel "cause" end
      call("coropanic.context:value", context, "k")
      call("coropanic.context:err", context)
      call("coropanic.context:cause", context)
      call("coropanic.context:deadline", context)
      call("coropanic.context:done", context)
    end
    call("coropanic.context:deadline", (co.context.with_timeout(background, 1)))
  end)

  in_run("of channels returns what is declared", function()
    local channel = call("coropanic.chan", 3)
    call("coropanic.channel:send", call "coropanic.chan" and channel, nil)
    call("coropanic.channel:recv", channel)
    call("coropanic.channel:try_send", channel, 1)
    call("coropanic.channel:try_recv", channel)
    call("coropanic.channel:try_recv", channel)
    call("coropanic.channel:capacity", channel)
    call("coropanic.select", nil, { channel, 1 }, nil)
    call("coropanic.select", 0, nil, channel)
    call("coropanic.select", 0, channel)
    call("coropanic.channel:close", channel)
    call("coropanic.channel:recv", channel)
    call("coropanic.channel:try_recv", channel)
    call("coropanic.channel:iter", channel)
  end)

  in_run("of locks returns what is declared", function()
    local mutex, rwmutex = call "coropanic.mutex", call "coropanic.rwmutex"
    call("coropanic.mutex:owner", mutex)
    call("coropanic.mutex:try_lock", mutex)
    call("coropanic.mutex:owner", mutex)
    call("coropanic.mutex:locked", mutex)
    call("coropanic.mutex:unlock", mutex)
    call("coropanic.mutex:lock", mutex, 1)
    call("coropanic.mutex:unlock", mutex)
    call("coropanic.mutex:guard", mutex)
    co.spawn(function() call("coropanic.mutex:guard", mutex, 0) end):await()
    call("coropanic.rwmutex:rlock", rwmutex)
    call("coropanic.rwmutex:try_rlock", rwmutex)
    call("coropanic.rwmutex:guard", rwmutex, 0)
    call("coropanic.rwmutex:runlock", rwmutex)
    call("coropanic.rwmutex:runlock", rwmutex)
    call("coropanic.rwmutex:lock", rwmutex, 1)
    call("coropanic.rwmutex:try_lock", rwmutex)
    call("coropanic.rwmutex:unlock", rwmutex)
    call("coropanic.rwmutex:rguard", rwmutex)
    local condition = call("coropanic.condition", mutex)
    co.spawn(function() call("coropanic.condition:broadcast", condition) end)
    call("coropanic.condition:signal", condition)
    call("coropanic.condition:wait", condition)
    call("coropanic.condition:wait", condition, 1)
    local semaphore = call("coropanic.semaphore", 3)
    call("coropanic.semaphore:acquire", semaphore)
    call("coropanic.semaphore:acquire", semaphore, 1, 1)
    call("coropanic.semaphore:try_acquire", semaphore, 2)
    call("coropanic.semaphore:release", semaphore, 1)
    call("coropanic.semaphore:guard", semaphore, nil, 1)
    call("coropanic.semaphore:available", semaphore)
  end)

  in_run("of what else tasks wait for each other with returns what is declared", function()
    local waitgroup, event = call "coropanic.waitgroup", call "coropanic.event"
    call("coropanic.waitgroup:spawn", waitgroup, nothing, 1)
    call("coropanic.waitgroup:add", waitgroup)
    call("coropanic.waitgroup:add", waitgroup, 1)
    call("coropanic.waitgroup:done", waitgroup)
    call("coropanic.waitgroup:done", waitgroup)
    call("coropanic.waitgroup:wait", waitgroup, 1)
    call("coropanic.event:set", event)
    call("coropanic.event:is_set", event)
    call("coropanic.event:wait", event, 1)
    call("coropanic.event:clear", event)
    local once = call("coropanic.once", function(...) return ... end)
    call("coropanic.once:call", once, 1, nil)
    call("coropanic.once:done", once)
    local of_task = call("coropanic.task_local", "default")
    call("coropanic.task_local", nil)
    call("coropanic.task_local:set", of_task, nil)
    call("coropanic.task_local:get", of_task)
  end)

  in_run("that sets a hook returns the one before", function()
    for _, name in ipairs { "on_panic", "on_spawn", "on_start", "on_suspend", "on_exit", "trace.on_span" } do
      call("coropanic." .. name, nothing)
      call("coropanic." .. name, nil)
    end
  end)

  in_run("that observes returns a function that stops it", function()
    local stop = call("coropanic.observe", { "spawn" }, nothing)
    stop()
  end)

  in_run("of traces returns what is declared", function()
    call "coropanic.trace.current"
    local headers = call "coropanic.trace.inject"
    call("coropanic.trace.inject", { { "host", "x" } })
    local extracted = call("coropanic.trace.extract", headers)
    call("coropanic.trace.extract", { baggage = "a=b" })
    call("coropanic.trace.continue", extracted, function(...) return ... end, 1, 2)
    call("coropanic.trace.span", "name", nothing, 1)
    call("coropanic.trace.span", "name", { kind = "client", attributes = { a = { 1, 2 } } }, nothing)
    call("coropanic.trace.event", "name")
    call("coropanic.trace.event", "name", { a = true })
    call("coropanic.trace.set", { a = "b" })
    call "coropanic.trace.fields"
    call("coropanic.trace.set_baggage", "a", "b", "ttl=1")
    call "coropanic.trace.baggage"
    call("coropanic.trace.baggage", "a")
    call("coropanic.trace.baggage", "b")
    call("coropanic.trace.set_baggage", "a", nil)
    call("coropanic.trace.sampler", "ratio", { ratio = 0.5 })
    call("coropanic.trace.sampler", "parent")
    call("coropanic.trace.use", "hlc", { max_drift = 1 })
    local function lease(hold)
      assert.is_nil(conforms(api, hold, api.type_of "coropanic.trace.hold"))
      hold(60)
      return 5, nil
    end
    local options = { lease = lease, epoch = 0, on_clock_back = "error", tolerance = 1 }
    call("coropanic.trace.use", "snowflake", options)
    call("coropanic.trace.use", "random")
  end)

  in_run("of profiles returns what is declared", function()
    local profile = call("coropanic.profilelib.start", { kind = "cpu", hz = 100 })
    call("coropanic.profile:stop", profile)
    call("coropanic.profilelib.take", "cpu", 0)
    call("coropanic.profilelib.labels", { a = "b", c = 1 }, function(...) return ... end, 1)
  end)

  it("is called here, whichever it is", function()
    api.each_function(function(fn) assert.is_true(called[fn.name], fn.name) end)
  end)
end)

describe("a table", function()
  it("that to_table makes has the fields that the contract's schema has", function()
    local schema = require("cjson").decode(io.open("docs/coropanic-1.schema.json"):read "a")["$defs"]
    local classes = {
      record = "coropanic.record.table", link = "coropanic.record.table.link",
      frame = "coropanic.record.frame", parked = "coropanic.record.parked",
      suspension_point = "coropanic.record.suspension_point", ancestor = "coropanic.record.ancestor",
      task = "coropanic.record.table.task",
    }
    for definition, class in pairs(classes) do
      local fields = luacats.fields_of(api, api.classes[class])
      assert.same(api.sorted_keys(schema[definition].properties), api.sorted_keys(fields), class)
      for _, name in ipairs(schema[definition].required) do
        assert.is_truthy(conforms(api, nil, fields[name].type), ("%s.%s may be nil"):format(class, name))
      end
    end
  end)

  it("that a record has, or makes, is of the type that is declared, in each of the golden panics", function()
    local panics = require "contract.panics"
    for name, make in pairs(panics) do
      local record = make()
      assert.is_nil(conforms(api, record, api.type_of "coropanic.record"), name)
      assert.is_nil(conforms(api, record:to_table(), api.type_of "coropanic.record.table"), name)
    end
  end)

  it("of a span is of the type that is declared, and so is a task before, in and after each wait", function()
    local spans = {}
    co.trace.on_span(function(span) spans[#spans + 1] = span end)
    co.run_with({ clock = "virtual" }, function()
      local channel, ends = co.chan(), luv.socketpair()
      local tasks = {
        co.spawn_with({ attributes = { a = 1 } }, co.sleep, 1),
        co.spawn(channel.recv, channel),
        co.spawn(co.select, 1, channel, channel),
        co.spawn(co.wait_fd, ends[1], "r", 1),
        co.spawn_with({ daemon = true }, co.await, nothing),
      }
      local function check_tasks()
        for _, task in ipairs(tasks) do assert.is_nil(conforms(api, task, api.type_of "coropanic.task")) end
      end
      check_tasks()
      co.yield()
      check_tasks()
      channel:close()
      co.sleep(1)
      check_tasks()
      co.trace.span("x", { attributes = { a = { 1, 2 }, b = print } }, function()
        for _ = 1, 200 do co.trace.event("y", { c = true, d = print }) end
      end)
      pcall(co.trace.span, "x", co.panic, "y")
      luv.fs_close(ends[1])
      luv.fs_close(ends[2])
    end)
    co.trace.on_span(nil)
    assert.is_true(#spans > 5)
    for _, span in ipairs(spans) do assert.is_nil(conforms(api, span, api.type_of "coropanic.span")) end
  end)
end)
