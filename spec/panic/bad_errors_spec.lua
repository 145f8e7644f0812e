local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local record_of = helpers.record_of

--- The first line of a report.
local function first_line(record)
  return helpers.lines_of(tostring(record))[1]
end

local function with_tostring(fn)
  return setmetatable({}, { __tostring = fn })
end

local arguments = {}
for i = 1, 200 do
  arguments[i] = i
end

local function dive(...)
  return 1 + dive(...)
end

--- Overflows the stack, in few steps: each takes room for hundreds of values.
local function overflow()
  return 1 + dive(table.unpack(arguments))
end

describe("a stack overflow", function()
  it("ends as a record", function()
    local record = record_of(overflow)
    assert.equal("error", record.kind)
    helpers.assert_contains("stack overflow", record.message)
  end)

  it("can be recovered", function()
    local got
    co.call(function()
      co.defer(function() got = co.recover() end)
      overflow()
    end)
    helpers.assert_contains("stack overflow", got)
  end)

  co_it("ends its task alone", seeded, function()
    local lines, say = helpers.log()
    local ok, record = co.spawn(overflow):join()
    assert.is_false(ok)
    helpers.assert_contains("stack overflow", record.message)
    co.spawn(say, "another"):join()
    assert.same({ "another" }, lines)
  end)

  it("of frames within frames runs every deferred call once", function()
    local opened, closed = 0, 0
    local nest
    nest = co.func(function()
      co.defer(function() closed = closed + 1 end)
      opened = opened + 1
      nest()
    end)
    local record = record_of(nest)
    helpers.assert_contains("overflow", record.message)
    assert.is_true(opened > 10)
    assert.equal(opened, closed)
  end)

  it("is not what deferred calls come to that defer the next, thousands of times", function()
    local depth = 0
    local function defer_next()
      depth = depth + 1
      if depth < 5000 then
        co.defer(defer_next)
      end
    end
    co.call(defer_next)
    assert.equal(5000, depth)
  end)

  it("in a deferred call is a link of the chain", function()
    local record = record_of(co.func(function()
      co.defer(overflow)
      co.panic "x"
    end))
    helpers.assert_contains("stack overflow", record.message)
    assert.equal("x", record.chain[1].value)
  end)
end)

describe("a value whose __tostring", function()
  it("raises an error is reported as a fatal error, with that error", function()
    local record = record_of(co.panic, with_tostring(function() error("no words", 0) end))
    assert.equal("fatal error: panic while printing panic value: no words", first_line(record))
  end)

  it("panics is reported as a fatal error, with that panic", function()
    local record = record_of(co.panic, with_tostring(function() co.panic "in Error" end))
    assert.equal("fatal error: panic while printing panic value: in Error", first_line(record))
  end)

  it("raises an object without text is reported as a fatal error", function()
    local record = record_of(co.panic, with_tostring(function() error {} end))
    assert.matches("^fatal error: panic while printing panic value: %S", first_line(record))
  end)

  it("raises a value whose __tostring raises is reported as a fatal error", function()
    local worse = with_tostring(function() error("worse", 0) end)
    local record = record_of(co.panic, with_tostring(function() error(worse) end))
    assert.matches("^fatal error: panic while printing panic value: %S", first_line(record))
  end)

  it("returns no string is reported as a fatal error", function()
    local record = record_of(co.panic, with_tostring(function() return {} end))
    assert.matches("^fatal error: panic while printing panic value: .*string", first_line(record))
  end)

  it("never ends is reported as a fatal error", function()
    local record = record_of(co.panic, with_tostring(function(self) return (tostring(self)) end))
    assert.matches("^fatal error: panic while printing panic value: .*overflow", first_line(record))
  end)

  co_it("tries to suspend is reported as a fatal error, which names tostring", seeded, function()
    local task = co.spawn(co.panic, with_tostring(function() co.sleep(1) end))
    local _, record = task:join()
    assert.matches("^fatal error: panic while printing panic value: .*sleep", first_line(record))
  end)

  co_it("raises an error keeps the account of the task", seeded, function()
    local task = co.spawn_with({ name = "worker" }, co.panic, with_tostring(function() error "x" end))
    helpers.assert_contains('"worker" panicked', tostring(select(2, task:join())))
  end)

  it("raises an error can be recovered as any other", function()
    local value, got = with_tostring(function() error "x" end), nil
    co.call(function()
      co.defer(function() got = co.recover() end)
      co.panic(value)
    end)
    assert.is_true(rawequal(value, got))
  end)

  it("raises an error has a message all the same", function()
    assert.is_string(record_of(co.panic, with_tostring(function() error "x" end)).message)
  end)
end)

describe("an error object without text", function()
  it("is reported by its type", function()
    assert.equal("panic: table", first_line(record_of(error, {})))
  end)

  it("is reported by its __name, if it has one", function()
    local value = setmetatable({}, { __name = "my.Error" })
    assert.equal("panic: my.Error", first_line(record_of(error, value)))
  end)

  it("keeps its frames", function()
    local function thrower() error {} end
    assert.equal("thrower", record_of(function() thrower() end).frames[1].name)
  end)
end)

describe("a value", function()
  it("that is nil, raised by error, ends as a record", function()
    local record = record_of(error, nil)
    assert.equal("error", record.kind)
    assert.is_nil(record.value)
    assert.is_string(record.message)
  end)

  it("that is a function is reported by its type", function()
    assert.equal("panic: function", first_line(record_of(co.panic, print)))
  end)

  it("that refuses to be read is not read", function()
    local value = setmetatable({}, { __index = function() error "read" end })
    local record = record_of(co.panic, value)
    assert.equal("panic: table", first_line(record))
    assert.equal("coropanic.panic", record.error_code)
  end)

  it("whose metatable is protected is reported by its type", function()
    local value = setmetatable({}, { __metatable = "locked" })
    assert.equal("panic: table", first_line(record_of(co.panic, value)))
  end)

  it("whose __name is no string is reported by its type", function()
    local value = setmetatable({}, { __name = {} })
    assert.equal("panic: table", first_line(record_of(co.panic, value)))
  end)

  it("that contains itself is reported", function()
    local value = { message = "cyclic" }
    value.itself = value
    assert.equal("panic: cyclic", first_line(record_of(co.panic, value)))
  end)

  it("that is a string with a zero byte keeps it in the message", function()
    assert.equal("a\0b", record_of(co.panic, "a\0b").message)
    assert.matches("^panic: a.*b\n", tostring(record_of(co.panic, "a\0b")))
  end)

  it("that is a string of megabytes is cut in the report, which says so", function()
    assert.matches("%d+ bytes left out", tostring(record_of(co.panic, ("x"):rep(10 ^ 6))))
  end)
end)

describe("an error in a deferred call of an error", function()
  it("replaces it, and both are told", function()
    local record = record_of(co.func(function()
      co.defer(error, "second", 0)
      error("first", 0)
    end))
    assert.equal("second", record.value)
    assert.matches("^panic: first\n\tpanic: second\n\n", tostring(record))
  end)

  it("in each of many deferred calls leaves none of them out", function()
    local count = 0
    record_of(co.func(function()
      for _ = 1, 100 do
        co.defer(function()
          count = count + 1
          error "again"
        end)
      end
      error "first"
    end))
    assert.equal(100, count)
  end)
end)
