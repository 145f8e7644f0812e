-- Panics and to-be-closed variables: what these are given, and what they raise.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local record_of = helpers.record_of

describe("an error in a to-be-closed variable", function()
  it("is a record as any other", function()
    local record = record_of(co.func(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
    end))
    assert.equal("closing", record.value)
  end)

  co_it("of a task that panics is the task's", seeded, function()
    local _, record = co.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() error("closing", 0) end })
      co.panic "x"
    end):join()
    assert.equal("closing", record.value)
  end)
end)

describe("a to-be-closed variable", function()
  co_it("is given the record, in a task without frames as in a frame", function()
    local given = {}
    local function fail(key)
      local _ <close> = setmetatable({}, { __close = function(_, why) given[key] = why end })
      error "boom"
    end
    local _, of_frame = co.pcall(fail, "frame")
    local _, of_task = co.spawn(fail, "task"):join()
    assert.equal(of_frame, given.frame)
    assert.equal(of_task, given.task)
  end)

  it("may show the panic in flight to a deferred call: raised again it is a link, not the cause", function()
    local raised
    local record = helpers.record_of(co.func(function()
      co.defer(function() error(raised) end)
      local _ <close> = setmetatable({}, { __close = function(_, err) raised = err end })
      co.panic "A"
    end))
    assert.same({ value = "A", recovered = false }, { value = record.value, recovered = record.recovered })
    assert.equal(1, #record.chain)
    assert.same({ "A", false }, { record.chain[1].value, record.chain[1].recovered })
    assert.is_nil(record.cause)
  end)

  co_it("may panic in a frame while its task ends by an error: that chain is its own", seeded, function()
    local _, record = co.spawn(function()
      local _ <close> = setmetatable({}, {
        __close = function()
          co.call(function()
            co.defer(co.panic, "c")
            co.panic "b"
          end)
        end,
      })
      error("a", 0)
    end):join()
    assert.equal("c", record.value)
    assert.equal(1, #record.chain)
    assert.equal("b", record.chain[1].value)
  end)
end)
