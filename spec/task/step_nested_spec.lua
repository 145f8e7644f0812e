--- LuaJIT itself crashes where C functions nest so deep.

local co = require "coropanic"
local helpers = require "spec.helpers"

describe("co.step", function()
  after_each(helpers.end_all_tasks)

  it("harms no task where calls of C nest too deep to run any", function()
    local function nest(levels, fn)
      if levels == 0 then return fn() end
      string.gsub("x", "x", function() nest(levels - 1, fn) end)
    end
    local refused = 0
    for levels = 100, 200 do
      local ran = 0
      local function count() ran = ran + 1 end
      local task = co.spawn(function()
        co.defer(count)
        co.call(function()
          co.defer(count)
          co.yield()
          co.yield()
        end)
        return "result"
      end)
      co.step()
      local ok, err = pcall(nest, levels, function() co.step() end)
      if not ok then
        refused = refused + 1
        helpers.assert_contains("C stack overflow", helpers.message_of(err))
      end
      helpers.step_all()
      assert.same({ 2, true, "result" }, { ran, task:join() }, levels)
    end
    assert.is_true(refused > 10 and refused < 50, refused)
  end)
end)
