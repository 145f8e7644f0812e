--- Programs that together use the whole API, for specs in which others interfere. Each ends by itself.

local programs = {}

--- What is read only for the sake of reading it.
local function use() end

function programs.spawns_and_joins(co)
  local function add(...) co.defer(co.now) co.yield() return ... end
  local tasks = {}
  for i = 1, 3 do tasks[i] = co.spawn(add, i, i) end
  tasks[4] = co.spawn_with({ name = "named", attributes = { a = 1 }, daemon = true }, add)
  tasks[5] = co.spawn_with({ context = co.context.with_value(co.ctx(), "k", 1) }, add)
  for _, task in ipairs(tasks) do
    pcall(task.join, task)
    pcall(task.await, task)
    use(tostring(task), task.trace_id, task.parent)
  end
end

function programs.panics(co)
  co.spawn(error, "nobody joins", 0)
  local task = co.spawn(function()
    co.defer(function() co.set_results(co.recover()) end)
    co.defer(error, { code = "E", message = "replaced" })
    co.panic "first"
  end)
  local _, record = co.pcall(co.call, function()
    co.defer(co.panic, "B")
    local _ <close> = co.defer(function() end)
    error "A"
  end)
  if record then use(tostring(record), record:to_table(), record.chain, record.stack_hash) end
  pcall(task.join, task)
  co.pcall(co.func(function(...) return ... end), 1, 2)
end

function programs.scopes(co)
  co.pcall(co.scope, function(scope)
    for i = 1, 3 do scope:spawn(function() co.sleep(i) error(i) end) end
    co.sleep(9)
  end)
  co.supervise(function(scope)
    scope:spawn(co.sleep, 1)
    scope:spawn_with({ daemon = true }, co.sleep, 9)
  end)
  co.with_timeout(1, function() co.scope(function(scope) scope:spawn(co.sleep, 9) end) end)
  local context, cancel = co.context.with_cancel(co.ctx())
  local timed = co.context.with_timeout(context, 5)
  timed:after(co.now)
  local stop = timed:after(co.now)
  local task = co.spawn_with({ context = timed }, co.sleep, 100)
  co.spawn(function() co.sleep(1) cancel "why" end)
  co.pcall(co.with, timed, co.sleep, 9)
  stop()
  use(timed:cause(), timed:done(), task:cancel "x")
end

function programs.channels(co)
  local a, b = co.chan(), co.chan(2)
  co.spawn(function() for i = 1, 5 do b:send(i) end b:close() end)
  co.spawn(function() co.select(2, a, { co.chan(), 1 }) end)
  co.spawn(function() a:send(1, 2) end)
  for _ in b:iter() do co.yield() end
  co.select(1, a, b, { a, 1 })
  use(tostring(a), #b)
  co.await(function(resume) co.spawn(resume, 1, 2, 3) end)
end

function programs.locks(co)
  local mutex, lock, semaphore = co.mutex(), co.rwmutex(), co.semaphore(2)
  local group, event, once = co.waitgroup(), co.event(), co.once(function() co.yield() return 1, 2 end)
  local condition = co.condition(mutex)
  for i = 1, 3 do
    group:spawn(function()
      once()
      do local _ <close> = mutex:guard() condition:wait(i) end
      do local _ <close> = mutex:guard() co.yield() end
      do local _ <close> = i == 1 and lock:guard() or lock:rguard() co.sleep(1) end
      semaphore:acquire(2, 1)
      event:wait(10)
      semaphore:release(2)
    end)
  end
  co.sleep(0)
  use(co.dump(), tostring(mutex), mutex:owner(), tostring(condition))
  condition:signal()
  co.spawn(function() local _ <close> = mutex:guard() condition:broadcast() co.yield() end)
  event:set()
  group:wait(100)
  co.spawn(function() mutex:lock() co.sleep(1) end)
  co.sleep(0)
  co.pcall(mutex.lock, mutex)
end

function programs.traces(co)
  local headers = { tracestate = "a=1" }
  headers.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  co.trace.continue(headers, function()
    co.trace.span("outer", { attributes = { a = { 1, 2 } } }, function()
      co.spawn(co.trace.event, "event", { b = true })
      co.trace.set { c = "d" }
      pcall(co.trace.span, "inner", error, "x")
      co.yield()
    end)
    co.trace.inject {}
    local list = { { "Baggage", "a=1" }, [7] = { "tracestate", "b=1" }, BAGGAGE = "d=4" }
    list[2] = { name = "baggage", value = { "b=2", [9] = "c=3" } }
    local object = setmetatable({}, { __index = list, __newindex = list })
    co.trace.inject(object)
    co.trace.inject(list)
    local _ = co.trace.current()
  end)
  local generator = co.coroutine.wrap(function()
    co.sleep(1)
    co.trace.span("in a coroutine", co.coroutine.yield, 1)
    co.call(function() co.defer(co.now) co.coroutine.yield(2) end)
    error "x"
  end)
  for _ = 1, 3 do co.pcall(generator) end
  local foreign = coroutine.wrap(function() co.call(function() co.defer(co.now) coroutine.yield() end) end)
  foreign()
  foreign()
end

function programs.ends(co)
  local exiting = co.spawn(function() co.defer(co.yield) co.goexit() end)
  local cancelled = co.spawn(function() co.defer(co.sleep, 1) co.sleep(100) end)
  co.spawn(function() co.await(function() end) end)
  co.yield()
  cancelled:cancel "enough"
  pcall(exiting.join, exiting)
  pcall(cancelled.join, cancelled, 5)
  use(co.tasks(), co.stats())
end

--- Outside tasks, where finalizers may step the loop. For programs that no run calls.
programs.outside = {}

function programs.outside.dumps(co)
  local channel, mutex = co.chan(), co.mutex()
  local scope
  local tasks = {
    co.spawn(function() channel:recv() end),
    co.spawn(function() co.select(1, channel, { channel, 1 }) end),
    co.spawn(function() mutex:lock() co.sleep(0.001) end),
    co.spawn(function() mutex:lock() co.yield() error "x" end),
    co.spawn(co.scope, function(s)
      scope = s
      for _ = 1, 3 do s:spawn(co.yield) end
    end),
    co.spawn(function() co.coroutine.wrap(function() co.sleep(0) co.yield() end)() end),
    co.spawn_with({ name = "named" }, function() co.yield() co.yield() end),
  }
  tasks[#tasks + 1] = co.spawn(function() tasks[1]:join() end)
  co.step()
  use(co.dump(), co.tasks(), tostring(scope), tostring(mutex), co.stats())
  for _, task in ipairs(tasks) do
    use(task.waiting_on, task.where, task.operation, task.trace_id, task.span_id, tostring(task))
  end
  co.step()
  use(co.dump(), tostring(scope))
  for _, task in ipairs(co.tasks()) do task:cancel() end
  co.trace.span("outside", co.spawn, co.yield)
  co.pcall(co.run, function() co.spawn(error, "y") co.yield() end)
end

return programs
