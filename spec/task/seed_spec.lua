local co = require "coropanic"
local helpers = require "spec.helpers"

--- The order in which 8 tasks that yield 5 times each run under these options.
local function order_under(options)
  local lines, say = helpers.log()
  co.run_with(options, function()
    for i = 1, 8 do
      co.spawn(function()
        for _ = 1, 5 do
          say(i)
          co.yield()
        end
      end)
    end
  end)
  return table.concat(lines)
end

describe("the order of tasks", function()
  it("is first in, first out without a seed", function()
    assert.equal(("12345678"):rep(5), order_under {})
  end)

  it("is the same for the same seed", function()
    assert.equal(order_under { seed = 42 }, order_under { seed = 42 })
  end)

  it("of a seed does not change between releases, so that a seed in an old report can be rerun", function()
    local sums = {}
    for _, seed in ipairs { 1, 42, 7 } do
      local sum = 0
      local function note(i) sum = (sum * 31 + i) % 1000000007 end
      co.run_with({ seed = seed, clock = "virtual" }, function()
        for i = 1, 300 do
          co.spawn(function()
            for _ = 1, 5 do
              note(i)
              if i % 3 == 0 then
                co.sleep(i % 7)
              else
                co.yield()
              end
            end
          end)
        end
        for i = 1, 100 do
          local task = co.spawn(note, i)
          if i % 4 == 0 then task:cancel() end
        end
      end)
      sums[#sums + 1] = sum
    end
    local guest = { 474906426, 995293159, 124920171 } -- its orders are others, and the same in every Lua
    assert.same(package.loaded["coropanic.guest"] and guest or { 829076632, 557699529, 523332765 }, sums)
  end)

  it("varies with the seed", function()
    local seen, count = {}, 0
    for seed = 1, 10 do
      local order = order_under { seed = seed }
      count = count + (seen[order] and 0 or 1)
      seen[order] = true
    end
    assert.is_true(count > 5)
  end)

  it("leaves no task out and runs none twice, whatever the seed", function()
    for seed = 1, 20 do
      local counts = {}
      for name in order_under({ seed = seed }):gmatch "." do
        counts[name] = (counts[name] or 0) + 1
      end
      for i = 1, 8 do
        assert.equal(5, counts[tostring(i)])
      end
    end
  end)

  it("is fair under a seed: every task gets its turn while others go on for long", function()
    local turns = {}
    co.run_with({ seed = 7 }, function()
      for i = 1, 200 do
        turns[i] = 0
        co.spawn_with({ daemon = true }, function()
          while true do
            turns[i] = turns[i] + 1
            co.yield()
          end
        end)
      end
      for _ = 1, 300 do
        co.yield()
      end
    end)
    for i = 1, 200 do
      assert.is_true(turns[i] > 0, "task " .. i .. " never ran")
    end
  end)
end)
