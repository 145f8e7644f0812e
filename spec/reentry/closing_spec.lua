-- The Lua state is closed while everything is in use: by os.exit(code, true) from wherever code runs, and at
-- the end of the script. Finalizers that run then call every function of the API, both those that run before
-- the runtime is gone and those, of objects older than it, that run after.

local helpers = require "spec.helpers"

--- The program of a process that leaves by `leave`, with a finalizer that runs after the runtime's and one
--- that runs before.
local function program(leave)
  return [[
    local every = require "reentry.every_function"
    local co, objects, functions
    local said = os.getenv "REENTRY_SAID" and function(name) io.stderr:write(name, "\n") end
    local function finalize(self)
      every.call(co, functions, objects, said)
      collectgarbage()
      io.write(self.when, "\n")
      io.flush()
    end
    OLDER = setmetatable({ when = "after" }, { __gc = finalize })
    co = require "coropanic"
    co.on_panic(function() end)
    co.trace.on_span(function() end)
    objects = every.objects(co)
    functions = every.list(co, objects)
    YOUNGER = setmetatable({ when = "before" }, { __gc = finalize })
    local left
    local function leave()
      if not left then
        left = true
        os.exit(7, true)
      end
    end
    ]] .. leave
end

local from = {
  ["the main chunk"] = "leave()",
  ["a task"] = "co.spawn(leave) co.step()",
  ["main of a run"] = "co.run(leave)",
  ["a coroutine"] = "coroutine.wrap(leave)()",
  ["a coroutine in a task"] = "co.spawn(function() coroutine.wrap(leave)() end) co.step()",
  ["a coroutine of co.coroutine"] = "co.coroutine.wrap(leave)()",
  ["a coroutine of co.coroutine in a task"] =
    "co.spawn(function() co.coroutine.wrap(function() co.sleep(0) leave() end)() end) "
    .. "while true do co.step() end",
  ["a frame"] = "co.call(leave)",
  ["a frame in a coroutine"] = "coroutine.wrap(function() co.call(leave) end)()",
  ["a deferred call"] = "co.call(function() co.defer(leave) end)",
  ["a deferred call that recovers"] =
    "co.call(function() co.defer(function() co.recover() leave() end) error 'x' end)",
  ["a deferred call of a task"] = "co.spawn(function() co.defer(leave) error 'x' end) co.step()",
  ["a scope"] = "co.spawn(co.scope, leave) co.step()",
  ["a task of a scope"] = "co.spawn(co.scope, function(s) s:spawn(leave) end) co.step() co.step()",
  ["a time-out"] = "co.spawn(co.with_timeout, 9, leave) co.step()",
  ["a co.with"] = "co.spawn(co.with, objects.context, leave) co.step()",
  ["a span"] = "co.trace.span('x', leave)",
  ["a span of a task"] = "co.spawn(co.trace.span, 'x', leave) co.step()",
  ["on_spawn"] = "co.on_spawn(leave) co.spawn(print)",
  ["an observer"] = "co.observe({ 'wake', 'end' }, leave) co.spawn(co.sleep, 0) co.step() co.step()",
  ["on_exit"] = "co.on_exit(leave) co.spawn(function() end) co.step()",
  ["on_suspend"] = "co.on_suspend(leave) co.spawn(co.sleep, 9) co.step()",
  ["on_span"] = "co.trace.on_span(leave) co.trace.span('x', function() end)",
  ["on_span of a task"] = "co.trace.on_span(leave) co.spawn(function() end) co.step()",
  ["the panic handler"] = "co.on_panic(leave) co.run(function() co.spawn(error, 'x') end)",
  ["a __tostring"] =
    "local _, r = co.pcall(error, setmetatable({}, { __tostring = leave })) local _ = tostring(r)",
  ["a __close"] = "co.call(function() local _ <close> = setmetatable({}, { __close = leave }) error 'x' end)",
  ["a finalizer"] = "setmetatable({}, { __gc = leave }) collectgarbage()",
  ["a finalizer in a spawn"] =
    "collectgarbage('incremental', 1, 1000, 20) collectgarbage('setpause', 0) collectgarbage() "
    .. "setmetatable({}, { __gc = leave }) while true do co.spawn(function() end) end",
  ["a debug hook in a spawn"] = "debug.sethook(leave, 'c', 3) co.spawn(print)",
  ["a message handler"] = "xpcall(co.panic, leave, 'x')",
  ["co.once"] = "co.once(leave)()",
  ["a callback of co.await"] = "co.spawn(co.await, leave) co.step()",
  ["ctx:after"] = "local c, k = co.context.with_cancel(co.ctx()) c:after(leave) k() co.step()",
}

describe("a Lua state that is closed while all is in use", function()
  for place, leave in pairs(from) do
    it(("is left in peace by every function, when it is closed from %s"):format(place), function()
      local result = helpers.run_script(program(leave))
      assert.equal("", result.stderr)
      assert.equal("before\nafter\n", result.stdout)
      assert.equal(7, result.status)
    end)
  end

  it("is left in peace by every function, when the script has ended", function()
    local result = helpers.run_script(program "")
    assert.equal("", result.stderr)
    assert.equal("before\nafter\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("after the runtime's end", function()
  it("Lua's own coroutines go on to work", function()
    local result = helpers.run_script [[
      OLDER = setmetatable({}, { __gc = function()
        local thread = coroutine.create(function(...) print(..., coroutine.yield(2)) end)
        print(coroutine.resume(thread, 1))
        print(coroutine.resume(thread, 3))
        print(coroutine.close(thread), coroutine.running())
      end })
      require "coropanic"
    ]]
    assert.equal("", result.stderr)
    assert.equal("true\t2\n1\t3\ntrue\ntrue\t", result.stdout:match "^(.*)thread: ")
  end)

  it("the coroutine of a task stays the scheduler's", function()
    local result = helpers.run_script [[
      local thread
      OLDER = setmetatable({}, { __gc = function()
        print(coroutine.resume(thread))
        print(coroutine.close(thread))
      end })
      local co = require "coropanic"
      for _ = 1, 3 do
        co.spawn(function()
          thread = thread or coroutine.running()
          co.defer(print, "never")
          co.sleep(9)
        end)
      end
      co.step()
    ]]
    assert.equal("", result.stderr)
    assert.equal(("false\tthis coroutine belongs to a task of coropanic: "
      .. "only its scheduler may resume or close it\n"):rep(2), result.stdout)
  end)

  it("every function says that the Lua state is being closed", function()
    local result = helpers.run_script [[
      local co, calls
      OLDER = setmetatable({}, { __gc = function()
        for _, call in ipairs(calls) do
          local ok, err = pcall(call)
          print(ok, tostring(err):match "the Lua state is being closed")
        end
      end })
      co = require "coropanic"
      local task, channel, mutex, cancel = co.spawn(co.sleep, 9), co.chan(1), co.mutex(), nil
      local context
      context, cancel = co.context.with_cancel(co.context.background())
      local _, record = co.pcall(error, "x")
      local thread = coroutine.create(function() co.call(coroutine.yield) end)
      coroutine.resume(thread)
      calls = {
        function() co.spawn(print) end,
        function() return task.trace_id end,
        function() task:cancel() end,
        function() channel:send(1) end,
        function() mutex:lock() end,
        function() context:err() end,
        function() cancel() end,
        function() tostring(record) end,
        function() return record.frames end,
        function() co.dump() end,
        function() co.call(print) end,
        function() co.run(print) end,
        function() assert(coroutine.resume(thread)) end,
      }
    ]]
    assert.equal("", result.stderr)
    assert.equal(("false\tthe Lua state is being closed\n"):rep(13), result.stdout)
  end)
end)
