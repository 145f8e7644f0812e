--- What lint knows of the API. `co` stands for what `require "coropanic"` returns; a method is written with
--- the type of its object: "channel:send". spec/lint/api_spec.lua holds this against lua/coropanic/meta.lua.

local api = {}

--- What may suspend the running task.
---   seconds  the place of the argument that bounds the wait; `at_most`: it ends by itself
api.SUSPENDS = {
  ["co.yield"] = { at_most = true },
  ["co.sleep"] = { at_most = true, seconds = 1 },
  ["co.profile.take"] = { at_most = true, seconds = 2 },
  ["co.await"] = {},
  ["co.wait_fd"] = { seconds = 3 },
  ["co.select"] = { seconds = 1 },
  ["co.scope"] = {},
  ["co.supervise"] = {},
  ["co.with_timeout"] = { at_most = true, seconds = 1 },
  ["task:join"] = { seconds = 1 },
  ["task:await"] = {},
  ["channel:send"] = {},
  ["channel:recv"] = {},
  ["mutex:lock"] = { seconds = 1 },
  ["mutex:guard"] = { seconds = 1 },
  ["rwmutex:lock"] = { seconds = 1 },
  ["rwmutex:guard"] = { seconds = 1 },
  ["rwmutex:rlock"] = { seconds = 1 },
  ["rwmutex:rguard"] = { seconds = 1 },
  ["condition:wait"] = { seconds = 1 },
  ["semaphore:acquire"] = { seconds = 2 },
  ["semaphore:guard"] = { seconds = 2 },
  ["waitgroup:wait"] = { seconds = 1 },
  ["once:call"] = {},
  ["event:wait"] = { seconds = 1 },
}

--- What coropanic.socket has of the kind. Whether a socket has a time-out is not known.
api.SOCKET_WAITS = {
  ["coropanic.socket.connect"] = { at_most = true },
  ["coropanic.socket.select"] = { at_most = true },
  ["coropanic.socket.sleep"] = { at_most = true },
  ["socket:accept"] = { at_most = true },
  ["socket:connect"] = { at_most = true },
  ["socket:receive"] = { at_most = true },
  ["socket:send"] = { at_most = true },
}

--- What suspends in the loop `for value in channel:iter() do`.
api.ITERATES = { ["channel:iter"] = "channel:recv" }

--- Functions that call the function which is their argument of this place, in the same task, and return when
--- it has ended. `rest`: the arguments behind it are those of the function.
api.CALLS = {
  ["pcall"] = { at = 1 },
  ["xpcall"] = { at = 1, rest = 3 },
  ["co.call"] = { at = 1 },
  ["co.pcall"] = { at = 1 },
  ["co.scope"] = { at = 1 },
  ["co.supervise"] = { at = 1 },
  ["co.with"] = { at = 2 },
  ["co.with_timeout"] = { at = 2 },
  ["co.trace.continue"] = { at = 2 },
  ["co.trace.span"] = { at = "function" },
  ["co.profile.labels"] = { at = 2 },
  ["policy:call"] = { at = 1 },
  ["timeout:call"] = { at = 1 },
  ["bulkhead:call"] = { at = 1 },
  ["boundary:call"] = { at = 1 },
  ["boundary:run"] = { at = 1 },
}

--- Those of them that end what they call after a time; of co.with it is not known, its context may do it.
api.BOUNDS = { ["co.with_timeout"] = true, ["timeout:call"] = true, ["co.with"] = true }

--- Functions that make their argument of this place the function of a task.
api.SPAWNS = {
  ["co.spawn"] = { at = 1 },
  ["co.spawn_with"] = { at = 2 },
  ["co.run"] = { at = 1 },
  ["co.run_with"] = { at = 2 },
  ["scope:spawn"] = { at = 1 },
  ["scope:spawn_with"] = { at = 2 },
  ["waitgroup:spawn"] = { at = 1 },
}

--- Functions that keep their argument of this place until something ends.
api.DEFERS = {
  ["co.defer"] = { at = 1 },
  ["handle:compensate"] = { at = 1 },
}

--- All that call their argument later, or elsewhere.
api.APPLIES = {}
for _, of in ipairs { api.SPAWNS, api.DEFERS } do
  for path, place in pairs(of) do api.APPLIES[path] = place end
end

--- Functions that do not return.
api.RAISES = { ["error"] = true, ["os.exit"] = true, ["co.panic"] = true, ["co.goexit"] = true }

--- What takes a lock or permit, and what gives it back.
api.LOCKS = {
  ["mutex:lock"] = "mutex:unlock",
  ["rwmutex:lock"] = "rwmutex:unlock",
  ["rwmutex:rlock"] = "rwmutex:runlock",
  ["semaphore:acquire"] = "semaphore:release",
}

--- What takes a lock until the end of a block.
api.GUARDS = { ["mutex:guard"] = true, ["rwmutex:guard"] = true, ["rwmutex:rguard"] = true }

--- Types of the results of functions, in their order.
api.RESULTS = {
  ["co.chan"] = { "channel" },
  ["co.mutex"] = { "mutex" },
  ["co.rwmutex"] = { "rwmutex" },
  ["co.condition"] = { "condition" },
  ["co.semaphore"] = { "semaphore" },
  ["co.waitgroup"] = { "waitgroup" },
  ["co.once"] = { "once" },
  ["co.event"] = { "event" },
  ["co.spawn"] = { "task" },
  ["co.spawn_with"] = { "task" },
  ["co.current"] = { "task" },
  ["scope:spawn"] = { "task" },
  ["scope:spawn_with"] = { "task" },
  ["waitgroup:spawn"] = { "task" },
  ["context:done"] = { "channel" },
  ["co.ctx"] = { "context" },
  ["co.context.background"] = { "context" },
  ["co.context.with_value"] = { "context" },
  ["co.context.with_cancel"] = { "context", "cancel" },
  ["co.context.with_timeout"] = { "context", "cancel" },
  ["co.context.with_deadline"] = { "context", "cancel" },
  ["co.context.without_cancel"] = { "context" },
  ["coropanic.socket.bind"] = { "socket" },
  ["coropanic.socket.connect"] = { "socket" },
  ["coropanic.socket.tcp"] = { "socket" },
  ["socket:accept"] = { "socket" },
  ["coropanic.resilience.boundary"] = { "boundary" },
  ["coropanic.resilience.breaker"] = { "policy" },
  ["coropanic.resilience.bulkhead"] = { "bulkhead" },
  ["coropanic.resilience.retry"] = { "policy" },
  ["coropanic.resilience.timeout"] = { "timeout" },
}
for _, path in ipairs {
  "string.char", "string.format", "string.gsub", "string.lower", "string.rep", "string.reverse", "string.sub",
  "string.upper", "table.concat", "tostring",
} do
  api.RESULTS[path] = { "string" }
end

--- Types of the fields of objects.
api.FIELDS = { ["task.parent"] = "task" }

--- Types of the first parameter of the function that is the argument of this place.
api.PARAMETERS = {
  ["co.scope"] = { at = 1, type = "scope" },
  ["co.supervise"] = { at = 1, type = "scope" },
  ["boundary:run"] = { at = 1, type = "handle" },
}

--- The modules that lint knows: how their functions are called here, by the name that `require` gets.
api.MODULES = {
  ["coropanic"] = "co",
  ["coropanic.resilience"] = "coropanic.resilience",
  ["coropanic.socket"] = "coropanic.socket",
}

return api
