--- Tests of another framework: some inside a task, some by a loop of the host's own.
--- Run by `lua5.4 spec/embedded/luaunit_host.lua`.

local co = require "coropanic"
local lu = require "luaunit"

--- The test as the main task of a run. A failure leaves it as luaunit raised it.
local function in_run(test)
  return function(self)
    local ok, record = pcall(co.run, test, self)
    if not ok then
      error(record.value, 0)
    end
  end
end

--- The test as a task that a loop of ours steps, as a game does once a frame.
local function in_host_loop(test)
  return function(self)
    local task = co.spawn(test, self)
    local frames = 0
    while #co.tasks() > 0 do
      frames = frames + 1
      if frames > 100000 then
        error("the task does not end\n" .. co.dump())
      end
      co.step(0.001)
    end
    local ok, record = task:join()
    if not ok then
      error(record.value, 0)
    end
  end
end

local function returns_results()
  local task = co.spawn(function(...) return select("#", ...), ... end, nil, "b", nil)
  lu.assertEquals(table.pack(task:join()), { n = 5, true, 3, nil, "b", nil })
end

local function suspends_and_goes_on()
  local start = co.now()
  co.sleep(0.002)
  co.yield()
  lu.assertTrue(co.now() - start >= 0.002)
end

local function takes_turns()
  local order = {}
  local tasks = {}
  for i = 1, 2 do
    tasks[i] = co.spawn(function()
      for _ = 1, 2 do
        order[#order + 1] = i
        co.yield()
      end
    end)
  end
  for _, task in ipairs(tasks) do
    task:join()
  end
  lu.assertEquals(order, { 1, 2, 1, 2 })
end

local function recovers()
  local got
  co.call(function()
    co.defer(function() got = co.recover() end)
    error("lost", 0)
  end)
  lu.assertEquals(got, "lost")
end

local function runs_deferred_calls_of_a_cancelled_task()
  local released = 0
  local task = co.spawn(function()
    co.defer(function() released = released + 1 end)
    co.sleep(3600)
  end)
  co.yield()
  task:cancel()
  local ok, record = task:join()
  lu.assertFalse(ok)
  lu.assertEquals(record.kind, "cancelled")
  lu.assertEquals(released, 1)
end

local function bridges_callbacks()
  local callback
  local task = co.spawn(function() return co.await(function(resume) callback = resume end) end)
  co.yield()
  callback("called back")
  lu.assertEquals({ task:join() }, { true, "called back" })
end

local tests = {
  test_returns_results = returns_results,
  test_suspends_and_goes_on = suspends_and_goes_on,
  test_takes_turns = takes_turns,
  test_recovers = recovers,
  test_runs_deferred_calls_of_a_cancelled_task = runs_deferred_calls_of_a_cancelled_task,
  test_bridges_callbacks = bridges_callbacks,
}

local in_run_tests, in_host_loop_tests = {}, {}
for name, test in pairs(tests) do
  in_run_tests[name] = in_run(test)
  in_host_loop_tests[name] = in_host_loop(test)
end

--- The framework's own failures must come through a task as they are.
local failure_tests = {}

function failure_tests.test_come_through_a_run()
  lu.assertErrorMsgContains("expected: 2, actual: 1", in_run(function() lu.assertEquals(1, 2) end))
end

function failure_tests.test_come_through_a_host_loop()
  lu.assertErrorMsgContains("expected: 2, actual: 1", in_host_loop(function() lu.assertEquals(1, 2) end))
end

local runner = lu.LuaUnit.new()
os.exit(runner:runSuiteByInstances {
  { "in_a_run", in_run_tests },
  { "in_a_host_loop", in_host_loop_tests },
  { "failures", failure_tests },
})
