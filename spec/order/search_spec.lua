--- What co.order warns of, after runs in which no task ever waits, against a search of all interleavings.

local programs = require "order.programs"

local SEEDS = 1000

--- Calls `check(program, warned, deadlocks)` for each seed. Returns how many programs can deadlock, and how
--- many can not although a task holds one object while it takes another.
local function each(kinds, most_objects, named, check)
  local deadlocking = 0
  for seed = 1, SEEDS do
    local program = programs.make(seed, kinds, most_objects)
    local warned = programs.warnings(program, named) > 0
    local deadlocks = programs.can_deadlock(program)
    deadlocking = deadlocking + (deadlocks and 1 or 0)
    check(program, warned, deadlocks)
  end
  return deadlocking
end

local function refuse(program, what)
  error(what .. "\n" .. programs.text(program), 2)
end

--- Warned and able to deadlock are one.
local function check_exactly(program, warned, deadlocks)
  if deadlocks and not warned then refuse(program, "a schedule deadlocks, and nothing warns of it") end
  if warned and not deadlocks then refuse(program, "a warning, and no schedule deadlocks") end
end

describe("co.order, after runs that do not deadlock", function()
  it("warns of just those programs of mutexes that can deadlock", function()
    local deadlocking = each({ "mutex" }, 4, true, check_exactly)
    assert.is_true(deadlocking > 100 and deadlocking < SEEDS - 100)
  end)

  it("warns of just those programs of mutexes and rwmutexes that can deadlock", function()
    local deadlocking = each({ "mutex", "rwmutex" }, 4, true, check_exactly)
    assert.is_true(deadlocking > 100 and deadlocking < SEEDS - 100)
  end)

  it("tells the mutexes of one class from each other", function()
    local deadlocking = each({ "mutex" }, 4, false, check_exactly)
    assert.is_true(deadlocking > 100 and deadlocking < SEEDS - 100)
  end)

  it("warns of each program of mutexes and pools that can deadlock, or could if tasks ran twice", function()
    local deadlocking = each({ "mutex", "pool", "permit" }, 3, true, function(program, warned, deadlocks)
      if deadlocks and not warned then refuse(program, "a schedule deadlocks, and nothing warns of it") end
      if warned and not deadlocks and not programs.can_deadlock(programs.repeated(program, 2)) then
        refuse(program, "a warning, and no schedule deadlocks, not even of twice as many tasks")
      end
    end)
    assert.is_true(deadlocking > 100 and deadlocking < SEEDS - 100)
  end)
end)
