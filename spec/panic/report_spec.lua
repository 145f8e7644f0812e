local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = helpers.co_it(it)

local contains = helpers.assert_contains

--- A program with a child that panics and that nobody joins.
local unjoined_child = [[
local co = require "coropanic"
co.run(function()
  co.spawn_with({ name = "worker" }, function() co.panic "boom" end)
end)
print "goes on"
]]

describe("tostring(record)", function()
  local record, text, lines, worker_spawned_at, frame

  setup(function()
    helpers.run(function()
      local function thrower() co.panic "out of paper" end
      frame = helpers.here(-1)
      local worker = co.spawn_with({ name = "worker" }, function() thrower() end)
      worker_spawned_at = helpers.here(-1)
      record = select(2, worker:join())
    end)
    text = tostring(record)
    lines = helpers.lines_of(text)
  end)

  it("begins with the panic as Go prints it, then an empty line", function()
    assert.same({ "panic: out of paper", "" }, { lines[1], lines[2] })
  end)

  it("names the task next, with its id", function()
    contains(('task %d "worker" panicked'):format(record.task.id), lines[3])
  end)

  it("has the trace id, so that one can search for it", function() contains(record.trace_id, text) end)

  it("has the stack, with file, line and function", function()
    assert.matches(frame:gsub("%p", "%%%0") .. "%s+in thrower", text)
  end)

  it("says where the task was spawned, and by whom, up to the root", function()
    local main = record.ancestors[1]
    contains(('spawned at %s by task %d "main"'):format(worker_spawned_at, main.id), text)
    contains("spawned at " .. main.spawned_at .. " by main thread", text)
  end)

  it("is the same each time", function() assert.equal(text, tostring(record)) end)

  it("has no colour", function() helpers.assert_lacks("\27", text) end)

  co_it("has the account of the cause", function()
    local awaiting
    local child = co.spawn_with({ name = "child" }, co.panic, "x")
    awaiting = helpers.record_of(function() child:await() end)
    contains("caused by", tostring(awaiting))
    contains(('task %d "child" panicked'):format(awaiting.cause.task.id), tostring(awaiting))
  end)

  it("keeps the lines of a longer message below its first", function()
    local report = tostring(helpers.record_of(co.panic, "one\ntwo"))
    assert.matches("^panic: one\n\ttwo\n\n", report)
  end)

  it("shows control characters as text, so that a value can not write to the terminal", function()
    helpers.assert_lacks("\27", tostring(helpers.record_of(co.panic, "\27[2J")))
  end)

  it("stays within bounds whatever the value", function()
    assert.is_true(#tostring(helpers.record_of(co.panic, ("x"):rep(10 ^ 7))) < 50000)
  end)
end)

describe("the report", function()
  it("goes to stderr when a task panics and nobody joins it, and the program goes on", function()
    local result = helpers.run_script(unjoined_child)
    assert.equal("goes on\n", result.stdout)
    assert.equal(0, result.status)
    assert.matches('^panic: boom\n\ntask %d+ "worker" panicked', result.stderr)
  end)

  it("is written once", function()
    local _, count = helpers.run_script(unjoined_child).stderr:gsub("panic: boom", "")
    assert.equal(1, count)
  end)

  it("has no colour in a pipe", function()
    local result = helpers.run_script(unjoined_child, { environment = "TERM=xterm-256color" })
    contains("panic: boom", result.stderr)
    helpers.assert_lacks("\27", result.stderr)
  end)

  it("has no colour in a terminal with NO_COLOR set", function()
    local environment = "TERM=xterm NO_COLOR=1"
    local result = helpers.run_script(unjoined_child, { terminal = true, environment = environment })
    contains("panic: boom", result.stdout)
    helpers.assert_lacks("\27", result.stdout)
  end)

  it("has no colour in a dumb terminal", function()
    local result = helpers.run_script(unjoined_child, { terminal = true, environment = "TERM=dumb" })
    contains("panic: boom", result.stdout)
    helpers.assert_lacks("\27", result.stdout)
  end)

  it("has all that is said of several panics, one report after the other", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      co.run(function()
        for i = 1, 50 do
          co.spawn(co.panic, "boom " .. i)
        end
      end)
    ]]
    for i = 1, 50 do
      contains("panic: boom " .. i .. "\n", result.stderr)
    end
  end)
end)
