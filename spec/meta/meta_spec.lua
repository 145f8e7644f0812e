-- lua/coropanic/meta.lua and its parts say to editors what the module has: they are held against the module
-- itself, objects of it that live, what its functions return, and the documents.

local co = require "coropanic"
local conforms = require "meta.conforms"
local documented = require "meta.documented"
local luacats = require "meta.luacats"
local luv = require "luv"

local api
for path in io.popen("ls lua/coropanic/meta.lua lua/coropanic/meta/*.lua"):lines() do
  api = luacats.read(path, api)
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function each_function(visit)
  for _, name in ipairs(sorted_keys(api.classes)) do
    for _, fn in pairs(api.classes[name].functions) do visit(fn) end
  end
end

-- The files -----------------------------------------------------------------------------------------------

describe("a file of definitions", function()
  it("is the module's, by its name, or part of that and not to be required", function()
    for path, file in pairs(api.files) do
      local is_module = path == "lua/coropanic/meta.lua"
      assert.equal(is_module and "coropanic" or "_", file.meta, path)
      assert.equal(is_module and "co" or nil, file.returned, path)
    end
  end)

  it("raises when a program requires it, and says what to require", function()
    for path in pairs(api.files) do
      local module = path:match("^lua/(.*)%.lua$"):gsub("/", ".")
      local ok, err = pcall(require, module)
      assert.is_false(ok)
      assert.match(module:gsub("%.", "%%.") .. ' .* require "coropanic"$', err)
    end
  end)

  it("names no type that is declared nowhere", function()
    local known = { -- LuaCATS's own
      any = true, ["nil"] = true, boolean = true, string = true, number = true, integer = true, table = true,
      thread = true, userdata = true, ["true"] = true, ["false"] = true, ["function"] = true,
      coroutinelib = true, -- lua-language-server's name for Lua's library
    }
    local function check(where, t, generics)
      luacats.each_name(t, function(name)
        local found = known[name] or api.classes[name] or api.aliases[name] or (generics and generics[name])
        assert.is_truthy(found, ("%s: the type %s is declared nowhere"):format(where, name))
      end)
    end
    for name, alias in pairs(api.aliases) do check(name, alias.type) end
    for name, class in pairs(api.classes) do
      assert.is_truthy(class.parent == nil or api.classes[class.parent], name)
      for _, field in pairs(class.fields) do check(name, field.type, class.generics) end
      for _, result in pairs(class.operators) do check(name, result, class.generics) end
      for _, fn in pairs(class.functions) do
        local generics = setmetatable(fn.generics, { __index = class.generics })
        for _, param in ipairs(fn.params) do check(fn.name, param.type, generics) end
        for _, result in ipairs(fn.returns) do check(fn.name, result.type, generics) end
        for _, overload in ipairs(fn.overloads) do check(fn.name, overload, generics) end
      end
    end
  end)

  it("declares no type that nothing has", function()
    local used = { coropanic = true }
    local function use(t) luacats.each_name(t, function(name) used[name] = true end) end
    for _, alias in pairs(api.aliases) do use(alias.type) end
    for _, class in pairs(api.classes) do
      if class.parent then used[class.parent] = true end
      for _, field in pairs(class.fields) do use(field.type) end
    end
    each_function(function(fn)
      for _, param in ipairs(fn.params) do use(param.type) end
      for _, result in ipairs(fn.returns) do use(result.type) end
    end)
    for name in pairs(api.classes) do assert.is_true(used[name], name) end
    for name in pairs(api.aliases) do assert.is_true(used[name], name) end
  end)

  it("says in a sentence what each function does, and of which type each parameter is", function()
    each_function(function(fn)
      local text = table.concat(fn.text, " ")
      assert.is_truthy(text:find "^%u.*%.$" or #fn.text == 0 and fn.name == "coropanic.stats", fn.name)
      local names = {}
      for i, param in ipairs(fn.params) do names[i] = param.name end
      assert.same(fn.arguments, names, fn.name)
    end)
  end)

  it("has no parameter that must be given behind one that may be left out", function()
    each_function(function(fn)
      local may_be_left_out = false
      for _, param in ipairs(fn.params) do
        assert.is_false(may_be_left_out and not param.optional and param.name ~= "...", fn.name)
        may_be_left_out = param.optional
      end
    end)
  end)
end)

-- The module ----------------------------------------------------------------------------------------------

-- The classes whose functions are those of a table.
local MODULES = { coropanic = co, ["coropanic.trace"] = co.trace, ["coropanic.contextlib"] = co.context }

--- The names of the functions of a table of the module.
local function functions_of(t)
  local names = {}
  for name, value in pairs(t) do
    if type(value) == "function" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

describe("the module", function()
  it("has the functions and fields that are declared, and no others", function()
    for class, t in pairs(MODULES) do
      assert.same(functions_of(t), sorted_keys(api.classes[class].functions), class)
      local fields = {}
      for name, value in pairs(t) do
        if type(value) ~= "function" then fields[name] = true end
      end
      assert.same(sorted_keys(fields), sorted_keys(api.classes[class].fields), class)
    end
    assert.is_nil(conforms(api, co, { kind = "name", name = "coropanic" }))
  end)

  it("has a coroutine library with the functions of Lua's", function()
    assert.same(functions_of(coroutine), functions_of(co.coroutine))
  end)
end)

-- Objects -------------------------------------------------------------------------------------------------

--- The table of an object's methods: its __index, or what the function there looks into.
local function methods_of(object)
  local index = debug.getmetatable(object).__index
  if type(index) == "table" then return index end
  for i = 1, index and 10 or 0 do
    local _, value = debug.getupvalue(index, i)
    if type(value) == "table" then return value end
  end
  return {}
end

--- One object of each class that the module makes.
local function objects()
  local made = {}
  local function make(object) made[debug.getmetatable(object).__name] = object end
  co.run_with({ clock = "virtual" }, function()
    make(co.spawn(co.yield))
    make(co.chan())
    make(co.mutex())
    make(co.mutex():guard())
    make(co.rwmutex())
    make(co.condition(co.mutex()))
    make(co.semaphore(1))
    make(co.waitgroup())
    make(co.once(print))
    make(co.event())
    make(co.task_local())
    make(co.ctx())
    make(co.defer(function() end))
    make(select(2, co.pcall(error)))
    co.scope(make)
  end)
  return made
end

describe("an object", function()
  -- What an operator of LuaCATS is in a metatable.
  local OPERATORS = { len = "__len", call = "__call", concat = "__concat" }

  it("has the methods and operators that its class has, and no others", function()
    local made = objects()
    for name, object in pairs(made) do
      local class = assert(api.classes[name], name)
      assert.same(functions_of(methods_of(object)), sorted_keys(class.functions), name)
      for operator, event in pairs(OPERATORS) do
        local has_it = debug.getmetatable(object)[event] ~= nil
        assert.equal(has_it, class.operators[operator] ~= nil, name .. ": " .. operator)
      end
    end
  end)

  it("is made here of each class with methods", function()
    local made = objects()
    for name, class in pairs(api.classes) do
      local _, method = next(class.functions)
      if method and method.is_method then assert.is_truthy(made[name], name) end
    end
  end)
end)

-- What functions return -----------------------------------------------------------------------------------

--- Calls of functions by the names that they are declared by, which check what goes in and what comes out.
local function caller()
  local called = {}

  local function declared(name)
    local class, function_name = name:match "^(.*)[.:]([^.:]+)$"
    called[name] = true
    return assert(api.classes[class] and api.classes[class].functions[function_name], name)
  end

  --- Holds values against a list of types, the last of which may be for all that follow.
  local function check(what, values, types)
    for i = 1, math.max(values.n, #types) do
      local of = types[i] or (types[#types] and types[#types].name == "..." and types[#types]) or nil
      assert.is_truthy(of, ("%s %d is not declared"):format(what, i))
      local left_out = values[i] == nil and (of.optional or of.name == "...")
      local wrong = not left_out and conforms(api, values[i], of.type)
      assert.is_falsy(wrong, ("%s %d: %s"):format(what, i, tostring(wrong)))
    end
  end

  local function check_any(what, values, lists)
    local errors = {}
    for _, types in ipairs(lists) do
      local ok, err = pcall(check, what, values, types)
      if ok then return end
      errors[#errors + 1] = tostring(err)
    end
    error(table.concat(errors, "\n"), 0)
  end

  local function lists_of(fn, own, of_overload)
    local lists = { own }
    for _, overload in ipairs(fn.overloads) do lists[#lists + 1] = overload[of_overload] end
    return lists
  end

  --- What a function that has to be called where it stands has returned.
  local function told(name, ...)
    local fn = declared(name)
    check_any("result of " .. name, table.pack(...), lists_of(fn, fn.returns, "results"))
    return ...
  end

  --- Calls it: for a method the object comes first.
  local function call(name, ...)
    local fn = declared(name)
    local class, separator, function_name = name:match "^(.*)([.:])([^.:]+)$"
    local from = separator == ":" and 2 or 1
    check_any("argument of " .. name, table.pack(select(from, ...)), lists_of(fn, fn.params, "arguments"))
    local of = separator == ":" and (...) or MODULES[class]
    return told(name, of[function_name](...))
  end

  return call, told, called
end

local call, told, called = caller()

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
      assert.is_nil(conforms(api, hold, { kind = "name", name = "coropanic.trace.hold" }))
      hold(60)
      return 5, nil
    end
    local options = { lease = lease, epoch = 0, on_clock_back = "error", tolerance = 1 }
    call("coropanic.trace.use", "snowflake", options)
    call("coropanic.trace.use", "random")
  end)

  it("is called here, whichever it is", function()
    each_function(function(fn) assert.is_true(called[fn.name], fn.name) end)
  end)
end)

-- What they return as tables ------------------------------------------------------------------------------

describe("a table", function()
  local function name_of(class) return { kind = "name", name = class } end

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
      assert.same(sorted_keys(schema[definition].properties), sorted_keys(fields), class)
      for _, name in ipairs(schema[definition].required) do
        assert.is_truthy(conforms(api, nil, fields[name].type), ("%s.%s may be nil"):format(class, name))
      end
    end
  end)

  it("that a record has, or makes, is of the type that is declared, in each of the golden panics", function()
    local panics = require "contract.panics"
    for name, make in pairs(panics) do
      local record = make()
      assert.is_nil(conforms(api, record, name_of "coropanic.record"), name)
      assert.is_nil(conforms(api, record:to_table(), name_of "coropanic.record.table"), name)
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
        for _, task in ipairs(tasks) do assert.is_nil(conforms(api, task, name_of "coropanic.task")) end
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
    for _, span in ipairs(spans) do assert.is_nil(conforms(api, span, name_of "coropanic.span")) end
  end)
end)

-- The documents -------------------------------------------------------------------------------------------

describe("the documents", function()
  -- What objects are called in the signatures of their methods; a semaphore is called as a scope is.
  local RECEIVERS = {
    task = "task", ctx = "context", s = "scope", record = "record", ch = "channel", m = "mutex",
    c = "condition", rw = "rwmutex", wg = "waitgroup", o = "once", e = "event", l = "task_local",
  }

  local LIBRARIES = {
    co = "coropanic", ["co.trace"] = "coropanic.trace", ["co.context"] = "coropanic.contextlib",
  }

  --- The class and the name of the function that a signature is of; nil: it is none of the module's.
  local function subject(signature)
    local owner, name = signature.callee:match "^(.*)[.:]([%a_]+)$"
    local receiver = RECEIVERS[owner]
    if owner == "s" and signature.heading == "Semaphore" then receiver = "semaphore" end
    return receiver and "coropanic." .. receiver or LIBRARIES[owner], name
  end

  --- Adds how many arguments there may be: "2", or "2..." with any number behind them.
  local function add_counts(counts, least, most, vararg)
    for count = least, most do counts[vararg and count .. "..." or tostring(count)] = true end
  end

  local function counts_of_list(counts, list)
    local vararg = #list > 0 and list[#list].name == "..."
    local most = vararg and #list - 1 or #list
    local least = most
    while least > 0 and list[least].optional do least = least - 1 end
    add_counts(counts, least, most, vararg)
  end

  it("give each function the parameters that are declared", function()
    local said = {}
    for _, signature in ipairs(documented.signatures()) do
      local class, name = subject(signature)
      if class then
        local fn = api.classes[class].functions[name]
        assert.is_truthy(fn, ("%s: %s is not declared"):format(signature.page, signature.callee))
        local parameters = signature.parameters
        said[fn.name] = said[fn.name] or {}
        add_counts(said[fn.name], parameters.least, parameters.most, parameters.vararg)
      end
    end
    each_function(function(fn)
      local counts = {}
      counts_of_list(counts, fn.params)
      for _, overload in ipairs(fn.overloads) do counts_of_list(counts, overload.arguments) end
      assert.same(counts, said[fn.name], fn.name)
    end)
  end)

  it("list the fields and options that are declared", function()
    local TABLES = {
      { "docs/running.md", "Running a program", "| option | type | |", "run.options" },
      { "docs/running.md", "Spawning", "| option | type | |", "spawn.options", { "context" } },
      { "docs/running.md", "A task", "| field | type | |", "task" },
      { "docs/running.md", "Looking in", "| field of `co.stats()` | counts |", "stats", { "afters" } },
      { "docs/panic-record.md", "Fields", "| field | type | |", "record" },
      { "docs/spans.md", "The table", "| field | |", "span" },
      { "docs/trace-ids.md", '`"snowflake"`', "| option | | default |", "trace.snowflake.options" },
    }
    for _, of in ipairs(TABLES) do
      local page, heading, header, class, elsewhere = table.unpack(of)
      local names = documented.names(page, heading, header)
      for _, name in ipairs(elsewhere or {}) do names[name] = true end
      local declared = sorted_keys(api.classes["coropanic." .. class].fields)
      assert.same(declared, sorted_keys(names), page .. ", " .. heading)
    end
  end)
end)
