-- Random trees of scopes, time-outs, contexts, cancellations and panics. Whatever happens, nothing outlives
-- the scope that it was spawned in, every deferred call runs exactly once, and each scope comes to one of
-- the ends that it may come to.

local co = require "coropanic"
local helpers = require "spec.helpers"

local SEEDS = helpers.seeds(1000)
local MAX_DEPTH = 4

--- A source of numbers that is the same for the same seed wherever the specs run.
local function new_random(seed)
  local state = seed * 2654435761 % 2 ^ 32
  return function(n)
    state = (state * 1664525 + 1013904223) % 2 ^ 32
    return math.floor(state / 2 ^ 32 * n) + 1
  end
end

--- One run: what it has promised and what has become of it.
local function new_world(seed)
  return { random = new_random(seed), defers = 0, defers_run = 0, faults = {}, ends = {}, tasks = {} }
end

local function note_fault(world, ...)
  world.faults[#world.faults + 1] = table.concat({ ... }, " ")
end

--- A deferred call that is counted, may suspend, and seldom panics.
local function defer_something(world)
  world.defers = world.defers + 1
  local ran = false
  local kind = world.random(20)
  co.defer(function()
    if ran then
      note_fault(world, "a deferred call ran twice")
    end
    ran = true
    world.defers_run = world.defers_run + 1
    if kind <= 5 then
      co.yield()
    elseif kind <= 8 then
      co.sleep(0.5)
    elseif kind == 9 then
      co.panic "deferred"
    end
  end)
end

local do_something

--- The body of a scope, a time-out or a task.
local function live(world, depth)
  defer_something(world)
  for _ = 1, world.random(3) do
    do_something(world, depth)
  end
  return "returned"
end

--- A task that is known to the innermost scope.
local function spawn(world, depth, members, scope)
  local options = { daemon = world.random(8) == 1 or nil }
  local task
  if scope ~= nil and world.random(2) == 1 then
    task = scope:spawn_with(options, live, world, depth + 1)
  else
    task = co.spawn_with(options, live, world, depth + 1)
  end
  members[#members + 1] = task
  world.tasks[#world.tasks + 1] = task
  return task
end

--- Calls a scope-like function whose body spawns; notes how it ended, and who has outlived it.
local function run_scope(world, depth, name, open)
  local members = {}
  local function look()
    for _, task in ipairs(members) do
      local status = task:status()
      if status == "ready" or status == "running" or status == "waiting" then
        note_fault(world, name, "ended while", tostring(task))
      end
    end
  end
  world.defers = world.defers + 1
  co.call(function()
    co.defer(function() -- whether it returns, panics or is unwound
      world.defers_run = world.defers_run + 1
      look()
    end)
    local results = table.pack(co.pcall(open, function(scope)
      for _ = 1, world.random(3) do
        spawn(world, depth, members, scope)
      end
      if scope ~= nil and world.random(5) == 1 then
        spawn(world, depth, members, scope):cancel "by the body"
      end
      if scope ~= nil and world.random(6) == 1 then
        scope:cancel "by the body"
      end
      return live(world, depth + 1)
    end))
    look()
    world.ends[#world.ends + 1] = { name = name, results = results }
  end)
end

local actions = {
  function() co.yield() end,
  function(world) co.sleep(world.random(4) / 2) end,
  function(world, depth) run_scope(world, depth, "scope", co.scope) end,
  function(world, depth) run_scope(world, depth, "supervise", co.supervise) end,
  function(world, depth)
    local seconds = (world.random(5) - 1) / 2
    run_scope(world, depth, "with_timeout", function(body) return co.with_timeout(seconds, body) end)
  end,
  function(world, depth)
    local ctx = co.context.with_timeout(co.ctx(), world.random(4) / 2, "context")
    run_scope(world, depth, "with", function(body) return co.with(ctx, co.scope, body) end)
  end,
  function(world) -- somebody, anywhere
    local task = world.tasks[world.random(math.max(1, #world.tasks))]
    if task ~= nil then
      task:cancel "by chance"
    end
  end,
  function(world) -- swallows what can be swallowed
    pcall(co.sleep, world.random(4) / 2)
  end,
  function(world)
    if world.random(3) == 1 then
      co.panic "by chance"
    end
  end,
}

function do_something(world, depth)
  local action = actions[world.random(#actions)]
  if depth < MAX_DEPTH then
    action(world, depth)
  else
    co.sleep(world.random(4) / 2)
  end
end

-- What a scope that has ended may have come to --------------------------------------------------------------

local PANICS = { ["by chance"] = true, deferred = true }

local function is_panic(results)
  local record = results[2]
  return results.n == 2 and results[1] == false and record.kind == "panic" and PANICS[record.value] or false
end

local function is_return(results)
  return results[1] == true and (results.n == 1 or results.n == 2 and results[2] == "returned")
end

local legal = {
  scope = is_return,
  supervise = is_return,
  with_timeout = function(results)
    if results[1] ~= true then
      return false
    elseif results[2] == true then
      return results.n == 3 and results[3] == "returned"
    end
    return results.n == 3 and results[2] == false and results[3].kind == "timeout"
  end,
  with = function(results)
    local record = results[2]
    return is_return(results)
      or results[1] == false and record.kind == "timeout" and record.value == "context"
  end,
}

--- Runs the tree of one seed and returns what is wrong with it.
local function faults_of(seed)
  local world = new_world(seed)
  local options = { clock = "virtual", seed = seed, unhandled = function() end }
  local ok, err = pcall(co.run_with, options, live, world, 0)
  if not ok and not (err.kind == "panic" and PANICS[err.value] or err.kind == "cancelled") then
    note_fault(world, "the run ended with", tostring(err))
  end
  for _, task in ipairs(world.tasks) do
    local status = task:status()
    if status ~= "done" and status ~= "panicked" and status ~= "cancelled" then
      note_fault(world, tostring(task), "after the run")
    end
  end
  for _, ending in ipairs(world.ends) do
    if not legal[ending.name](ending.results) and not is_panic(ending.results) then
      note_fault(world, ending.name, "came to", tostring(ending.results[2]))
    end
  end
  if world.defers ~= world.defers_run then
    note_fault(world, world.defers, "deferred calls, of which ran", world.defers_run)
  end
  if #co.tasks() > 0 then
    note_fault(world, #co.tasks(), "tasks are left")
  end
  return world.faults, world
end

describe("random trees of scopes, time-outs, cancellations and panics", function()
  it("keep every promise, under every seed", function()
    for seed = 1, SEEDS do
      assert.same({}, (faults_of(seed)), "seed " .. seed)
    end
  end)

  it("come to the same under the same seed", function()
    local function outline(seed)
      local _, world = faults_of(seed)
      local lines = { world.defers .. " deferred calls" }
      for i, ending in ipairs(world.ends) do
        lines[i + 1] = ("%s %s %d"):format(ending.name, ending.results[1], ending.results.n)
      end
      for _, task in ipairs(world.tasks) do
        lines[#lines + 1] = task:status()
      end
      return lines
    end
    for seed = 1, 50 do
      assert.same(outline(seed), outline(seed))
    end
  end)

  it("come to every kind of end there is", function()
    local seen = {}
    for seed = 1, SEEDS do
      local _, world = faults_of(seed)
      for _, ending in ipairs(world.ends) do
        local how = is_panic(ending.results) and "panic" or legal[ending.name](ending.results) and "legal"
        seen[ending.name .. " " .. tostring(how)] = true
      end
      for _, task in ipairs(world.tasks) do
        seen[task:status()] = true
      end
    end
    for name in pairs(legal) do
      assert.is_true(seen[name .. " legal"] and seen[name .. " panic"], name)
    end
    assert.is_true(seen.done and seen.panicked and seen.cancelled)
  end)

  it("leave no timer", function()
    faults_of(1)
    for _ = 1, 4 do
      collectgarbage()
    end
    assert.is_nil(co.timeout())
  end)
end)
