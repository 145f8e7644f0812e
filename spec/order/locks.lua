--- What the specs of co.order share: tasks that take locks, and what they are warned of.

local assert = require "luassert"
local co = require "coropanic"

local locks = {}

--- The file in which tasks take locks by `taking`, as warnings name it.
locks.HERE = debug.getinfo(1, "S").short_src

--- Runs the functions as tasks, one after the other. Returns the warnings that the handler gets.
function locks.warnings_of(...)
  local records = {}
  local tasks = { ... }
  co.run_with({ unhandled = function(record, task)
    assert.equal("warning", record.kind)
    assert.equal(co.current(), task)
    records[#records + 1] = record
  end }, function()
    for _, task in ipairs(tasks) do co.spawn(task):join() end
  end)
  return records
end

--- The function that takes the locks in this order, and gives them back.
function locks.taking(...)
  local objects = { ... }
  return function()
    for _, object in ipairs(objects) do object:lock() end
    for _, object in ipairs(objects) do object:unlock() end
  end
end

return locks
