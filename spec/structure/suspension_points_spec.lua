local co = require "coropanic"
local helpers = require "spec.helpers"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

--- The record of a child that panics while `wait(child)` is what its parent does.
local function record_of_child(wait)
  local record
  helpers.run(function()
    local parent = co.spawn_with({ name = "parent" }, function()
      local child = co.spawn_with({ name = "child" }, function()
        co.sleep(1)
        record = helpers.record_of(co.panic, "x")
      end)
      wait(child)
    end)
    co.sleep(10)
    parent:cancel()
  end)
  return record
end

describe("record.suspension_points", function()
  co_it("is an empty list when nobody is parked", seeded, function()
    assert.same({}, helpers.record_of(co.panic, "x").suspension_points)
  end)

  it("is an empty list outside tasks", function()
    assert.same({}, helpers.record_of(co.panic, "x").suspension_points)
  end)

  it("says what the parent was parked on, and where", function()
    local at, child_id
    local record = record_of_child(function(child)
      child_id = child.id
      at = helpers.here(1)
      child:join()
    end)
    local point = record.suspension_points[1]
    assert.same({ "parent", "parent", "join", at },
      { point.task, point.relation, point.operation, point.where })
    assert.equal(('join of task %d "child"'):format(child_id), point.waiting_on)
  end)

  it("has the parent's id", function()
    local id
    local record = record_of_child(function(child)
      id = co.current().id
      child:join()
    end)
    assert.equal(id, record.suspension_points[1].id)
  end)

  it("knows the operations", function()
    local waits = {
      join = function(child) child:join() end,
      sleep = function() co.sleep(100) end,
      await = function() co.await(function() end) end,
      ["end of scope"] = function()
        co.scope(function(s) s:spawn(co.sleep, 100) end)
      end,
      receive = function() co.chan():recv() end,
      send = function() co.chan():send(1) end,
      select = function() co.select(nil, co.chan()) end,
    }
    for operation, wait in pairs(waits) do
      assert.equal(operation, record_of_child(wait).suspension_points[1].operation)
    end
  end)

  co_it("lists the ancestors, the nearest first", seeded, function()
    local record
    co.scope(function()
      co.spawn_with({ name = "grandparent" }, function()
        co.spawn_with({ name = "parent" }, function()
          co.spawn_with({ name = "child" }, function()
            co.yield()
            record = helpers.record_of(co.panic, "x")
          end):join()
        end):join()
      end):join()
    end)
    local names, relations = {}, {}
    for i, point in ipairs(record.suspension_points) do
      names[i], relations[i] = point.task, point.relation
    end
    assert.same({ "parent", "grandparent", "main" }, names)
    assert.same({ "parent", "parent", "parent" }, relations)
  end)

  co_it("leaves out ancestors that are not parked", seeded, function()
    local record
    co.scope(function()
      co.spawn_with({ name = "ended" }, co.spawn, function()
        co.sleep(1)
        record = helpers.record_of(co.panic, "x")
      end)
      co.sleep(10)
    end)
    local points = record.suspension_points
    assert.equal(1, #points)
    assert.same({ "main", "sleep" }, { points[1].task, points[1].operation })
  end)

  co_it("lists those that wait for the task after its ancestors, in the order in which they came", function()
    local record
    co.scope(function()
      local child = co.spawn(function()
        co.sleep(1)
        record = helpers.record_of(co.panic, "x")
      end)
      for _, name in ipairs { "first", "second" } do
        co.spawn_with({ name = name }, child.join, child)
      end
      co.sleep(10)
    end)
    local seen = {}
    for i, point in ipairs(record.suspension_points) do
      seen[i] = point.relation .. " " .. point.task
    end
    assert.same({ "parent main", "awaiter first", "awaiter second" }, seen)
  end)

  it("lists a parent that joins the task once, as its parent", function()
    local record = record_of_child(function(child) child:join() end)
    local count = 0
    for _, point in ipairs(record.suspension_points) do
      count = count + (point.task == "parent" and 1 or 0)
    end
    assert.equal(1, count)
  end)

  co_it("is of the moment of the panic, not of later", seeded, function()
    local record
    co.spawn(function()
      record = helpers.record_of(co.panic, "x")
    end)
    co.sleep(1)
    co.yield()
    assert.equal("sleep", record.suspension_points[1].operation)
  end)

  co_it("is not of waiters that went away before", seeded, function()
    local record
    local child = co.spawn(function()
      co.sleep(5)
      record = helpers.record_of(co.panic, "x")
    end)
    co.spawn_with({ name = "impatient" }, child.join, child, 1)
    child:join()
    assert.equal(1, #record.suspension_points)
    assert.equal("main", record.suspension_points[1].task)
  end)

  co_it("is in the record of a task in a scope: its parent waits for the scope's end", seeded, function()
    local record = helpers.record_of(co.scope, function(s)
      s:spawn(function()
        co.yield()
        co.panic "x"
      end)
    end)
    local point = record.cause.suspension_points[1]
    assert.same({ "main", "parent", "end of scope" }, { point.task, point.relation, point.operation })
    helpers.assert_contains("scope (1 task:", point.waiting_on)
  end)

  co_it("is bounded", seeded, function()
    local record
    co.scope(function()
      local child = co.spawn(function()
        co.sleep(1)
        record = helpers.record_of(co.panic, "x")
      end)
      for _ = 1, 500 do
        co.spawn(child.join, child)
      end
    end)
    assert.is_true(#record.suspension_points > 1 and #record.suspension_points < 100)
  end)

  it("is in the report and in the JSON form", function()
    local at
    local record = record_of_child(function(child)
      at = helpers.here(1)
      child:join()
    end)
    local text = tostring(record)
    helpers.assert_contains('"parent"', text)
    helpers.assert_contains(at, text)
    local plain = record:to_table().suspension_points[1]
    assert.same({ "parent", "join", at }, { plain.task, plain.operation, plain.where })
  end)
end)
