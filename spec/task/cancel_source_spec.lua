-- The sources of cancellations that policies give: task:cancel(reason, source), scope:cancel(reason, source).

local co = require "coropanic"
local helpers = require "spec.helpers"

local function virtual(fn) co.run_with({ clock = "virtual" }, fn) end

describe("the source of task:cancel", function()
  for _, source in ipairs { "boundary", "hedge", "supervisor" } do
    it(("is %q in the record"):format(source), function()
      virtual(function()
        local t = co.spawn_with({ name = "victim" }, co.sleep, 10)
        co.yield()
        assert.is_true(t:cancel("why", source))
        local ok, record = t:join()
        assert.is_false(ok)
        assert.same({ source, "why", "cancelled" }, { record.source, record.reason, record.kind })
        assert.equal("main", record.cancellation.by.name)
        assert.equal(source, record:to_table().source)
        assert.equal("main", record:to_table().cancelled_by.name)
      end)
    end)
  end

  it("is told to observers", function()
    local told = {}
    local stop = co.observe({ "cancel" }, function(_, _, source) told[#told + 1] = source end)
    virtual(function() co.spawn(co.sleep, 10):cancel(nil, "hedge") end)
    stop()
    assert.same({ "hedge" }, told)
  end)

  it("is no other word", function()
    virtual(function()
      local t = co.spawn(co.sleep, 1)
      helpers.assert_error("bad argument #2 to 'cancel' (invalid option 'deadline')",
        function() t:cancel(nil, "deadline") end)
      helpers.assert_error("bad argument #2 to 'cancel' (string expected, got table)",
        function() t:cancel(nil, {}) end)
      assert.is_true(t:join())
    end)
  end)
end)

describe("the source of scope:cancel", function()
  it("is that of its tasks", function()
    virtual(function()
      local t
      co.scope(function(s)
        t = s:spawn(co.sleep, 10)
        co.yield()
        assert.is_true(s:cancel("why", "boundary"))
      end)
      local _, record = t:join()
      assert.same({ "boundary", "why" }, { record.source, record.reason })
    end)
  end)

  it("is no other word, and then nothing is cancelled", function()
    virtual(function()
      local t
      co.scope(function(s)
        t = s:spawn(co.sleep, 1)
        helpers.assert_error("bad argument #2 to 'cancel' (invalid option 'scope')",
          function() s:cancel(nil, "scope") end)
      end)
      assert.is_true(t:join())
    end)
  end)
end)
