--- `coropanic run`, as a process of its own.

local helpers = require "spec.helpers"

local run_on = helpers.run_command_on

--- What signals need: `kill(name)` sends one to the process at once, `kill_soon` while it sleeps.
local SIGNALS = [[
  local co = require "coropanic"
  local function kill(name) io.popen(("kill -%s $PPID"):format(name)):close() end
  local function kill_soon(name)
    io.popen(("(sleep 0.05; kill -%s $PPID) >/dev/null &"):format(name)):close()
  end
]]

describe("coropanic run", function()
  it("runs the script as the main task, and waits for the tasks that it spawns", function()
    local result = run_on({ "run" }, [[
      local co = require "coropanic"
      print(co.current().name)
      co.spawn(function()
        co.sleep(0.001)
        print "spawned"
      end)
    ]])
    assert.same({ stdout = "main\nspawned\n", stderr = "", status = 0 }, result)
  end)

  it("sets arg and ... as lua does", function()
    local result, path = run_on({ "run", "--seed", "7" }, [[
      print(arg[0], arg[1], arg[2], #arg, arg[-1], arg[-2], arg[-3], arg[-4])
      print(...)
    ]], { "--trace", "b c" })
    assert.equal("", result.stderr)
    assert.equal(path .. "\t--trace\tb c\t2\t7\t--seed\trun\tbin/coropanic\n--trace\tb c\n", result.stdout)
  end)

  it("takes what is behind -- for the script", function()
    local result = run_on({ "run", "--" }, "print 'ran'")
    assert.same({ stdout = "ran\n", stderr = "", status = 0 }, result)
  end)

  it("has the status that the script gives os.exit", function()
    assert.equal(5, run_on({ "run" }, "os.exit(5)").status)
    assert.equal(6, run_on({ "run" }, "os.exit(6, true)").status)
  end)

  it("ends with status 2 and the record where the script panics, after its deferred calls", function()
    local result = run_on({ "run" }, [[
      local co = require "coropanic"
      co.defer(print, "deferred")
      co.panic { code = "NO_TEA" }
    ]])
    assert.equal(2, result.status)
    assert.equal("deferred\n", result.stdout)
    helpers.assert_contains("NO_TEA", result.stderr)
    helpers.assert_contains('task 1 "main" panicked, trace ', result.stderr)
  end)

  it("ends with status 2 where all tasks are asleep", function()
    local result = run_on({ "run" }, "require('coropanic').chan():recv()")
    assert.equal(2, result.status)
    helpers.assert_contains("all tasks are asleep - deadlock!", result.stderr)
  end)

  it("reports the panic of another task, and has the status of the main task", function()
    local result = run_on({ "run" }, "require('coropanic').spawn(error, 'lost', 0)")
    assert.equal(0, result.status)
    helpers.assert_contains("panic: lost", result.stderr)
  end)

  it("ends with status 1 where the script does not compile, or is not there", function()
    local result, path = run_on({ "run" }, "local = 1")
    assert.equal(1, result.status)
    helpers.assert_contains("coropanic: " .. path .. ":1: ", result.stderr)
    result = helpers.run_command { "run", "/no/such/script.lua" }
    assert.same({
      stdout = "",
      stderr = "coropanic: cannot open /no/such/script.lua: No such file or directory\n",
      status = 1,
    }, result)
  end)

  it("takes ready tasks in the same order for the same seed, and in another for another one", function()
    local source = [[
      local co = require "coropanic"
      for i = 1, 8 do co.spawn(function() io.write(i, " ") end) end
    ]]
    local function order(seed) return run_on({ "run", "--seed=" .. seed }, source).stdout end
    local first = order(1)
    assert.equal(first, order(1))
    local seen = {}
    for seed = 2, 4 do seen[order(seed)] = true end
    seen[first] = nil
    assert.is_truthy(next(seen))
  end)
end)

describe("coropanic run --trace", function()
  --- The lines without times and ids.
  local function trace_of(source)
    local result = run_on({ "run", "--trace" }, source)
    local lines = helpers.lines_of(result.stderr)
    for i, line in ipairs(lines) do
      lines[i] = line:gsub("^ *[%d.]+ ms  ", ""):gsub("after [%d.]+ ms", "after T")
        :gsub("trace %x+$", "trace ID"):gsub("/[^ ]*/[^ /]*:(%d+:)", "%1")
    end
    return lines
  end

  it("prints spans, tasks among them, with their events and panics", function()
    assert.same({
      "main begins, task 1, trace ID",
      "  price begins (client), task 1 sku=42",
      '    cache miss level=2 text="a b"',
      "  price ends after T",
      "  child begins, task 2",
      "    panic in child: 6: no such host",
      "  child ends after T: 6: no such host",
      "  task 3 begins, task 3",
      "  task 3 ends after T, cancelled",
      "main ends after T",
    }, trace_of [[
      local co = require "coropanic"
      co.trace.span("price", { kind = "client", attributes = { sku = 42 } }, function()
        co.trace.event("cache miss", { text = "a b", level = 2 })
        co.sleep(0.001)
      end)
      local child = co.spawn_with({ name = "child" }, function() error "no such host" end)
      child:join()
      child = co.spawn(function() co.sleep(3) end)
      co.yield()
      child:cancel()
      child:join()
    ]])
  end)

  it("tells what is recovered", function()
    assert.same({
      "main begins, task 1, trace ID",
      "  panic in main: oops",
      "  recovered in main: oops",
      "main ends after T",
    }, trace_of [[
      local co = require "coropanic"
      co.call(function()
        co.defer(function() co.recover() end)
        co.panic "oops"
      end)
    ]])
  end)
end)

describe("Ctrl-C", function()
  it("cancels the main task; deferred calls run, and the process dies as the shell expects", function()
    local result = run_on({ "run" }, SIGNALS .. [[
      io.stdout:setvbuf "no"
      co.defer(print, "cleaned")
      co.spawn(function()
        co.defer(print, "the other one too")
        co.sleep(3600)
      end)
      kill_soon "INT"
      co.sleep(3600)
      print "not reached"
    ]])
    assert.same({
      stdout = "cleaned\nthe other one too\n",
      stderr = "coropanic: interrupted!\n",
      status = 130,
    }, result)
  end)
end)

describe("SIGQUIT", function()
  it("prints the stacks of all tasks each time, and the script goes on", function()
    local result = run_on({ "run" }, SIGNALS .. [[
      co.spawn_with({ name = "reader", daemon = true }, function() co.chan():recv() end)
      for _ = 1, 2 do
        kill "QUIT"
        co.sleep(0.001)
      end
      print "goes on"
    ]])
    assert.equal(0, result.status)
    assert.equal("goes on\n", result.stdout)
    local _, count = result.stderr:gsub("SIGQUIT: 2 tasks\n\n", "")
    assert.equal(2, count)
    helpers.assert_contains('task 1 "main" waiting on sleep', result.stderr)
    helpers.assert_contains('task 2 "reader" waiting, daemon on receive', result.stderr)
  end)

  it("does so while all tasks sleep", function()
    local result = run_on({ "run" }, SIGNALS .. [[
      local main, dump = co.current(), co.dump
      function co.dump()
        local text = dump()
        main:cancel "printed"
        return text
      end
      kill_soon "QUIT"
      co.sleep(3600)
    ]])
    helpers.assert_contains('SIGQUIT: 1 task\n\ntask 1 "main" waiting on sleep', result.stderr)
    helpers.assert_contains("printed", result.stderr)
    assert.equal(2, result.status)
  end)

  it("does not push a Ctrl-C aside that waits", function()
    local result = run_on({ "run" }, SIGNALS .. [[
      co.defer(print, "cleaned")
      co.spawn(function()
        kill "INT"
        kill "QUIT"
      end)
      co.sleep(3600)
    ]])
    helpers.assert_contains("SIGQUIT: ", result.stderr)
    helpers.assert_contains("coropanic: interrupted!\n", result.stderr)
    assert.equal("cleaned\n", result.stdout)
    assert.equal(130, result.status)
  end)

  it("kills if it comes again before a task has suspended", function()
    local result = run_on({ "run" }, SIGNALS .. [[
      kill "QUIT"
      kill "QUIT"
      print "not reached"
    ]])
    assert.equal("", result.stdout)
    assert.equal(131, result.status)
  end)
end)
