local co = require "coropanic"

--- Runs `tasks` tasks; in each of its turns task i does what `act(i, turn)` says. Returns the order of turns.
---@param act fun(i: integer, turn: integer): boolean?  # true: the task ends
local function turns_of(tasks, act)
  local order = {}
  co.run(function()
    for i = 1, tasks do
      co.spawn(function()
        local turn = 0
        repeat
          turn = turn + 1
          order[#order + 1] = i
          local ends = act(i, turn)
          if not ends then co.yield() end
        until ends
      end)
    end
  end)
  return order
end

describe("the queue of ready tasks", function()
  it("stays first in, first out while bursts of spawns make it grow", function()
    local order, expected = {}, {}
    co.run(function()
      local spawned = 0
      local function task(id, generation)
        order[#order + 1] = id
        if generation < 10 then
          for _ = 1, 2 do
            spawned = spawned + 1
            co.spawn(task, spawned, generation + 1)
          end
        end
        co.yield()
        order[#order + 1] = -id
      end
      spawned = 1
      co.spawn(task, 1, 0)
    end)
    -- The same by hand, with a queue of a table.
    local queue, first, spawned = { { id = 1, generation = 0 } }, 1, 1
    while queue[first] do
      local t = queue[first]
      first = first + 1
      expected[#expected + 1] = t.yielded and -t.id or t.id
      if not t.yielded then
        for _ = 1, t.generation < 10 and 2 or 0 do
          spawned = spawned + 1
          queue[#queue + 1] = { id = spawned, generation = t.generation + 1 }
        end
        t.yielded = true
        queue[#queue + 1] = t
      end
    end
    assert.same(expected, order)
  end)

  it("keeps its order while tasks leave it", function()
    local expected = {}
    for turn = 1, 6 do
      for i = 1, 500 do
        if i % 6 >= turn - 1 then expected[#expected + 1] = i end
      end
    end
    assert.same(expected, turns_of(500, function(i, turn) return turn > i % 6 end))
  end)

  it("has the turns of cancelled tasks too, in their order", function()
    local order = {}
    co.run(function()
      local tasks = {}
      for i = 1, 300 do
        tasks[i] = co.spawn(function()
          co.defer(function() order[#order + 1] = i end)
          co.yield()
          co.yield()
        end)
      end
      co.yield()
      for i = 300, 1, -2 do
        tasks[i]:cancel()
      end
      co.yield()
      co.yield()
    end)
    local expected = {}
    for _, first in ipairs { 2, 1 } do
      for i = first, 300, 2 do
        expected[#expected + 1] = i
      end
    end
    assert.same(expected, order)
  end)

  it("has no place left for tasks that are given up while they are ready", function()
    local tasks, statuses = {}, {}
    assert.has_error(function()
      -- With a budget each task has one turn a round, so that the rounds for which it may poll are soon over.
      co.run_with({ clock = "virtual", budget = 1 }, function()
        for i = 1, 4 do
          tasks[i] = co.spawn(function()
            co.defer(function()
              while true do
                if i % 2 == 0 then
                  pcall(co.sleep, math.huge)
                else
                  pcall(co.yield)
                end
              end
            end)
            co.sleep(math.huge)
          end)
        end
        co.yield()
        error "main ends"
      end)
    end)
    for i = 1, 4 do
      statuses[tasks[i]:status()] = true
    end
    assert.same({ panicked = true }, statuses)
    local stats = co.stats()
    assert.same({ 0, 0 }, { stats.ready, stats.live })
    assert.equal(3, #turns_of(3, function() return true end))
  end)

  it("resumes each of very many tasks, in whatever order they became ready", function()
    local TASKS = 3000
    local turns = 0
    co.run(function()
      local channels, order = {}, {}
      for i = 1, TASKS do
        channels[i] = co.chan()
        co.spawn(function()
          local value = channels[i]:recv()
          order[#order + 1] = value
          for _ = 1, 3 do
            co.yield()
            turns = turns + 1
          end
        end)
      end
      co.yield()
      local sent = {}
      for k = 1, TASKS do
        local i = k * 1999 % TASKS + 1
        sent[k] = i
        channels[i]:send(i)
        if k % 7 == 0 then co.spawn(co.yield) end
        if k % 100 == 0 then collectgarbage() end
      end
      co.yield()
      assert.same(sent, order)
    end)
    assert.equal(3 * TASKS, turns)
  end)
end)
