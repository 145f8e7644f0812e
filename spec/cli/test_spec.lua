--- `coropanic test`, as a process of its own.

local helpers = require "spec.helpers"

local function test(source, before)
  return (helpers.run_command_on(before or { "test", "--", "--output=TAP" }, source))
end

describe("coropanic test", function()
  it("runs each test as a task under a virtual clock", function()
    local result = test [[
      local co = require "coropanic"
      describe("a test", function()
        before_each(function() assert.is_nil(co.current()) end)
        it("sleeps an hour", function()
          co.sleep(3600)
          assert.equal(3600, co.now())
        end)
        it("fails if it leaves a task over", function() co.spawn(co.sleep, 1) end)
        pending "comes later"
      end)
    ]]
    assert.equal(1, result.status)
    helpers.assert_contains("ok 1 - a test sleeps an hour\n", result.stdout)
    helpers.assert_contains("not ok 2 - a test fails if it leaves a task over\n", result.stdout)
    helpers.assert_contains("1 task is left over", result.stdout)
  end)

  it("leaves those alone that coropanic.test has made", function()
    local result = test [[
      local co = require "coropanic"
      local co_it = require("coropanic.test").busted()
      co_it("goes by the real clock", { clock = "monotonic" }, function()
        assert.is_true(co.now() > 0)
        co.sleep(0.001)
      end)
    ]]
    assert.same({ stdout = "ok 1 - goes by the real clock\n1..1\n", stderr = "", status = 0 }, result)
  end)

  it("runs each test under many seeds, and names the one under which it fails", function()
    local result = test([[
      local co = require "coropanic"
      it("depends on the order", function()
        local order = {}
        co.scope(function(s)
          for i = 1, 3 do s:spawn(function() order[#order + 1] = i end) end
        end)
        assert.same({ 1, 2, 3 }, order)
      end)
    ]], { "test", "--seeds", "50" })
    assert.equal(1, result.status)
    assert.matches("seed %d+ %(rerun with COROPANIC_SEED=%d+%)", result.stdout)
  end)

  it("says that it needs busted", function()
    local result = helpers.run_command({ "test" }, {
      environment = [[LUA_INIT='package.preload["busted.runner"] = error']],
    })
    assert.same({
      stdout = "",
      stderr = "coropanic test needs busted, of Debian's package lua-busted or of luarocks' rock busted\n",
      status = 1,
    }, result)
  end)
end)
