--- Every mistake gets an error that points at the caller's line and says what was expected, or what to do
--- instead.

local co = require "coropanic"
local helpers = require "spec.helpers"

local NaN = 0 / 0

local function noop() end

--- Calls `fn(...)` and fails unless it raises an error that points into this file and has all `parts`.
local function assert_refused(parts, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error")
  local message = helpers.message_of(err)
  assert.matches("^spec/bad_input_spec%.lua:%d+: ", (message:gsub("^%./", "")))
  for _, part in ipairs(parts) do
    helpers.assert_contains(part, message)
  end
end

-- The integers that semaphores and waitgroups take, and what has a descriptor.
local FROM_0 = "integer from 0 to 2147483647 expected, "
local FROM_1 = "integer from 1 to 2147483647 expected, "
local DESCRIPTOR = "descriptor or object with getfd, pollfd or fileno expected, "
local ANY = "integer from -2147483647 to 2147483647 expected, "

--- A call, as the user wrote it, and the whole message behind its place.
local arguments = {
  { "co.run()", "bad argument #1 to 'run' (function expected, got no value)" },
  { "co.run(nil)", "bad argument #1 to 'run' (function expected, got nil)" },
  { "co.run 'main.lua'", "bad argument #1 to 'run' (function expected, got string)" },
  { "co.run_with(noop)", "bad argument #1 to 'run_with' (table expected, got function)" },
  { "co.run_with({})", "bad argument #2 to 'run_with' (function expected, got no value)" },
  { "co.spawn()", "bad argument #1 to 'spawn' (function expected, got no value)" },
  { "co.spawn(nil)", "bad argument #1 to 'spawn' (function expected, got nil)" },
  { "co.spawn {}", "bad argument #1 to 'spawn' (function expected, got table)" },
  { "co.spawn(io.stdout)", "bad argument #1 to 'spawn' (function expected, got FILE*)" },
  { "co.spawn_with(noop)", "bad argument #1 to 'spawn_with' (table expected, got function)" },
  { "co.spawn_with({}, 1)", "bad argument #2 to 'spawn_with' (function expected, got number)" },
  { "co.func()", "bad argument #1 to 'func' (function expected, got no value)" },
  { "co.func(1)", "bad argument #1 to 'func' (function expected, got number)" },
  { "co.call(nil)", "bad argument #1 to 'call' (function expected, got nil)" },
  { "co.call(function() co.defer(nil) end)", "bad argument #1 to 'defer' (function expected, got nil)" },
  { "co.pcall(nil)", "bad argument #1 to 'pcall' (function expected, got nil)" },
  { "co.step 'fast'", "bad argument #1 to 'step' (number expected, got string)" },
  { "co.on_panic(1)", "bad argument #1 to 'on_panic' (function expected, got number)" },
  { "co.on_spawn {}", "bad argument #1 to 'on_spawn' (function expected, got table)" },
  { "co.on_suspend 'x'", "bad argument #1 to 'on_suspend' (function expected, got string)" },
  { "co.on_exit 'x'", "bad argument #1 to 'on_exit' (function expected, got string)" },
  { "co.trace.extract 'x'", "bad argument #1 to 'extract' (table of headers expected, got string)" },
  { "co.trace.inject(1)", "bad argument #1 to 'inject' (table of headers expected, got number)" },
  { "co.trace.continue(nil, noop)", "bad argument #1 to 'continue' (table of headers expected, got nil)" },
  { "co.semaphore()", "bad argument #1 to 'semaphore' (permits: " .. FROM_0 .. "got no value)" },
  { "co.semaphore '3'", "bad argument #1 to 'semaphore' (permits: " .. FROM_0 .. "got string)" },
  { "co.semaphore(-1)", "bad argument #1 to 'semaphore' (permits: " .. FROM_0 .. "got -1)" },
  { "co.semaphore(1.5)", "bad argument #1 to 'semaphore' (permits: " .. FROM_0 .. "got 1.5)" },
  { "co.semaphore(2^31)", "bad argument #1 to 'semaphore' (permits: " .. FROM_0 .. "got 2147483648.0)" },
  { "co.semaphore(1):acquire(0)", "bad argument #1 to 'acquire' (permits: " .. FROM_1 .. "got 0)" },
  { "co.semaphore(1):acquire(2)", "bad argument #1 to 'acquire' (2 of 1 permits wanted)" },
  { "co.semaphore(1):acquire(1, {})", "bad argument #2 to 'acquire' (number expected, got table)" },
  { "co.semaphore(1):release {}", "bad argument #1 to 'release' (permits: " .. FROM_1 .. "got table)" },
  { "co.semaphore(1):release()", "release of 1 permits, but 0 of 1 are taken" },
  { "co.mutex():lock 'soon'", "bad argument #1 to 'lock' (number expected, got string)" },
  { "co.mutex():guard(-1)", "bad argument #1 to 'guard' (seconds expected, got a negative number)" },
  { "co.mutex():unlock()", "unlock of unlocked mutex" },
  { "co.mutex().lock(co.event())", "calling 'lock' on bad self (mutex expected, got coropanic.event)" },
  { "co.rwmutex():rlock {}", "bad argument #1 to 'rlock' (number expected, got table)" },
  { "co.rwmutex().rlock(co.mutex())", "calling 'rlock' on bad self (rwmutex expected, got coropanic.mutex)" },
  { "co.condition()", "bad argument #1 to 'condition' (mutex expected, got no value)" },
  { "co.condition(nil)", "bad argument #1 to 'condition' (mutex expected, got nil)" },
  { "co.condition(co.rwmutex())", "bad argument #1 to 'condition' (mutex expected, got coropanic.rwmutex)" },
  { "co.condition(co.mutex()):wait 'x'", "bad argument #1 to 'wait' (number expected, got string)" },
  { "co.condition(co.mutex()):wait(-1)",
    "bad argument #1 to 'wait' (seconds expected, got a negative number)" },
  { "co.condition(co.mutex()).signal(1)", "calling 'signal' on bad self (condition expected, got number)" },
  { "co.condition(co.mutex()).broadcast()",
    "calling 'broadcast' on bad self (condition expected, got no value)" },
  { "co.waitgroup():add 'one'", "bad argument #1 to 'add' (n: " .. ANY .. "got string)" },
  { "co.waitgroup():spawn()", "bad argument #1 to 'spawn' (function expected, got no value)" },
  { "co.waitgroup():wait(0/0)", "bad argument #1 to 'wait' (seconds expected, got NaN)" },
  { "co.once()", "bad argument #1 to 'once' (function expected, got no value)" },
  { "co.once(noop).call(noop)", "calling 'call' on bad self (once expected, got function)" },
  { "co.event():wait 'x'", "bad argument #1 to 'wait' (number expected, got string)" },
  { "co.event().set()", "calling 'set' on bad self (event expected, got no value)" },
  { "co.task_local().get {}", "calling 'get' on bad self (task_local expected, got table)" },
  { "co.wait_fd()", "bad argument #1 to 'wait_fd' (" .. DESCRIPTOR .. "got no value)" },
  { "co.wait_fd('0', 'r')", "bad argument #1 to 'wait_fd' (" .. DESCRIPTOR .. "got string)" },
  { "co.wait_fd(io.stdout, 'w')", "bad argument #1 to 'wait_fd' (" .. DESCRIPTOR .. "got FILE*)" },
  { "co.wait_fd({}, 'w')", "bad argument #1 to 'wait_fd' (" .. DESCRIPTOR .. "got table)" },
  { "co.wait_fd(1.5, 'r')", "bad argument #1 to 'wait_fd' (a descriptor is an integer)" },
  { "co.wait_fd({ getfd = noop }, 'r')", "bad argument #1 to 'wait_fd' (a descriptor is an integer)" },
  { "co.wait_fd(0)", "bad argument #2 to 'wait_fd' (\"r\", \"w\" or \"rw\" expected)" },
  { "co.wait_fd(0, 'read')", "bad argument #2 to 'wait_fd' (\"r\", \"w\" or \"rw\" expected)" },
  { "co.wait_fd(0, 'r', {})", "bad argument #3 to 'wait_fd' (number expected, got table)" },
  { "co.wait_fd(0, 'r', -1)", "bad argument #3 to 'wait_fd' (seconds expected, got a negative number)" },
  { "co.wait_fd(-1, 'r', 0)", "co.wait_fd: descriptor -1: Bad file descriptor" },
  { "co.trace.continue({}, nil)", "bad argument #2 to 'continue' (function expected, got nil)" },
}

--- The same, of calls that belong in a task.
local arguments_in_tasks = {
  { "co.sleep()", "bad argument #1 to 'sleep' (number expected, got no value)" },
  { "co.sleep 'long'", "bad argument #1 to 'sleep' (number expected, got string)" },
  { "co.await()", "bad argument #1 to 'await' (function expected, got no value)" },
  { "co.await {}", "bad argument #1 to 'await' (function expected, got table)" },
  { "co.wait_fd(-1, 'r')", "co.wait_fd: descriptor -1: Bad file descriptor" },
  { "co.spawn(noop):join 'soon'", "bad argument #1 to 'join' (number expected, got string)" },
}

--- Runs the text as a program whose only line it is. Returns the error's message behind its place.
local function message_of(text)
  local chunk = assert(load("local co, noop = ... " .. text .. " return", "@program.lua"))
  local ok, err = pcall(chunk, co, noop)
  assert.is_false(ok, "no error")
  local place, message = helpers.message_of(err):match "^(program%.lua:1): (.*)$"
  assert.equal("program.lua:1", place)
  return message
end

describe("a wrong argument", function()
  for _, case in ipairs(arguments) do
    it("is named: " .. case[1], function() assert.equal(case[2], message_of(case[1])) end)
  end

  for _, case in ipairs(arguments_in_tasks) do
    it("is named: " .. case[1], function()
      helpers.run(function() assert.equal(case[2], message_of(case[1])) end)
    end)
  end
end)

describe("a time", function()
  for name, seconds in pairs { ["that is negative"] = -1, ["that is NaN"] = NaN, ["of -inf"] = -math.huge } do
    it(name .. " is refused by co.sleep", function()
      helpers.run(function()
        assert_refused({ "'sleep'", "seconds" }, function() co.sleep(seconds) end)
      end)
    end)

    it(name .. " is refused by join", function()
      helpers.run(function()
        local task = co.spawn(noop)
        assert_refused({ "'join'", "seconds" }, function() task:join(seconds) end)
      end)
    end)

    it(name .. " is refused by co.step", function()
      assert_refused({ "'step'", "seconds" }, function() co.step(seconds) end)
    end)
  end
end)

describe("an option", function()
  after_each(function() -- what a case has begun to record
    local recorder = co.recorder()
    if recorder then recorder:stop() end
  end)

  for text, parts in pairs {
    ["co.record 'all'"] = { "'record'", "table expected, got string" },
    ["co.record { event = 1 }"] = { "'record'", "unknown option 'event'" },
    ["co.record { events = 'x' }"] = { "power of two from 1 to 16777216 expected, got string" },
    ["co.record { events = 100 }"] = { "'events'", "power of two from 1 to 16777216 expected, got 100" },
    ["co.record { events = 1 << 25 }"] = { "from 1 to 16777216 expected, got 33554432" },
    ["co.record { stacks = 2 }"] = { "'stacks'", "integer from 0 to 1 expected, got 2" },
    ["co.record { dump_on = 'panic' }"] = { "'dump_on'", 'list of "panic", ', "expected, got string" },
    ["co.record { dump_on = { 'panics' } }"] = { "'dump_on'", "{delay = seconds} expected, got panics" },
    ["co.record { dump_on = { delay = 1 } }"] = { "'dump_on'", "{delay = seconds} expected, got delay" },
    ["co.record { dump_on = { {} } }"] = { "'dump_on'", "delay in seconds above 0 expected, got nil" },
    ["co.record { dump_on = { { delay = 0 } } }"] = { "delay in seconds above 0 expected, got 0" },
    ["co.record { dump_on = { { delay = 0/0 } } }"] = { "delay in seconds above 0 expected, got " },
    ["co.record { dump_on = { { late = 1 } } }"] = { "only 'delay' in a table expected, got late" },
    ["co.record { path = '/tmp/%d' }"] = { "'path'", "%p, %n or %% after a percent sign expected, got %d" },
    ["co.record { path = '/tmp/%%%' }"] = { "after a percent sign expected, got %" },
    ["co.record { path = '' }"] = { "path of 1 to 1023 bytes without a zero byte expected, got 0 bytes" },
    ["co.record { path = 'a\\0b' }"] = { "without a zero byte expected, got 3 bytes" },
    ["co.record { path = ('x'):rep(1024) }"] = { "path of 1 to 1023 bytes", "got 1024 bytes" },
    ["co.record { max_dumps = 0 }"] = { "'max_dumps'", "integer from 1 to 1000000 expected, got 0" },
    ["co.record { cooldown = -1 }"] = { "'cooldown'", "seconds from 0 expected, got -1" },
    ["co.record():dump()"] = { "'dump'", "path expected, got no value" },
    ["co.accounting(1)"] = { "'accounting'", "boolean or nil expected, got number" },
    ["co.collector 'idle'"] = { "'collector'", "table expected, got string" },
    ["co.collector { modus = 'idle' }"] = { "'collector'", "unknown option 'modus'" },
    ["co.collector { mode = 'lazy' }"] = { "'mode'", '"automatic" or "idle" expected, got lazy' },
    ["co.collector { mode = true }"] = { "'mode'", "string expected, got boolean" },
    ["co.collector { budget = 'x' }"] = { "'budget'", "seconds above 0 expected, got string" },
    ["co.collector { budget = 0 }"] = { "'budget'", "seconds above 0 expected, got 0" },
    ["co.collector { budget = 0 / 0 }"] = { "'budget'", "seconds above 0 expected, got " },
    ["co.collector { limit = 1 }"] = { "'limit'", "number above 1 expected, got 1" },
    ["co.profile.start { kind = 'heap' }"] = { "'kind'", '"cpu"', "expected, got heap" },
    ["co.profile.start { kind = 'cpu', hz = 0 }"] = { "'hz'" },
    ["co.run_with({ clock = 'sundial' }, noop)"] = { "'clock'", '"virtual"' },
    ["co.run_with({ clock = 1 }, noop)"] = { "'clock'", "got number" },
    ["co.run_with({ seed = 'x' }, noop)"] = { "'seed'", "integer expected, got string" },
    ["co.run_with({ budget = 'x' }, noop)"] = { "'budget'", "number expected, got string" },
    ["co.run_with({ budget = -1 }, noop)"] = { "'budget'" },
    ["co.run_with({ unhandled = 1 }, noop)"] = { "'unhandled'", "function" },
    ["co.run_with({ unhandled = 'ignore' }, noop)"] = { "'unhandled'", '"report"', '"crash"' },
    ["co.run_with({ name = {} }, noop)"] = { "'name'", "string expected, got table" },
    ["co.run_with({ clcok = 'virtual' }, noop)"] = { "unknown option 'clcok'" },
    ["co.spawn_with({ name = 1 }, noop)"] = { "'name'", "string expected, got number" },
    ["co.spawn_with({ daemon = 1 }, noop)"] = { "'daemon'", "boolean expected, got number" },
    ["co.spawn_with({ detached_trace = 1 }, noop)"] = { "'detached_trace'", "boolean expected, got number" },
    ["co.spawn_with({ deamon = true }, noop)"] = { "unknown option 'deamon'" },
  } do
    it("is checked: " .. text, function()
      local message = message_of(text)
      helpers.assert_contains("bad argument #1 to ", message)
      for _, part in ipairs(parts) do
        helpers.assert_contains(part, message)
      end
    end)
  end

  it("that is wrong spawns nothing", function()
    local before = co.stats().spawned
    pcall(co.spawn_with, { name = 1 }, noop)
    pcall(co.run_with, { clock = "sundial" }, noop)
    assert.equal(before, co.stats().spawned)
  end)
end)

describe("outside a task", function()
  for name, call in pairs {
    yield = function() co.yield() end,
    sleep = function() co.sleep(1) end,
    await = function() co.await(noop) end,
    wait_fd = function() co.wait_fd(co.pollfd(), "r") end,
  } do
    it(("co.%s says that it needs a task, and how to get one"):format(name), function()
      assert_refused({ "'" .. name .. "'", "co.run", "co.spawn" }, call)
    end)
  end

  it("join of a task that has not ended says so too", function()
    local task = co.spawn(noop)
    assert_refused({ "'join'", "co.run" }, function() task:join() end)
    co.step(0)
    assert.equal("done", task:status())
  end)
end)

describe("outside any frame", function()
  it("co.defer says where it belongs", function()
    assert_refused({ "co.defer", "co.func" }, function() co.defer(noop) end)
  end)

  it("co.defer in a bare coroutine says so too", function()
    assert_refused({ "co.defer", "co.func" }, coroutine.wrap(function() co.defer(noop) end))
  end)
end)

describe("outside a deferred call", function()
  it("co.results says that it belongs there", function()
    assert_refused({ "co.results", "deferred call" }, function() co.results() end)
  end)

  it("co.set_results says so, in a frame too", function()
    assert_refused({ "co.set_results", "deferred call" }, co.func(function() co.set_results "x" end))
  end)
end)

describe("in a task", function()
  it("co.run says to use a scope", function()
    helpers.run(function() assert_refused({ "co.run", "scope" }, function() co.run(noop) end) end)
  end)

  it("co.run_with says so too", function()
    helpers.run(function() assert_refused({ "co.run", "scope" }, function() co.run_with({}, noop) end) end)
  end)

  it("a task that joins itself is told that it would wait for ever", function()
    helpers.run(function()
      assert_refused({ "join", "itself" }, function() co.current():join() end)
    end)
  end)

  it("a task that awaits itself is told so too", function()
    helpers.run(function()
      assert_refused({ "await", "itself" }, function() co.current():await() end)
    end)
  end)
end)

describe("a suspension inside a C function", function()
  local function sleep() co.sleep(1) end

  for name, call in pairs {
    ["sort"] = function() table.sort({ 3, 1, 2 }, function() sleep() return false end) end,
    ["gsub"] = function() string.gsub("abc", "%w", sleep) end,
    ["load"] = function() assert(load(sleep)) end,
    ["tostring"] = function() tostring(setmetatable({}, { __tostring = sleep })) end,
  } do
    it(("is an error that names what is in the way: %s"):format(name), function()
      helpers.run(function()
        local ok, err = pcall(call)
        assert.is_false(ok)
        local message = helpers.message_of(err)
        helpers.assert_contains("sleep", message)
        helpers.assert_contains(name, message)
        helpers.assert_lacks("C-call boundary", message)
      end)
    end)
  end

  it("is an error in require too", function()
    package.preload["a module that sleeps"] = sleep
    helpers.run(function()
      local ok, err = pcall(require, "a module that sleeps")
      assert.is_false(ok)
      helpers.assert_contains("require", helpers.message_of(err))
    end)
    package.preload["a module that sleeps"] = nil
  end)

  it("leaves the task able to suspend", function()
    helpers.run(function()
      pcall(string.gsub, "abc", "%w", sleep)
      local start = co.now()
      co.sleep(1)
      assert.equal(1, co.now() - start)
    end)
  end)
end)

describe("a method", function()
  it("called on something else says that a task was expected", function()
    helpers.run(function()
      local task = co.spawn(noop)
      for _, name in ipairs { "join", "await", "cancel", "status" } do
        assert_refused({ "'" .. name .. "'", "task expected, got number" }, function() task[name](1) end)
      end
    end)
  end)

  it("called on a userdata of another kind says so too", function()
    helpers.run(function()
      local task = co.spawn(noop)
      assert_refused({ "task expected" }, function() task.join(io.stdout) end)
    end)
  end)
end)

describe("a field", function()
  it("of a task can not be set", function()
    helpers.run(function()
      local task = co.spawn(noop)
      assert.is_false(pcall(function() task.name = "other" end))
      assert.equal("task " .. task.id, task.name)
    end)
  end)

  it("of a task that does not exist is nil", function()
    helpers.run(function() assert.is_nil(co.current().no_such_field) end)
  end)
end)
