--- Random programs over the whole API. A program is a tree: a list of statements, each a text, or a node with
--- texts around lists of further statements. Which objects a statement uses is decided here, not when it
--- runs: the rest of a program stays what it is when one statement is taken out of it.

local generate = {}

generate.POOLS = {
  "task", "chan", "mutex", "rwmutex", "semaphore", "waitgroup", "once", "event", "condition", "context",
  "cancel", "scope", "record", "thread", "callback", "var", "handle", "fn", "profile", "recorder",
}
local SLOTS = 3 -- objects of a kind: few, so that they meet

-- What the API has, by reflection: a function that is new is called, too. These are left out: they wait for
-- the outside world, change what other programs of the process see, or end all.
local LEFT_OUT = {
  ["instrument"] = true, ["wait_fd"] = true, ["run"] = true, ["run_with"] = true, ["trace.use"] = true,
  ["step"] = true, ["pollfd"] = true,
}

local function paths_of(api, prefix, paths)
  for name, value in pairs(api) do
    if type(value) == "table" then
      paths_of(value, prefix .. name .. ".", paths)
    elseif type(value) == "function" and not LEFT_OUT[prefix .. name] then
      paths[#paths + 1] = prefix .. name
    end
  end
  return paths
end

local PATHS = paths_of(require "coropanic", "", {})
table.sort(PATHS)

local METHODS = {
  task = { "join", "await", "cancel", "status" },
  chan = { "send", "recv", "try_send", "try_recv", "close", "capacity" },
  mutex = { "lock", "unlock", "try_lock", "owner", "locked", "guard" },
  rwmutex = { "lock", "unlock", "rlock", "runlock", "try_lock", "try_rlock", "guard", "rguard" },
  semaphore = { "acquire", "release", "try_acquire", "available" },
  waitgroup = { "add", "done", "wait" },
  once = { "call", "done" },
  event = { "set", "clear", "wait", "is_set" },
  condition = { "wait", "signal", "broadcast" },
  context = { "value", "err", "cause", "deadline", "done" },
  scope = { "cancel" },
  record = { "to_table" },
  profile = { "stop" },
  recorder = { "snapshot", "stats", "stop" },
}

-- The choices of one program ------------------------------------------------------------------------------

---@class fuzz.choices
---@field random fun(m: integer, n: integer?): integer
---@field is_exact boolean  # what has no certain end is left out, so that every deferred call is counted
---@field has_limit boolean
---@field size integer  # statements that are still to be made

local function pick(c, list) return list[c.random(#list)] end

local function slot(c, pool) return ("%s[%d]"):format(pool, c.random(SLOTS)) end

local VALUES = {
  "nil", "true", "0", "1", "-1", "0.001", "2.5", "1e9", "1/0", "0/0", "math.mininteger", "'x'", "''",
    "'text\\0'",
  "{}", "{1, 2, nil, 4}", "print", "io.stdout", "coroutine.create(print)", "long",
}

local function value(c)
  local kind = c.random(4)
  if kind == 1 then return slot(c, pick(c, generate.POOLS)) end
  return pick(c, VALUES)
end

local function arguments(c)
  local list = {}
  for i = 1, c.random(0, 3) do list[i] = value(c) end
  return table.concat(list, ", ")
end

local function seconds(c) return pick(c, { "0", "0.001", "0.002", "1", "2", "5" }) end

local block -- makes a list of statements

--- A node: `head`, statements, `tail`.
local function node(c, depth, head, tail)
  return { head = head, body = block(c, depth + 1), tail = tail }
end

--- A node that is a function given to something.
local function with_function(c, depth, head, tail, parameters)
  return node(c, depth, ("%sfunction(%s) if spent() then return end"):format(head, parameters or "..."),
    "end" .. tail)
end

-- Statements ----------------------------------------------------------------------------------------------

--- Only if the object is there.
local function on(object, text) return ("if %s then %s end"):format(object, text) end

local function method(c, pool, call)
  local object = slot(c, pool)
  return on(object, object .. ":" .. call)
end

local statements = {}

local function add(weight, make)
  for _ = 1, weight do statements[#statements + 1] = make end
end

-- What ends no program but needs no other object.
local SIMPLE = {
  "co.yield()", "co.yield()", "var[1] = co.current()", "var[2] = co.tasks()", "co.dump()", "co.stats()",
  "co.ended()",
  "var[2] = co.leaks()", "co.leaks { leaked = 'cancel' }",
  "var[1] = co.trace.current()", "co.trace.event('e', {a = 1})", "co.trace.set{b = 2}",
  "var[3] = co.trace.inject{}", "co.trace.fields()", "co.trace.set_baggage('k', 'v')", "co.trace.baggage()",
  "co.results()", "co.set_results(1, 2)", "var[2] = co.recover()", "collectgarbage 'step'",
  "collectgarbage()", "co.now()", "co.timeout()", "handle[1] = nil", "task[1] = nil", "context[1] = nil",
  "collectgarbage 'generational'", "collectgarbage 'incremental'",
}

add(12, function(c) return pick(c, SIMPLE) end)
add(6, function(c) return ("co.sleep(%s)"):format(seconds(c)) end)

-- Tasks
add(10, function(c, depth)
  return with_function(c, depth, slot(c, "task") .. " = co.spawn(", ", " .. value(c) .. ")")
end)
add(6, function(c, depth)
  local options = pick(c, {
    "name = 'n'", "daemon = true", "detached_trace = true", "attributes = {a = 1}",
    "context = " .. slot(c, "context"),
  })
  return with_function(c, depth, ("%s = co.spawn_with({%s}, "):format(slot(c, "task"), options), ")")
end)
add(8, function(c) return method(c, "task", pick(c, { "join()", "join(1)", "await()", "join(0)" })) end)
add(7, function(c) return method(c, "task", pick(c, { "cancel()", "cancel 'why'", "cancel()" })) end)
add(2, function() return "if co.current() then co.current():cancel() end" end)
add(2, function(c)
  local task = slot(c, "task")
  local fields = { "status", "trace_id", "span_id", "parent", "waiting_on", "where", "operation",
    "spawned_at" }
  return on(task, ("tostring(%s) tostring(%s.%s)"):format(task, task, pick(c, fields)))
end)

-- Frames and panics
add(8, function(c, depth) return with_function(c, depth, "defer(", ")", "") end)
add(4, function(c, depth)
  local name = ("d%d"):format(c.random(1000))
  local made = with_function(c, depth, ("do local %s <close> = defer("):format(name), ")", "")
  made.second, made.tail_2 = block(c, depth + 1), "end"
  return made
end)
add(2, function(c, depth) return with_function(c, depth, slot(c, "handle") .. " = defer(", ")", "") end)
add(5, function(c, depth) return with_function(c, depth, "co.call(", ", " .. value(c) .. ")") end)
add(3, function(c, depth) return with_function(c, depth, "co.func(", ")(1)") end)
add(5, function(c, depth)
  return with_function(c, depth, slot(c, "var") .. ", record[1] = co.pcall(", ")")
end)
add(6, function(c, depth) return with_function(c, depth, "pcall(", ")") end)
add(2, function(c, depth)
  return with_function(c, depth, "xpcall(", ", function(m) co.stats() return m end)")
end)
add(3, function(c) return ("if not spent() then co.panic(%s) end"):format(value(c)) end)
add(3, function(c) return ("if not spent() then error(%s) end"):format(value(c)) end)
add(2, function() return "if not spent() then co.goexit() end" end)
add(3, function(c) return ("%s, %s = co.recover()"):format(slot(c, "var"), slot(c, "record")) end)
add(3, function(c)
  local record = slot(c, "record")
  local looks = { "tostring(%s)", "%s:to_table()", "var[1] = %s.frames", "var[1] = %s.chain",
    "var[1] = %s.cause",
    "var[1] = %s.stack_hash", "var[1] = %s.suspension_points", "co.panic(%s)" }
  return ("if type(%s) == 'userdata' then pcall(function() %s end) end")
    :format(record, pick(c, looks):format(record))
end)
add(3, function(c, depth) return node(c, depth, "while not spent() do", "if co.now() then break end end") end)
add(2, function(c, depth) return node(c, depth, "for _ = 1, 3 do if spent() then break end", "end") end)
add(2, function(c, depth)
  return node(c, depth, "while not spent() do pcall(function() if spent() then return end",
    "co.sleep(1) end) end")
end)

-- Structure
for _, kind in ipairs { "co.scope(", "co.scope(", "co.supervise(" } do
  add(3, function(c, depth)
    local made = with_function(c, depth, kind, ")", "s")
    made.head = made.head .. (" scope[%d] = s"):format(c.random(SLOTS))
    return made
  end)
end
add(3, function(c, depth)
  local scope = slot(c, "scope")
  return with_function(c, depth, ("if %s then %s = %s:spawn("):format(scope, slot(c, "task"), scope), ") end")
end)
add(2, function(c) return method(c, "scope", "cancel()") end)
add(6, function(c, depth)
  return with_function(c, depth, ("co.with_timeout(%s, "):format(seconds(c)), ")")
end)
add(3, function(c, depth)
  local context = slot(c, "context")
  return with_function(c, depth, ("if %s then co.with(%s, "):format(context, context), ") end")
end)
add(5, function(c)
  local i = c.random(SLOTS)
  local parent = pick(c, { "co.ctx()", "co.context.background()",
    ("(context[%d] or co.ctx())"):format(c.random(SLOTS)) })
  local make = pick(c, {
    "with_cancel(%s)", "with_timeout(%s, 1)", "with_deadline(%s, co.now() + 2)", "with_value(%s, 'k', 1)",
    "without_cancel(%s)",
  })
  return ("context[%d], cancel[%d] = co.context.%s"):format(i, i, make:format(parent))
end)
add(3, function(c) return on(slot(c, "cancel"), "") end)
add(4, function(c)
  local cancel = slot(c, "cancel")
  return on(cancel, cancel .. "(" .. value(c) .. ")")
end)
add(2, function(c, depth)
  local context = slot(c, "context")
  local head = ("if %s then %s = %s:after("):format(context, slot(c, "fn"), context)
  return with_function(c, depth, head, ") end")
end)

-- Communication
add(4, function(c) return ("%s = co.chan(%s)"):format(slot(c, "chan"), pick(c, { "", "1", "3" })) end)
add(7, function(c)
  local calls = { "send(1)", "send(" .. value(c) .. ")", "recv()", "recv()", "try_send(2)",
    "try_recv()", "close()" }
  return method(c, "chan", pick(c, calls))
end)
add(1, function(c, depth)
  local chan = slot(c, "chan")
  local head = ("if %s then for _ in %s:iter() do if spent() then break end"):format(chan, chan)
  return node(c, depth, head, "end end")
end)
add(3, function(c)
  local cases = {}
  for i = 1, c.random(3) do
    local chan = slot(c, "chan")
    cases[i] = c.random(2) == 1 and chan or ("%s and {%s, %d}"):format(chan, chan, i)
  end
  return ("var[1] = {co.select(%s, %s)}"):format(pick(c, { "nil", "0", "1" }), table.concat(cases, ", "))
end)
local MAKERS = {
  mutex = "co.mutex()", rwmutex = "co.rwmutex()", semaphore = "co.semaphore(1)", waitgroup = "co.waitgroup()",
  event = "co.event()",
}
local CALLS = {
  mutex = { "lock()", "lock(1)", "unlock()", "try_lock()", "guard()" },
  rwmutex = { "lock()", "lock(1)", "unlock()", "rlock()", "rlock(1)", "runlock()", "try_lock()",
    "try_rlock()" },
  semaphore = { "acquire()", "acquire(1)", "release()", "try_acquire()" },
  waitgroup = { "add(1)", "done()", "wait()", "wait(1)" },
  event = { "set()", "clear()", "wait()", "wait(1)" },
}
for _, pool in ipairs { "mutex", "rwmutex", "semaphore", "waitgroup", "event" } do
  add(1, function(c) return ("%s = %s"):format(slot(c, pool), MAKERS[pool]) end)
  add(4, function(c) return method(c, pool, pick(c, CALLS[pool])) end)
end
add(2, function(c, depth)
  local mutex = slot(c, "mutex")
  return node(c, depth, ("if %s then local _ <close> = %s:guard()"):format(mutex, mutex), "end")
end)
add(1, function(c)
  local mutex = slot(c, "mutex")
  return on(mutex, ("%s = co.condition(%s)"):format(slot(c, "condition"), mutex))
end)
add(4, function(c)
  return method(c, "condition", pick(c, { "wait()", "wait(1)", "signal()", "broadcast()" }))
end)
add(2, function(c)
  local mutex, condition = slot(c, "mutex"), slot(c, "condition")
  local wait = "do local _ <close> = %s:guard(2) %s = co.condition(%s) %s:wait(%s) end"
  return on(mutex, wait:format(mutex, condition, mutex, condition, seconds(c)))
end)
add(2, function(c, depth)
  local group = slot(c, "waitgroup")
  return with_function(c, depth, ("if %s then %s:spawn("):format(group, group), ") end")
end)
add(2, function(c, depth) return with_function(c, depth, slot(c, "once") .. " = co.once(", ")") end)
add(3, function(c)
  local once = slot(c, "once")
  return on(once, once .. "()")
end)
add(2, function(c, depth)
  local made = with_function(c, depth, "co.await(", ")", "resume")
  made.head = made.head .. (" callback[%d] = resume"):format(c.random(SLOTS))
  return made
end)
add(3, function(c)
  local callback = slot(c, "callback")
  return on(callback, ("%s(%s)"):format(callback, value(c)))
end)

-- Trace
add(3, function(c, depth) return with_function(c, depth, "co.trace.span('s', ", ")") end)
add(2, function(c, depth)
  local header = pick(c, {
    "{traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}", "{}",
      "{traceparent = 'x'}", "{7}",
  })
  return with_function(c, depth, ("co.trace.continue(%s, "):format(header), ")")
end)
add(1, function(c) return ("co.trace.sampler '%s'"):format(pick(c, { "always", "never", "parent" })) end)

-- Telemetry: one profile of a kind runs at a time
add(2, function(c)
  local kind = pick(c, { "alloc", "alloc", "wait", "tasks", "cpu" })
  return ("pcall(function() %s = co.profile.start { kind = '%s' } end)"):format(slot(c, "profile"), kind)
end)
add(2, function(c) return method(c, "profile", "stop()") end)
add(1, function(c, depth) return with_function(c, depth, "co.profile.labels({ k = 1 }, ", ")") end)
add(1, function(c)
  return ("%s = co.record { events = 64, stacks = %d }"):format(slot(c, "recorder"), c.random(0, 1))
end)
add(2, function(c) return method(c, "recorder", pick(c, { "snapshot()", "stats()", "stop()" })) end)
add(1, function(c) return ("co.accounting(%s)"):format(pick(c, { "true", "false", "" })) end)
add(1, function(c) return ("co.trace.usage(%s)"):format(pick(c, { "", "false" })) end)

-- Whatever the API has, with whatever arguments
add(6, function(c) return ("api('%s', %s)"):format(pick(c, PATHS), arguments(c)):gsub(", %)$", ")") end)
add(6, function(c)
  local pool = pick(c, generate.POOLS)
  local names = METHODS[pool]
  if not names then return "co.stats()" end
  return ("method(%s, '%s', %s)"):format(slot(c, pool), pick(c, names), arguments(c)):gsub(", %)$", ")")
end)

-- What has no certain end: programs that are to be exact have none of it.
local WILD = #statements

add(6, function(c, depth)
  local library = pick(c, { "coroutine", "co.coroutine" })
  return with_function(c, depth, ("%s = %s.create("):format(slot(c, "thread"), library), ")")
end)
add(3, function(c, depth)
  local library = pick(c, { "coroutine", "co.coroutine" })
  return with_function(c, depth, ("pcall(%s.wrap("):format(library), "), 1)")
end)
add(8, function(c)
  local thread, library = slot(c, "thread"), pick(c, { "coroutine", "co.coroutine", "co.coroutine" })
  return on(thread, ("%s.%s(%s)"):format(library, pick(c, { "resume", "resume", "close", "status" }), thread)
    :gsub("close%((.*)%)$", "status(%1) pcall(" .. library .. ".close, %1)"))
end)
add(3, function(c) return slot(c, "thread") .. " = coroutine.running()" end)
add(3, function(c) return ("pcall(%s.yield, 1)"):format(pick(c, { "coroutine", "co.coroutine" })) end)
add(5, function(c, depth) return with_function(c, depth, "garbage(", ")", "") end)
add(3, function(c, depth) return with_function(c, depth, slot(c, "var") .. " = living(", ")", "") end)
add(2, function(c, depth)
  local listener = pick(c, { "spawn", "start", "suspend", "exit", "panic" })
  return with_function(c, depth, ("co.on_%s("):format(listener), ")")
end)
add(2, function(c) return ("co.on_%s(nil)"):format(pick(c, { "spawn", "start", "suspend", "exit" })) end)
add(1, function(c, depth) return with_function(c, depth, "co.trace.on_span(", ")", "span") end)
add(2, function(c, depth)
  local kinds = { "spawn", "start", "stop", "wake", "end", "panic", "recover", "unhandled", "cancel",
    "scope_open", "scope_close", "context_open", "context_end", "span_begin", "span_event", "span_end",
    "timer", "sleep", "awake" }
  local start = ("observe({ %q, %q, %q }, "):format(pick(c, kinds), pick(c, kinds), pick(c, kinds))
  return with_function(c, depth, start, ")", "kind, object, extra")
end)
add(1, function() return "stop_observing()" end)
add(1, function(c, depth)
  local mask = pick(c, { "''", "''", "'c'", "'r'", "'l'" })
  return with_function(c, depth, "debug.sethook(", (", %s, %d)"):format(mask, c.random(1, 200)), "")
end)
add(1, function() return "debug.sethook()" end)
add(2, function() return "co.step()" end)
add(2, function(c)
  local mode, budget = pick(c, { "idle", "idle", "automatic" }), pick(c, { "1e-9", "1e-5", "1e-3" })
  return ("co.collector { mode = %q, budget = %s, limit = %s }"):format(mode, budget, pick(c, { "1.1", "3" }))
end)
add(1, function(c, depth) return with_function(c, depth, "pcall(table.sort, {3, 2, 1}, ", ")", "a, b") end)
add(1, function(c, depth) return with_function(c, depth, "pcall(string.gsub, 'abc', '.', ", ")", "a") end)

-- How many statements a block has at the least and at most, by its depth.
local BREADTH = { { 5, 12 }, { 1, 6 }, { 1, 4 }, { 1, 3 }, { 1, 2 } }

block = function(c, depth)
  local breadth, list = BREADTH[depth], {}
  if not breadth then return { "co.yield()" } end
  for i = 1, c.random(breadth[1], breadth[2]) do
    if c.size <= 0 then break end
    c.size = c.size - 1
    local statement = statements[c.random(c.is_exact and WILD or #statements)](c, depth)
    -- Half of what fails must not end the block: there would be little left of most programs.
    if type(statement) == "string" and c.random(2) == 1 then
      statement = ("pcall(function() %s end)"):format(statement)
    end
    list[i] = statement
  end
  return list
end

-- Programs ------------------------------------------------------------------------------------------------

--- A small generator of its own: the same programs whatever math.random is.
local function new_random(seed)
  local state = seed * 0x9E3779B97F4A7C15 + 0x1234567
  return function(m, n)
    if not n then m, n = 1, m end
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    return m + (state * 0x2545F4914F6CDD1D >> 33) % (n - m + 1)
  end
end

-- While it runs there is a timer: programs in which everybody waits are not cut short as deadlocks.
local TICKER = "co.spawn_with({daemon = true}, function() for _ = 1, 20 do co.sleep(0.5) end end)"

local HEADS = {
  "co.run_with({clock = 'virtual', seed = %d}, function() if spent() then return end",
  "co.run_with({clock = 'virtual'}, function() if spent() then return end",
}

--- The program of a seed: a list of statements, whose first texts make objects of each kind.
---@param seed integer
---@param mode "plain"|"limit"
---@return table tree, boolean is_exact
function generate.tree(seed, mode)
  local random = new_random(seed)
  for _ = 1, 8 do random(2) end
  local c = { random = random, is_exact = mode == "plain" and random(3) == 1, size = random(5, 150) }
  local tree = {}
  for pool, maker in pairs(MAKERS) do tree[#tree + 1] = ("%s[1] = %s"):format(pool, maker) end
  table.sort(tree)
  table.move({ "chan[1] = co.chan()", "chan[2] = co.chan(2)",
    "context[1], cancel[1] = co.context.with_cancel(co.context.background())" }, 1, 3, #tree + 1, tree)
  if c.is_exact then tree[#tree + 1] = "-- exact" end
  if mode == "limit" then
    tree[#tree + 1] = random(2) == 1 and ("memory.fail_after(%d, %d)"):format(random(1, 2000), random(1, 2))
      or ("memory.limit(%d)"):format(random(1000, 60000))
  elseif not c.is_exact and random(4) == 1 then
    tree[#tree + 1] = pick(c, { "collectgarbage('incremental', 100, 1000, 1)",
      "collectgarbage('generational', 1, 1)" })
  end
  if not c.is_exact and random(4) == 1 then
    for _, statement in ipairs(block(c, 1)) do -- outside tasks, and in steps
      tree[#tree + 1] = type(statement) == "table"
        and { head = "pcall(function()", body = { statement }, tail = "end)" }
        or ("pcall(function() %s end)"):format(statement)
    end
    tree[#tree + 1] = "for _ = 1, 30 do pcall(co.step) end"
    return tree, c.is_exact
  end
  for _ = 1, random(1, 2) do
    local head = pick(c, HEADS):format(random(1000))
    local body = { TICKER }
    for i = 1, SLOTS do
      body[i + 1] = with_function(c, 2, ("task[%d] = co.spawn("):format(i), ")")
    end
    table.move(block(c, 1), 1, BREADTH[1][2], #body + 1, body)
    tree[#tree + 1] = { head = "pcall(function() " .. head, body = body, tail = "end) end)" }
  end
  return tree, c.is_exact
end

--- The text of a tree.
---@param tree table
---@return string
function generate.render(tree)
  local lines = {}
  local function put(list, indent)
    for _, statement in ipairs(list) do
      if type(statement) == "string" then
        lines[#lines + 1] = indent .. statement
      else
        lines[#lines + 1] = indent .. statement.head
        put(statement.body, indent .. "  ")
        lines[#lines + 1] = indent .. statement.tail
        if statement.second then
          put(statement.second, indent .. "  ")
          lines[#lines + 1] = indent .. statement.tail_2
        end
      end
    end
  end
  put(tree, "")
  return table.concat(lines, "\n") .. "\n"
end

---@return string text, boolean is_exact
function generate.text(seed, mode)
  local tree, is_exact = generate.tree(seed, mode)
  return generate.render(tree), is_exact
end

return generate
