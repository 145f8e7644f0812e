-- Lua's load makes errors its results; in a frame too they are what was raised.

local co = require "coropanic"
local helpers = require "spec.helpers"

describe("load in a frame", function()
  local function reader_that_raises() error("no more pieces", 0) end

  for name, call in pairs {
    ["co.call"] = co.call,
    ["co.func"] = function(fn) return co.func(fn)() end,
    ["co.pcall"] = function(fn) return select(2, co.pcall(fn)) end,
    ["a task"] = function(fn) return helpers.run(fn) end,
    ["a deferred call"] = function(fn)
      local result
      co.call(function()
        co.defer(function() result = fn() end)
      end)
      return result
    end,
  } do
    it("gives the error of its reader as it was raised, in " .. name, function()
      local before = co.stats().panics
      assert.equal("no more pieces", call(function() return (select(2, load(reader_that_raises))) end))
      local message = call(function() return (select(2, load(function() return nil + 1 end))) end)
      assert.matches("attempt to perform arithmetic on a nil value", message)
      assert.equal("string", type(message))
      assert.equal(before, co.stats().panics)
    end)
  end

  it("gives a value that is no string as it was raised", function()
    local value = {}
    co.call(function() assert.equal(value, (select(2, load(function() error(value) end)))) end)
  end)

  it("gives what is wrong with the result of a reader as plain Lua does", function()
    for _, piece in ipairs { {}, true } do
      local function load_piece() return load(function() return piece end) end
      local _, expected = coroutine.wrap(load_piece)()
      local before = co.stats().panics
      local _, message = co.call(function() return load_piece() end)
      assert.equal(expected, message)
      assert.equal(before, co.stats().panics)
    end
  end)

  it("gives what the reader's own pcall has not caught", function()
    co.call(function()
      local _, message = load(function()
        assert.is_false(pcall(error, "inner"))
        error("outer", 0)
      end)
      assert.equal("outer", message)
    end)
  end)

  it("gives the parser's overflow of C calls to the letter", function()
    local nested = "return " .. ("("):rep(190) .. "1" .. (")"):rep(190)
    local function at(depth)
      if depth == 0 then return load(nested) end
      return co.call(at, depth - 1)
    end
    local _, message = at(60)
    assert.equal("C stack overflow", message)
  end)

  it("raises what is wrong with its arguments as a panic with a stack", function()
    local record = helpers.record_of(function() load(5, {}) end)
    assert.matches("bad argument #2 to 'load'", record.message)
    assert.is_true(#record.frames > 0)
  end)

  it("does not hide a panic that passes a frame inside the reader", function()
    co.call(function()
      local _, message = load(function() co.call(error, "in a frame") end)
      assert.equal("in a frame", message.value)
    end)
  end)
end)
