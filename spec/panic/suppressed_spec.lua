-- record:add_suppressed, with which policies keep the records of earlier attempts.

local co = require "coropanic"
local helpers = require "spec.helpers"

local function record_of(value)
  local _, record = co.pcall(error, value, 0)
  return record
end

describe("record:add_suppressed", function()
  it("adds records in their order, which the report and the table show", function()
    local last = record_of "last"
    last:add_suppressed(record_of "first")
    last:add_suppressed(record_of "second")
    assert.equal(2, #last.suppressed)
    assert.equal("first", last.suppressed[1].value)
    assert.equal("second", last.suppressed[2].value)
    assert.matches("suppressed:.*first.*second", tostring(last))
    assert.equal("second", last:to_table().suppressed[2].value)
  end)

  it("adds to the table that code has got already", function()
    local last = record_of "last"
    local seen = last.suppressed
    last:add_suppressed(record_of "first")
    assert.equal(1, #seen)
    assert.equal(seen, last.suppressed)
  end)

  it("adds behind those of a scope", function()
    co.run_with({ clock = "virtual" }, function()
      local _, record = co.pcall(co.scope, function(s)
        s:spawn(function()
          co.sleep(0.5)
          error("one", 0)
        end)
        s:spawn(function()
          co.defer(error, "two", 0)
          co.sleep(1)
        end)
      end)
      record:add_suppressed(record_of "three")
      assert.equal("two", record.suppressed[1].value)
      assert.equal("three", record.suppressed[2].value)
    end)
  end)

  it("counts the ones beyond 32", function()
    local last = record_of "last"
    for i = 1, 35 do last:add_suppressed(record_of(i)) end
    assert.equal(32, #last.suppressed)
    assert.equal(32, last.suppressed[32].value)
    assert.equal(3, last.suppressed.omitted)
  end)

  it("refuses what is no other record", function()
    local record = record_of "x"
    local expected = "bad argument #1 to 'add_suppressed' (coropanic.record expected, got "
    helpers.assert_error(expected .. "no value)", function() record:add_suppressed() end)
    helpers.assert_error(expected .. "string)", function() record:add_suppressed "x" end)
    helpers.assert_error("bad argument #1 to 'add_suppressed' (another record expected)",
      function() record:add_suppressed(record) end)
    assert.same({}, record.suppressed)
  end)
end)
