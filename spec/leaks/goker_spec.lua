-- co.leaks() finds each task that a kernel of GoKer leaks, and no other.
local co = require "coropanic"
local kernels = require "leaks.kernels"

local function sorted(names)
  table.sort(names)
  return names
end

local function names_of(tasks)
  local names = {}
  for i, t in ipairs(tasks) do
    names[i] = t.name
  end
  return sorted(names)
end

describe("co.leaks on a kernel of GoKer", function()
  for _, kernel in ipairs(kernels) do
    it(kernel.name, function()
      local found, after, still
      co.run(function()
        local open = co.chan()
        for i = 1, 3 do
          co.spawn_with({ name = "live" }, function()
            if i == 1 then co.sleep(0.001) end
            open:recv()
          end)
        end
        kernel.run()
        for _ = 1, 10 do
          co.yield()
        end
        found = names_of(co.leaks())
        still = names_of(co.leaks { leaked = "cancel" })
        for _ = 1, 10 do
          co.yield()
        end
        after = names_of(co.leaks())
        open:close()
      end)
      local expected = sorted({ table.unpack(kernel.leaked) })
      assert.same(expected, found)
      assert.same(expected, still)
      assert.same({}, after)
    end)
  end
end)
