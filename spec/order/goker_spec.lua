-- co.order finds the orders of locks of GoKer's deadlocks in runs that do not deadlock.
local co = require "coropanic"
local kernels = require "order.kernels"

local order
before_each(function()
  order = co.order()
  order:reset()
end)
after_each(function() order:stop() end)

describe("co.order, in a run that does not deadlock, of", function()
  for _, kernel in ipairs(kernels) do
    it(kernel.name, function()
      local messages = {}
      co.run_with({ unhandled = function(record) messages[#messages + 1] = record.message end }, function()
        local locks = {}
        for i, name in ipairs(kernel.locks) do locks[i] = co.mutex { name = name } end
        for _, task in ipairs(kernel.tasks(table.unpack(locks))) do co.spawn(task):join() end
      end)
      assert.equal(1, #messages)
      for _, name in ipairs(kernel.locks) do
        assert.truthy(messages[1]:find(('locks "%s" while holding'):format(name), 1, true))
      end
    end)
  end
end)
