local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- The record that is left when "A" panics and `deferred` runs, the last one first.
local function panic_through(...)
  local deferred = table.pack(...)
  return helpers.record_of(co.func(function()
    for _, fn in ipairs(deferred) do
      co.defer(fn)
    end
    co.panic "A"
  end))
end

--- Values and marks of the chain, oldest first, then the record's own.
local function links_of(record)
  local links = {}
  for _, link in ipairs(record.chain) do
    links[#links + 1] = ("%s %s"):format(link.value, tostring(link.recovered))
  end
  links[#links + 1] = ("%s %s"):format(record.value, tostring(record.recovered))
  return links
end

local function panic_with(value)
  return function() co.panic(value) end
end

describe("the chain of a record", function()
  it("is empty when the panic replaced no other", function()
    assert.same({}, panic_through().chain)
  end)

  it("has the panic that a panic in a deferred call replaced", function()
    local record = panic_through(panic_with "B")
    assert.same({ "A false", "B false" }, links_of(record))
  end)

  it("has all replaced panics, oldest first", function()
    local record = panic_through(panic_with "C", panic_with "B")
    assert.same({ "A false", "B false", "C false" }, links_of(record))
  end)

  it("has errors as well as panics", function()
    local record = panic_through(function() error("B", 0) end)
    assert.same({ "A false", "B false" }, links_of(record))
    assert.equal("error", record.kind)
    assert.equal("panic", record.chain[1].kind)
  end)

  it("consists of records, each with its own account", function()
    local record = panic_through(panic_with "B")
    assert.equal("A", record.chain[1].message)
    assert.equal(record.trace_id, record.chain[1].trace_id)
    assert.is_true(record.chain[1].seq < record.seq)
    assert.not_equal(record.frames[1].line, record.chain[1].frames[1].line)
  end)

  it("marks a panic that had been recovered before the next", function()
    local record = panic_through(function()
      co.recover()
      co.panic "B"
    end)
    assert.same({ "A true", "B false" }, links_of(record))
  end)

  it("has a recovered panic that is raised again as a link of its own", function()
    local record = panic_through(function()
      local value = co.recover()
      co.panic(value)
    end)
    assert.same({ "A true", "A false" }, links_of(record))
  end)

  co_it("is empty when a recovered panic is raised again later: that is the cause of a new one",
    seeded, function()
    local recovered
    co.call(function()
      co.defer(function() recovered = select(2, co.recover()) end)
      co.panic "A"
    end)
    local record = helpers.record_of(co.call, error, recovered)
    assert.same({ "A false" }, links_of(record))
    assert.equal(recovered, record.cause)
  end)

  co_it("is empty when another task's panic is raised again: that is the cause of a new one",
    seeded, function()
    local _, first = co.spawn(co.panic, "A"):join()
    local record = helpers.record_of(error, first)
    assert.equal(co.current().id, record.task.id)
    assert.equal(first, record.cause)
    assert.same({}, record.chain)
  end)

  it("has not the panic that a deferred call raised and recovered itself", function()
    local record = panic_through(function()
      co.defer(function() co.recover() end)
      co.panic "B"
    end)
    assert.same({ "A false" }, links_of(record))
  end)

  it("passes from an inner frame to an outer one", function()
    local record = helpers.record_of(co.func(function()
      co.defer(co.panic, "C")
      co.call(function()
        co.defer(co.panic, "B")
        co.panic "A"
      end)
    end))
    assert.same({ "A false", "B false", "C false" }, links_of(record))
  end)

  it("is empty after the panics before have been recovered", function()
    local record = helpers.record_of(co.func(function()
      co.call(function()
        co.defer(function() co.recover() end)
        co.panic "A"
      end)
      co.panic "B"
    end))
    assert.same({ "B false" }, links_of(record))
  end)

  it("stays within bounds, and the text says how much was left out", function()
    local record = helpers.record_of(co.func(function()
      for i = 1, 300 do
        co.defer(co.panic, i)
      end
      co.panic "A"
    end))
    assert.equal(1, record.value)
    assert.is_true(#record.chain > 0)
    assert.equal(300, #record.chain + record.chain.omitted)
    helpers.assert_contains(record.chain.omitted .. " older panics left out", tostring(record))
  end)
end)

describe("a chain's text", function()
  --- What stands above the first empty line.
  local function head_of(record)
    return tostring(record):match "^(.-)\n\n"
  end

  it("is one line for one panic", function() assert.equal("panic: A", head_of(panic_through())) end)

  it("has a line for each panic, oldest first, the later ones indented by a tab", function()
    assert.equal("panic: A\n\tpanic: B\n\tpanic: C", head_of(panic_through(panic_with "C", panic_with "B")))
  end)

  it("says which panics had been recovered", function()
    local record = panic_through(function()
      co.recover()
      co.panic "B"
    end)
    assert.equal("panic: A [recovered]\n\tpanic: B", head_of(record))
  end)

  it("shows a panic that was recovered and raised again once", function()
    local record = panic_through(function()
      local value = co.recover()
      co.panic(value)
    end)
    assert.equal("panic: A [recovered, repanicked]", head_of(record))
  end)

  it("shows two different panics of equal text as two", function()
    local function text(word)
      return setmetatable({}, { __tostring = function() return word end })
    end
    local record = helpers.record_of(co.func(function()
      co.defer(function()
        co.recover()
        co.panic(text "same")
      end)
      co.panic(text "same")
    end))
    assert.equal("panic: same [recovered]\n\tpanic: same", head_of(record))
  end)
end)
