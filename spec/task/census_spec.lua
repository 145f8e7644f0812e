-- co.census: a count of very many tasks in slices.

local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = helpers.co_it(it)

local function count_all(census, slots)
  local steps = 1
  while census:step(slots) do steps = steps + 1 end
  return steps
end

local function groups_by_operation(census)
  local found = {}
  for _, group in ipairs(census:groups()) do found[group.operation or group.status] = group end
  return found
end

describe("co.census", function()
  co_it("counts what co.tasks lists", { seeds = 5 }, function()
    for i = 1, 50 do co.spawn_with({ daemon = true }, co.sleep, 60 + i) end
    co.yield()
    local census = co.census()
    count_all(census)
    assert.equal(51, (census:count()))
    assert.same(co.tasks(), census:tasks())
  end)

  co_it("looks at no more slots in a step than asked for", function()
    for _ = 1, 1000 do co.spawn_with({ daemon = true }, co.sleep, 60) end
    co.yield()
    local census = co.census()
    assert.is_true(count_all(census, 64) >= 1000 / 64)
    local small = co.census()
    small:step(64)
    assert.is_true(small:count() <= 64)
  end)

  co_it("keeps the oldest tasks", { seeds = 5 }, function()
    for _ = 1, 300 do co.spawn_with({ daemon = true }, co.sleep, 60) end
    co.yield()
    local census = co.census(20)
    count_all(census, 7)
    assert.same(table.move(co.tasks(), 1, 20, 1, {}), census:tasks())
  end)

  co_it("groups tasks of the same parent, place, status and wait", function()
    local jobs = co.chan()
    local oldest
    for _ = 1, 30 do
      local task = co.spawn_with({ daemon = true }, function() jobs:recv() end)
      oldest = oldest or task
    end
    for _ = 1, 5 do co.spawn_with({ daemon = true }, co.sleep, 60) end
    co.yield()
    local census = co.census()
    count_all(census)
    local groups = groups_by_operation(census)
    assert.same({ 30, oldest.id, co.current().id, "waiting" },
      { groups.receive.count, groups.receive.first, groups.receive.parent, groups.receive.status })
    assert.equal(5, groups.sleep.count)
    assert.equal(1, groups.running.count)
    assert.equal(oldest.spawned_at, groups.receive.spawned_at)
  end)

  co_it("counts in no group what is beyond 512 groups", function()
    for _ = 1, 600 do
      local parent = co.spawn_with({ daemon = true }, function()
        co.spawn_with({ daemon = true }, co.sleep, 60)
        co.sleep(60)
      end)
      assert(parent)
    end
    helpers.settle()
    local census = co.census()
    count_all(census)
    local live, others = census:count()
    assert.equal(1201, live)
    assert.equal(512, #census:groups())
    local grouped = 0
    for _, group in ipairs(census:groups()) do grouped = grouped + group.count end
    assert.equal(live, grouped + others)
  end)

  co_it("leaves out tasks that are spawned meanwhile, and those that end before it is asked", function()
    local task = co.spawn(co.sleep, 60)
    local census = co.census()
    co.spawn_with({ daemon = true }, co.sleep, 60)
    count_all(census)
    assert.equal(2, (census:count()))
    task:cancel()
    task:join()
    assert.same({ co.current() }, census:tasks())
  end)

  co_it("finds a live task by its id", function()
    local task = co.spawn(co.sleep, 60)
    assert.equal(task, co.census(0):find(task.id))
    assert.is_nil(co.census(0):find(task.id + 1))
    task:cancel()
    task:join()
    assert.is_nil(co.census(0):find(task.id))
  end)

  co_it("finds it in steps, and begins again after the last slot", function()
    local tasks = {}
    for i = 1, 100 do tasks[i] = co.spawn_with({ daemon = true }, co.sleep, 60) end
    local census = co.census(0)
    for _ = 1, 2 do
      local calls, found, more = 0
      repeat
        found, more = census:find(tasks[100].id, 10)
        calls = calls + 1
      until found or not more
      assert.equal(tasks[100], found)
      assert.is_true(calls >= 10)
    end
    repeat
      local found, more = census:find(tasks[100].id + 1, 7)
      assert.is_nil(found)
    until not more
    for _, task in ipairs(tasks) do task:cancel() end
  end)

  co_it("names the tasks that could end a wait", function()
    local mutex = co.mutex()
    local owner = co.spawn(function()
      mutex:lock()
      co.sleep(60)
    end)
    co.yield()
    local waiter = co.spawn(function() mutex:lock() end)
    local joiner = co.spawn(function() waiter:join() end)
    co.yield()
    local census = co.census(0)
    assert.same({ owner.id }, census:blockers(waiter))
    assert.same({ waiter.id }, census:blockers(joiner))
    assert.same({}, census:blockers(owner))
    owner:cancel()
  end)

  it("refuses what is no number of tasks, of slots, or no task", function()
    helpers.assert_error("bad argument #1 to 'census'", co.census, -1)
    helpers.assert_error("bad argument #1 to 'census'", co.census, 10001)
    helpers.assert_error("bad argument #1 to 'step'", function() co.census():step(0) end)
    helpers.assert_error("bad argument #1 to 'blockers'", function() co.census():blockers(1) end)
  end)
end)

describe("a watcher", function()
  it("hides no deadlock of the others, whatever it waits for", function()
    local socket = require "socket"
    local listener = assert(socket.bind("127.0.0.1", 0))
    local ok, record = pcall(co.run, function()
      co.spawn_with({ watcher = true }, co.sleep, 60)
      co.spawn_with({ watcher = true }, co.wait_fd, listener, "r")
      co.spawn_with({ watcher = true }, co.wait_fd, listener, "r", 60)
      co.chan():recv()
    end)
    listener:close()
    assert.same({ false, "deadlock" }, { ok, record.kind })
  end)

  it("is no deadlock while another task waits for a timer or a descriptor", function()
    co.run(function()
      co.spawn_with({ watcher = true }, co.sleep, 60)
      co.sleep(0.001)
    end)
    co.run(function()
      co.spawn_with({ watcher = true }, co.sleep, 60)
      local channel = co.chan()
      co.spawn(function()
        co.sleep(0.001)
        channel:send(1)
      end)
      assert.equal(1, channel:recv())
    end)
  end)

  it("ends with the run, whose end it does not hold up", function()
    local lines, say = helpers.log()
    co.run(function()
      co.spawn_with({ watcher = true }, function()
        co.defer(say, "the watcher ends")
        co.sleep(60)
      end)
      co.yield()
    end)
    assert.same({ "the watcher ends" }, lines)
  end)

  co_it("can not have a CPU budget", function()
    helpers.assert_error("option 'watcher' with 'cpu_budget'", co.spawn_with,
      { watcher = true, cpu_budget = 1 }, print)
  end)
end)
