--- Small programs of locks: made from a seed, run by tasks one after the other, and searched for a schedule
--- in which they deadlock.

local co = require "coropanic"

local programs = {}

local MAX_TASKS, MAX_OPERATIONS = 4, 6

--- A generator of random numbers from 1 to `n`. (Park and Miller 1988.)
local function generator(seed)
  local state = seed * 48271 % 2147483647
  return function(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
end

-- Kinds of objects: how many permits there are, how many each operation takes, and how it is called.
local KINDS = {
  mutex = { permits = 1, takes = { { amount = 1, take = "lock", give = "unlock" } } },
  rwmutex = {
    permits = 1000,
    takes = {
      { amount = 1000, take = "lock", give = "unlock" },
      { amount = 1, take = "rlock", give = "runlock" },
    },
  },
  pool = { permits = 2, again = true, takes = { { amount = 1, take = "acquire", give = "release" } } },
  permit = { permits = 1, takes = { { amount = 1, take = "acquire", give = "release" } } },
}

--- One task: takes objects and gives them back, in any order, and holds nothing at its end.
local function make_task(random, objects)
  local task, held = {}, {}
  local function amount_of(object)
    local amount = 0
    for _, h in ipairs(held) do amount = amount + (h.object == object and h.amount or 0) end
    return amount
  end
  local function may_take(object)
    local kind = KINDS[objects[object]]
    local amount = amount_of(object)
    return amount == 0 or kind.again and amount < kind.permits
  end
  while #task + #held < MAX_OPERATIONS do
    local object = random(#objects)
    if #held > 0 and random(3) == 1 then
      local given = table.remove(held, random(#held))
      task[#task + 1] = { object = given.object, amount = -given.amount, call = given.give }
    elseif may_take(object) and #task + #held + 2 <= MAX_OPERATIONS then
      local takes = KINDS[objects[object]].takes
      local chosen = takes[random(#takes)]
      task[#task + 1] = { object = object, amount = chosen.amount, call = chosen.take }
      held[#held + 1] = { object = object, amount = chosen.amount, give = chosen.give }
    elseif random(4) == 1 then
      break
    end
  end
  while #held > 0 do
    local given = table.remove(held, random(#held))
    task[#task + 1] = { object = given.object, amount = -given.amount, call = given.give }
  end
  return task
end

--- Returns a program whose objects are of these kinds: `{ objects = { kind, ... }, tasks = { ... } }`.
function programs.make(seed, kinds, most_objects)
  local random = generator(seed)
  local program = { objects = {}, tasks = {} }
  for i = 1, 1 + random(most_objects - 1) do program.objects[i] = kinds[random(#kinds)] end
  for i = 1, 1 + random(MAX_TASKS - 1) do program.tasks[i] = make_task(random, program.objects) end
  return program
end

--- The same program, with each task so many times.
function programs.repeated(program, times)
  local tasks = {}
  for _, task in ipairs(program.tasks) do
    for _ = 1, times do tasks[#tasks + 1] = task end
  end
  return { objects = program.objects, tasks = tasks }
end

function programs.text(program)
  local lines = { "objects: " .. table.concat(program.objects, " ") }
  for i, task in ipairs(program.tasks) do
    local calls = {}
    for j, operation in ipairs(task) do calls[j] = operation.call .. " " .. operation.object end
    lines[#lines + 1] = ("task %d: %s"):format(i, table.concat(calls, ", "))
  end
  return table.concat(lines, "\n")
end

--- Whether any interleaving of the tasks ends with tasks that wait for ever. A state is the place of each
--- task; what is free follows from the places. Readers do not wait for waiting writers.
function programs.can_deadlock(program)
  local seen, places, free = {}, {}, {}
  for i = 1, #program.tasks do places[i] = 0 end
  for i, kind in ipairs(program.objects) do free[i] = KINDS[kind].permits end
  local function visit()
    local key = string.char(table.unpack(places))
    if seen[key] then return false end
    seen[key] = true
    local moved, waits = false, false
    for i, task in ipairs(program.tasks) do
      local operation = task[places[i] + 1]
      if operation and operation.amount <= free[operation.object] then
        moved = true
        places[i] = places[i] + 1
        free[operation.object] = free[operation.object] - operation.amount
        local found = visit()
        free[operation.object] = free[operation.object] + operation.amount
        places[i] = places[i] - 1
        if found then return true end
      elseif operation then
        waits = true
      end
    end
    return waits and not moved
  end
  return visit()
end

local MAKERS = {
  mutex = co.mutex,
  rwmutex = co.rwmutex,
  pool = function(options) return co.semaphore(2, options) end,
  permit = function(options) return co.semaphore(1, options) end,
}

--- Runs the tasks, each after the one before has ended, so that none ever waits. Returns the number of
--- warnings.
---@param named boolean  # each object has a name, and so is a class; else all of a kind are one class
function programs.warnings(program, named)
  local order = co.order()
  order:reset()
  local count = 0
  co.run_with({ unhandled = function(record)
    assert(record.kind == "warning", tostring(record))
    count = count + 1
  end }, function()
    local objects = {}
    for i, kind in ipairs(program.objects) do
      objects[i] = MAKERS[kind](named and { name = ("object %d"):format(i) } or nil)
    end
    for _, task in ipairs(program.tasks) do
      co.spawn(function()
        for _, operation in ipairs(task) do
          local object = objects[operation.object]
          object[operation.call](object)
        end
      end):join()
    end
  end)
  assert(order:stats().warnings == count)
  order:stop()
  return count
end

return programs
