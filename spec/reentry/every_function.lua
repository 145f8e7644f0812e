--- Every function of the API, found by looking: what is added to it is called too.

local every = {}

local function add(functions, name, fn, self)
  functions[#functions + 1] = { name = name, call = fn, self = self }
end

local function add_table(functions, name, t, self)
  for key, value in pairs(t) do
    if type(value) == "function" and type(key) == "string" then
      add(functions, name .. "." .. key, value, self)
    elseif type(value) == "table" and self == nil and type(key) == "string" then
      add_table(functions, name .. "." .. key, value)
    end
  end
end

--- The table of an object's methods: its __index, or what the function there looks into.
local function methods_of(metatable)
  local index = metatable.__index
  if type(index) == "table" then return index end
  for i = 1, index and 10 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return {}
end

-- Seconds: until the timed context ends, and between two looks of the forecast.
local FOREVER, DAY = 1e6, 86400

--- One object of each kind, those that tasks wait for with a task that waits.
---@param in_task boolean?  # in the task of a run, and not outside
function every.objects(co, in_task)
  local objects = {}
  local step = in_task and co.yield or co.step
  local function parked(name, ...)
    objects["task in " .. name] = co.spawn(...)
  end
  objects.order = co.order()
  objects.forecast = co.forecast { window = DAY, period = DAY }
  objects.channel, objects.buffered = co.chan(), co.chan(3)
  objects.buffered:try_send(1)
  objects.mutex, objects.rwmutex, objects.semaphore = co.mutex(), co.rwmutex(), co.semaphore(0)
  objects.waitgroup, objects.event, objects.task_local = co.waitgroup(), co.event(), co.task_local(1)
  objects.condition_mutex = co.mutex()
  objects.condition = co.condition(objects.condition_mutex)
  objects.once = co.once(function() co.await(function() end) end)
  objects.context, objects.cancel = co.context.with_cancel(co.context.background())
  objects.timed = co.context.with_timeout(objects.context, FOREVER)
  objects.value_context = co.context.with_value(objects.timed, "k", 1)
  objects.done = objects.timed:done()
  objects.stop = objects.context:after(function() end)
  objects.census = co.census(10)
  objects.recorder = co.record { events = 64 }
  for name, kind in pairs { allocations = "alloc", waits = "wait", places = "tasks" } do
    -- Those of the round before may still run.
    local is_new, profile = pcall(co.profile.start, { kind = kind })
    objects[name] = is_new and profile or nil
  end
  objects.func = co.func(function(...) co.defer(function() end) return ... end)
  objects.mutex:try_lock()
  objects.rwmutex:try_lock()
  parked("receive", function() objects.channel:recv() end)
  parked("select", function() co.select(1e6, objects.channel, { objects.done, 1 }) end)
  parked("lock", function() local _ <close> = objects.mutex:guard() end)
  parked("read lock", function() objects.rwmutex:rlock() end)
  parked("acquire", function() objects.semaphore:acquire(1, 1e6) end)
  parked("once", function() objects.once() end)
  parked("second once", function() objects.once() end)
  parked("event", function() objects.event:wait(1e6) end)
  parked("condition", function()
    local _ <close> = objects.condition_mutex:guard()
    objects.condition:wait(1e6)
  end)
  parked("sleep", function() co.defer(function() end) co.sleep(1e6) end)
  parked("wait", function() objects.waitgroup:spawn(co.sleep, 1e6) objects.waitgroup:wait() end)
  parked("await", function() co.await(function(resume) objects.resume = resume end) end)
  parked("join", function() objects["task in sleep"]:join() end)
  parked("scope", co.scope, function(s)
    objects.scope = s
    s:spawn(co.sleep, 1e6)
    co.sleep(1e6)
  end)
  parked("end of scope", function() co.supervise(function(s) s:spawn(co.sleep, 1e6) end) end)
  parked("time-out", function() co.with_timeout(1e6, co.sleep, 1e6) end)
  parked("with", function() co.with(objects.timed, function() co.call(co.sleep, 1e6) end) end)
  parked("coroutine", function()
    objects.inner = co.coroutine.create(function() co.trace.span("s", co.sleep, 1e6) end)
    co.coroutine.resume(objects.inner)
  end)
  parked("thread", function() objects.thread = coroutine.running() co.sleep(1e6) end)
  objects.held = co.spawn(error, "held", 0)
  objects.ended = co.spawn(function() return 1 end)
  step()
  step()
  co.spawn(function() objects.guard = co.mutex():guard() end)
  step()
  objects.framed = coroutine.create(function()
    co.call(function() co.defer(function() end) coroutine.yield() end)
  end)
  coroutine.resume(objects.framed)
  objects.generator = co.coroutine.wrap(function()
    co.trace.span("s", function() co.call(function() co.defer(co.now) co.coroutine.yield(1) end) end)
  end)
  objects.generator()
  objects.spanning = co.coroutine.create(function() co.trace.span("s", co.coroutine.yield) end)
  co.coroutine.resume(objects.spanning)
  objects.iterator = objects.buffered:iter()
  local _, record = co.pcall(error, setmetatable({}, { __tostring = function() return "text" end }))
  objects.record = record
  co.call(function() objects.deferred = co.defer(function() end) end)
  return objects
end

local EVENTS = { "__tostring", "__len", "__call", "__close", "__concat", "__index", "__newindex" }
local FIELDS = {
  "id", "name", "parent", "trace_id", "span_id", "spawned_at", "waiting_on", "operation", "where", "daemon",
  "attributes",
}

--- The functions, those of the module and of these objects, in an order that does not change.
function every.list(co, objects)
  local functions = {}
  add_table(functions, "co", co)
  add_table(functions, "metrics", require "coropanic.metrics")
  for name, object in pairs(objects) do
    local metatable = type(object) == "userdata" and debug.getmetatable(object)
    if metatable then
      add_table(functions, name, methods_of(metatable), object)
      for _, event in ipairs(EVENTS) do
        local metamethod = metatable[event]
        if type(metamethod) == "function" then add(functions, name .. "." .. event, metamethod, object) end
      end
    elseif type(object) == "function" then
      add(functions, name, object)
    elseif type(object) == "thread" then
      add(functions, "coroutine.resume " .. name, coroutine.resume, object)
      add(functions, "coroutine.close " .. name, coroutine.close, object)
      add(functions, "co.coroutine.resume " .. name, co.coroutine.resume, object)
    end
  end
  for _, name in ipairs(FIELDS) do
    for of, object in pairs(objects) do
      if of:find "^task" then
        add(functions, of .. "." .. name, function() return object[name] end)
        functions[#functions].key = name
      end
    end
  end
  table.sort(functions, function(a, b) return a.name < b.name end)
  functions.names = {}
  for name in pairs(objects) do table.insert(functions.names, name) end
  table.sort(functions.names)
  functions.groups = {}
  local found = {}
  for _, f in ipairs(functions) do
    local group = found[f.key or f.call]
    if not group then
      group = {}
      found[f.key or f.call] = group
      table.insert(functions.groups, group)
    end
    table.insert(group, f)
  end
  return functions
end

--- Asks all tasks to end: a run waits for them.
function every.cancel(co)
  for _, task in ipairs(co.tasks()) do task:cancel() end
end

--- Called after the others, as they end what those are called with; and not called, as they replace things,
--- or write files.
local LAST = { ["co.run"] = true, ["co.run_with"] = true }
local NEVER = {
  ["co.instrument"] = true, ["co.on_panic"] = true, ["recorder.dump"] = true,
  ["co.forecast"] = true, -- made so, each of its looks is a round of the virtual clock on the way to FOREVER
}

local KINDS = {
  "spawn", "start", "stop", "wake", "end", "panic", "recover", "cancel", "scope_open", "scope_close",
  "context_open", "context_end", "span_begin", "span_event", "span_end", "timer", "sleep", "awake", "overrun",
  "leaked", "warning",
}

--- Lets an observer, which calls the runtime in turn, listen until the next one does.
local function stop_observing() end
local function observe(call)
  stop_observing()
  local ok, stop = pcall(call, KINDS, function(_, object) return tostring(object) end)
  stop_observing = ok and stop or function() end
end

--- Calls every function, with many kinds of arguments. What they raise is of no interest here; `said(name)`
--- is told what is about to be called.
function every.call(co, functions, objects, said)
  local function nothing() end
  local arguments = { nothing, 0, 1, "x", {} }
  for _, object in pairs(objects) do arguments[#arguments + 1] = object end
  local function call(f)
    if said then said(f.name) end
    if f.name == "co.observe" then observe(f.call) end
    if f.self ~= nil then
      pcall(f.call, f.self)
      pcall(f.call, f.self, nothing)
      pcall(f.call, f.self, 0)
      pcall(f.call, f.self, {}, nothing)
      pcall(f.call, f.self, "k")
      return
    end
    pcall(f.call)
    for _, argument in ipairs(arguments) do
      pcall(f.call, argument)
      pcall(f.call, argument, nothing)
      pcall(f.call, argument, 0)
    end
  end
  for pass = 1, 2 do
    if pass == 2 then pcall(every.cancel, co) end
    for _, f in ipairs(functions) do
      if not NEVER[f.name] and (LAST[f.name] or false) == (pass == 2) then call(f) end
    end
  end
end

--- Calls any of the functions, with any arguments. Not co.run, which waits for all tasks, and not co.goexit,
--- which in code that is no finalizer ends the task.
function every.call_one(functions, objects, said)
  local names = functions.names
  local simple = { function() end, 0, 1, "x", {}, { name = "n" }, -1 }
  local function any()
    local i = math.random(#simple + #names)
    if i <= #simple then return simple[i] end
    return objects[names[i - #simple]]
  end
  local group = functions.groups[math.random(#functions.groups)]
  local f = group[math.random(#group)]
  if NEVER[f.name] or LAST[f.name] or f.name == "co.goexit" then return end
  if said then said(f.name) end
  if f.self ~= nil then
    pcall(f.call, f.self, any(), any())
  else
    pcall(f.call, any(), any())
  end
end

return every
