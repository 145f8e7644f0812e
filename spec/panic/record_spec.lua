local cjson = require "cjson"
local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local record_of = helpers.record_of

--- The record that a task ends with which panics with `value`.
local function record_of_task(value)
  local record
  helpers.run(function()
    local task = co.spawn_with({ name = "worker" }, function() co.panic(value) end)
    record = select(2, task:join())
  end)
  return record
end

describe("a panic record", function()
  describe("tells what was raised:", function()
    it("value is the identical value", function()
      local value = setmetatable({}, { __eq = function() return true end })
      assert.is_true(rawequal(value, record_of(co.panic, value).value))
    end)

    it("value keeps nil and false", function()
      assert.is_nil(record_of(co.panic, nil).value)
      assert.is_false(record_of(co.panic, false).value)
    end)

    it("type is the value's Lua type", function()
      for _, value in ipairs { "text", 1, true, {}, print } do
        assert.equal(type(value), record_of(co.panic, value).type)
      end
      assert.equal("nil", record_of(co.panic, nil).type)
    end)

    it("type is the __name of a value that has one", function()
      assert.equal("my.Error", record_of(co.panic, setmetatable({}, { __name = "my.Error" })).type)
    end)

    it("message is a string as it is", function()
      assert.equal("no such file", record_of(co.panic, "no such file").message)
    end)

    it("message is a number's text", function()
      assert.equal("42", record_of(co.panic, 42).message)
      assert.equal(tostring(1.0), record_of(co.panic, 1.0).message)
    end)

    it("message is what __tostring says", function()
      local value = setmetatable({}, { __tostring = function() return "out of paper" end })
      assert.equal("out of paper", record_of(co.panic, value).message)
    end)

    it("message is the message field of a table", function()
      helpers.assert_contains("out of paper", record_of(co.panic, { message = "out of paper" }).message)
    end)

    it("message of co.panic(nil) says that nil was raised", function()
      local message = record_of(co.panic, nil).message
      assert.is_string(message)
      helpers.assert_contains("nil", message)
    end)

    it("kind is panic for co.panic", function() assert.equal("panic", record_of(co.panic, "x").kind) end)

    it("kind is error for error", function() assert.equal("error", record_of(error, "x").kind) end)

    it("kind is error for an error of the VM", function()
      assert.equal("error", record_of(function() return {} .. "" end).kind)
    end)

    it("error_code is the code of a table that has one", function()
      assert.equal("E_PAPER", record_of(co.panic, { code = "E_PAPER" }).error_code)
    end)

    it("error_code of a numeric code is its text", function()
      assert.equal("507", record_of(error, { code = 507 }).error_code)
    end)

    it("error_code is made of the kind else", function()
      assert.equal("coropanic.panic", record_of(co.panic, "x").error_code)
      assert.equal("coropanic.panic", record_of(co.panic, { code = "" }).error_code)
      assert.equal("coropanic.panic", record_of(co.panic, { code = 0 / 0 }).error_code)
      assert.equal("table", record_of(co.panic, { code = "" }).message)
      assert.equal("coropanic.error", record_of(error, "x").error_code)
    end)
  end)

  describe("tells where:", function()
    it("frames begins with the function that panicked", function()
      local function thrower() co.panic "x" end
      local line = debug.getinfo(thrower, "S").linedefined
      local frame = record_of(function() thrower() end).frames[1]
      assert.matches("record_spec%.lua$", frame.source)
      assert.same({ line, "thrower", "Lua" }, { frame.line, frame.name, frame.what })
    end)

    it("frames of a panic are its own, although another one came the same way", function()
      local first, second
      for _ = 1, 2 do first, second = second, record_of(function() co.panic "x" end) end
      first.frames[1].line, first.frames[1].name = 0, "changed"
      assert.not_same(first.frames[1], second.frames[1])
    end)

    it("frames tell two panics apart that begin at one place and came different ways", function()
      local function thrower() co.panic "x" end
      local function one() thrower() error "not here" end
      local function other() thrower() error "not here" end
      for _ = 1, 2 do
        assert.equal("one", record_of(function() one() error "not here" end).frames[2].name)
        assert.equal("other", record_of(function() other() error "not here" end).frames[2].name)
      end
    end)

    it("frames begins with the function that called error", function()
      local function thrower() error "x" end
      local frame = record_of(function() thrower() end).frames[1]
      assert.equal("thrower", frame.name)
    end)

    it("frames begins with the function that the VM stopped", function()
      local function thrower() return nil + 1 end
      local frame = record_of(function() local _ = thrower() end).frames[1]
      assert.equal("thrower", frame.name)
    end)

    it("frames has the C function that raised", function()
      local frames = record_of(function() string.rep() end).frames
      assert.equal("C", frames[1].what)
      assert.equal("rep", frames[1].name)
      assert.equal("Lua", frames[2].what)
    end)

    it("frames go from the inside to the outside", function()
      local function inner() co.panic "x" end
      local function outer()
        inner()
      end
      local frames = record_of(function() outer() end).frames
      assert.equal("inner", frames[1].name)
      assert.equal("outer", frames[2].name)
    end)

    it("frames has those that had been unwound when it was caught", function()
      local inner = co.func(function() co.panic "x" end)
      local function middle() inner() end
      local names = {}
      for _, frame in ipairs(record_of(co.func(function() middle() end)).frames) do
        names[frame.name or "?"] = true
      end
      assert.is_true(names.middle)
    end)

    it("frames is the same for any value, tables without text too", function()
      local function thrower() error {} end
      assert.equal("thrower", record_of(function() thrower() end).frames[1].name)
    end)

    it("frames stays within bounds, and the text says how many were left out", function()
      local function dive(n)
        if n == 0 then
          co.panic "bottom"
        end
        dive(n - 1)
      end
      local record = record_of(dive, 3000)
      assert.is_true(#record.frames > 2 and #record.frames < 300)
      assert.equal("dive", record.frames[1].name)
      helpers.assert_contains(record.frames.omitted .. " frames left out", tostring(record))
    end)
  end)

  describe("tells who:", function()
    co_it("task has the id and name of the task that panicked, and how it ended", seeded, function()
      local task, record
      task = co.spawn_with({ name = "worker" }, co.panic, "x")
      record = select(2, task:join())
      assert.equal(task.id, record.task.id)
      assert.equal("worker", record.task.name)
      assert.equal("panicked", record.task.status)
    end)

    it("task is nil outside tasks", function() assert.is_nil(record_of(co.panic, "x").task) end)

    co_it("task is the one that panicked, not the one that catches", seeded, function()
      local record
      local child = co.spawn_with({ name = "child" }, co.panic, "x")
      record = record_of(function() child:await() end).cause
      assert.equal("child", record.task.name)
    end)

    co_it("ancestors goes from the parent to the root, with where each was spawned", seeded, function()
      local record, at
      co.scope(function()
        co.spawn_with({ name = "parent" }, function()
          local child = co.spawn_with({ name = "child" }, co.panic, "x")
          record = select(2, child:join())
        end)
        at = helpers.here(-4)
      end)
      assert.same({ "parent", "main" }, { record.ancestors[1].name, record.ancestors[2].name })
      assert.equal(2, #record.ancestors)
      assert.equal(at, record.ancestors[1].spawned_at)
      assert.is_true(record.ancestors[2].id < record.ancestors[1].id)
    end)

    it("ancestors is the task's", function()
      local record = record_of_task "x"
      assert.same(record.ancestors, record.task.ancestors)
      assert.equal(1, #record.ancestors)
    end)

    co_it("ancestors stays within bounds", seeded, function()
      local record
      local function descend(n)
        if n == 0 then
          co.panic "x"
        end
        local _, cause = co.spawn(descend, n - 1):join()
        record = record or cause
      end
      descend(200)
      assert.is_true(#record.ancestors > 0)
      assert.equal(200, #record.ancestors + record.ancestors.omitted)
      helpers.assert_contains(record.ancestors.omitted .. " ancestors left out", tostring(record))
    end)
  end)

  describe("tells for which request:", function()
    it("trace_flags are those of its trace", function()
      for flags, sampled in pairs { ["00"] = "00", ["01"] = "01", ["03"] = "03" } do
        local headers = { traceparent = ("00-%032x-%016x-%s"):format(5, 6, flags) }
        local _, record = co.trace.continue(headers, co.pcall, co.panic, "x")
        assert.equal(sampled, record.trace_flags)
        assert.equal(sampled, record:to_table().trace_flags)
      end
    end)

    co_it("trace_id, span_id and parent_span_id are those of the task that panicked", seeded, function()
      local task, record
      task = co.spawn(co.panic, "x")
      record = select(2, task:join())
      assert.equal(co.current().span_id, record.parent_span_id)
      assert.equal(task.trace_id, record.trace_id)
      assert.equal(task.span_id, record.span_id)
    end)

    it("the ids are lower-case hex digits: 32 for a trace, 16 for a span", function()
      local record = record_of_task "x"
      assert.matches("^" .. ("[0-9a-f]"):rep(32) .. "$", record.trace_id)
      assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", record.span_id)
      assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", record.parent_span_id)
    end)

    it("outside tasks the main thread has ids too", function()
      assert.equal(co.trace.current().trace_id, record_of(co.panic, "x").trace_id)
    end)
  end)

  describe("tells when:", function()
    it("time is the wall clock's in nanoseconds", function()
      local time = record_of(co.panic, "x").time
      assert.equal("integer", math.type(time))
      assert.is_true(math.abs(time / 1e9 - os.time()) < 5)
    end)

    it("seq grows from record to record", function()
      local first, second = record_of(co.panic, "x"), record_of(co.panic, "x")
      assert.equal("integer", math.type(first.seq))
      assert.is_true(first.seq < second.seq)
    end)
  end)

  describe("has a stack hash", function()
    --- Records of the panics of programs, each given as path and text; its function `entry` panics.
    local function records_of(programs)
      local records = {}
      for i, program in ipairs(programs) do
        local entry = assert(load(program.text, "@" .. program.path))(co)
        records[i] = record_of(entry, program.argument)
      end
      return records
    end

    local program = [[
      local co = ...
      local function thrower() co.panic "x" end
      return function() thrower() end
    ]]

    it("of 16 hex digits, as has the full stack, and the version of both", function()
      local record = record_of(co.panic, "x")
      assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", record.stack_hash)
      assert.matches("^" .. ("[0-9a-f]"):rep(16) .. "$", record.stack_hash_full)
      assert.equal(2, record.hash_version)
    end)

    it("that is the same whatever the value", function()
      local records = {}
      for i, value in ipairs { "x", 1 } do
        records[i] = record_of(co.panic, value)
      end
      assert.equal(records[1].stack_hash, records[2].stack_hash)
      assert.equal(records[1].stack_hash_full, records[2].stack_hash_full)
    end)

    it("that is the same wherever the program is installed", function()
      local one, other = table.unpack(records_of {
        { path = "/home/ada/app/server.lua", text = program },
        { path = "/srv/server.lua", text = program },
      })
      assert.equal(one.stack_hash, other.stack_hash)
      assert.equal(one.stack_hash_full, other.stack_hash_full)
    end)

    it("that is the same on file systems that know no case", function()
      local one, other = table.unpack(records_of {
        { path = "server.lua", text = program },
        { path = "Server.LUA", text = program },
      })
      assert.equal(one.stack_hash, other.stack_hash)
    end)

    it("that is the same when lines move", function()
      local one, other = table.unpack(records_of {
        { path = "server.lua", text = program },
        { path = "server.lua", text = "\n\n\n" .. program },
      })
      assert.equal(one.stack_hash, other.stack_hash)
      assert.equal(one.stack_hash_full, other.stack_hash_full)
    end)

    it("that is the same for any depth of a direct recursion", function()
      local text = [[
        local co = ...
        local function dive(n)
          if n == 0 then co.panic "bottom" end
          dive(n - 1)
        end
        return function(n) dive(n) end
      ]]
      local one, other = table.unpack(records_of {
        { path = "server.lua", text = text, argument = 3 },
        { path = "server.lua", text = text, argument = 11 },
      })
      assert.equal(one.stack_hash, other.stack_hash)
    end)

    it("that differs when another function panics", function()
      local one, other = table.unpack(records_of {
        { path = "server.lua", text = program },
        { path = "server.lua", text = (program:gsub("thrower", "catcher")) },
      })
      assert.not_equal(one.stack_hash, other.stack_hash)
      assert.not_equal(one.stack_hash_full, other.stack_hash_full)
    end)

    it("that differs when the function is in another file", function()
      local one, other = table.unpack(records_of {
        { path = "server.lua", text = program },
        { path = "client.lua", text = program },
      })
      assert.not_equal(one.stack_hash, other.stack_hash)
    end)
  end)

  it("can not be changed", function()
    local record = record_of(co.panic, "x")
    assert.is_false(pcall(function() record.value = "y" end))
    assert.is_false(pcall(function() record.note = "y" end))
    assert.equal("x", record.value)
  end)

  it("never writes to the value", function()
    local value = setmetatable({}, { __newindex = function() error "written to" end })
    local record = record_of_task(value)
    assert.is_string(tostring(record))
    record:to_table()
    assert.is_nil(next(value))
    assert.equal(value, record.value)
  end)

  it("has no field of another name", function() assert.is_nil(record_of(co.panic, "x").no_such_field) end)
end)

describe("record:to_table()", function()
  --- Fails unless JSON can say it: strings of UTF-8, finite numbers, booleans, and tables of these.
  local function assert_plain(value, depth)
    local kind = type(value)
    assert(depth < 50, "nested too deeply, or a cycle")
    if kind == "table" then
      for key, item in pairs(value) do
        local is_index = math.type(key) == "integer" and key >= 1 and key <= #value
        assert(is_index or type(key) == "string" and #value == 0, "neither an array nor an object")
        assert_plain(key, depth + 1)
        assert_plain(item, depth + 1)
      end
    elseif kind == "number" then
      assert(value == value and math.abs(value) < math.huge, "not finite")
    elseif kind == "string" then
      assert(utf8.len(value), "not UTF-8")
    else
      assert.equal("boolean", kind)
    end
  end

  local function json_of(value)
    local plain = record_of_task(value):to_table()
    assert_plain(plain, 0)
    return cjson.decode(cjson.encode(plain))
  end

  it("names the version of its contract", function()
    assert.equal("coropanic/1", record_of(co.panic, "x"):to_table().contract)
  end)

  it("says what the record says", function()
    local record = record_of_task { code = "E_PAPER", message = "out of paper" }
    local plain = record:to_table()
    for _, name in ipairs {
      "kind", "type", "message", "error_code", "trace_id", "span_id", "parent_span_id", "seq",
      "stack_hash", "stack_hash_full", "hash_version", "recovered",
    } do
      assert.equal(record[name], plain[name], name)
    end
    assert.same({ code = "E_PAPER", message = "out of paper" }, plain.value)
    assert.equal("worker", plain.task.name)
    assert.equal("panicked", plain.task.status)
    assert.equal(#record.frames, #plain.frames)
    assert.equal(record.frames[1].line, plain.frames[1].line)
  end)

  it("has the chain", function()
    local record = record_of(co.func(function()
      co.defer(co.panic, "B")
      co.panic "A"
    end))
    local chain = record:to_table().chain
    assert.equal(1, #chain)
    assert.equal("A", chain[1].message)
    assert.is_false(chain[1].recovered)
  end)

  co_it("has the cause", seeded, function()
    local record
    local child = co.spawn(co.panic, "x")
    record = record_of(function() child:await() end)
    assert.equal(record.cause.seq, record:to_table().cause.seq)
  end)

  local cyclic = {}
  cyclic.itself = cyclic
  local deep = {}
  for _ = 1, 2000 do
    deep = { deep }
  end
  local wide = {}
  for i = 1, 100000 do
    wide[i] = i
  end

  for name, value in pairs {
    ["a function"] = print,
    ["a coroutine"] = coroutine.create(function() end),
    ["a userdata"] = io.stdout,
    ["a cyclic table"] = cyclic,
    ["a table that nests 2000 deep"] = deep,
    ["a table of 100000 entries"] = wide,
    ["a sparse array"] = { [1] = "a", [1000000] = "b" },
    ["a table of list and named entries"] = { "a", "b", name = "c" },
    ["a table with keys of all types"] = { [true] = 1, [1.5] = 2, [print] = 3, [{}] = 4 },
    ["a table with NaN and infinities"] = { 0 / 0, math.huge, -math.huge },
    ["a number that is none"] = 0 / 0,
    ["a string that is not UTF-8"] = "caf\233 \240(\140\188 \237\160\128",
    ["a table with strings that are not UTF-8"] = { ["\255"] = "\254" },
    ["a string with control characters"] = "a\0b\27[31m\127\r\n",
    ["a string of megabytes"] = ("é"):rep(1000000),
    ["a table that throws when it is read"] = setmetatable({}, {
      __index = function() error "read" end,
      __pairs = function() error "walked" end,
      __len = function() error "measured" end,
      __tostring = function() error "printed" end,
    }),
  } do
    it("can be encoded as JSON when the value is " .. name, function()
      local decoded = json_of(value)
      assert.equal("coropanic/1", decoded.contract)
      assert.equal("worker", decoded.task.name)
      assert.is_string(decoded.message)
    end)
  end

  it("bounds what a value may take", function()
    assert.is_true(#cjson.encode(record_of_task(("x"):rep(10 ^ 6)):to_table()) < 100000)
    assert.is_true(#cjson.encode(record_of_task(wide):to_table()) < 100000)
  end)
end)
