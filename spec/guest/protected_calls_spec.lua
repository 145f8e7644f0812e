-- Protected calls in tasks, for which the guest makes coroutines in Lua 5.1. Code must not notice these.
local co = require "coropanic"
local helpers = require "spec.helpers"

--- The levels of a thread's stack.
local function depth_of(thread)
  local depth = 0
  while debug.getinfo(thread, depth, "l") do depth = depth + 1 end
  return depth
end

describe("a protected call in a task", function()
  for name, call in pairs { pcall = pcall, ["co.pcall"] = co.pcall, ["co.call"] = co.call } do
    it("runs in the coroutine around it: " .. name, function()
      co.run(function()
        local around, inside, status = coroutine.running(), nil, nil
        call(function()
          inside = coroutine.running()
          status = coroutine.status(inside)
        end)
        assert.equal(around, inside)
        assert.equal("running", status)
      end)
    end)

    it("leaves nothing on the stack for each suspension in it: " .. name, function()
      local depths = {}
      co.run(function()
        local task = co.spawn(function()
          call(function()
            for _ = 1, 10 do co.yield() end
            depths[1] = depth_of(coroutine.running())
            for _ = 1, 100 do co.yield() end
            depths[2] = depth_of(coroutine.running())
          end)
        end)
        task:join()
      end)
      assert.equal(depths[1], depths[2])
    end)

    it("may be suspended by the coroutine of co.coroutine in which it is: " .. name, function()
      local seen = {}
      co.run(function()
        local thread = co.coroutine.create(function(...)
          call(function(first)
            seen[1] = first
            seen[2] = co.coroutine.yield "yielded"
            co.yield()
            seen[3] = co.coroutine.yield "again"
          end, ...)
          return "ended"
        end)
        assert.same({ true, "yielded" }, { co.coroutine.resume(thread, 1) })
        assert.same({ true, "again" }, { co.coroutine.resume(thread, 2) })
        assert.same({ true, "ended" }, { co.coroutine.resume(thread, 3) })
        assert.equal("dead", co.coroutine.status(thread))
      end)
      assert.same({ 1, 2, 3 }, seen)
    end)

    it("can nest deep: " .. name, function()
      local deepest = 0
      local function nest(n)
        deepest = n
        if n < 150 then call(nest, n + 1) end
      end
      co.run(nest, 1)
      assert.equal(150, deepest)
    end)
  end

  it("passes what it is given and what comes back, nils too", function()
    co.run(function()
      local results = table.pack(pcall(function(...)
        co.yield()
        return select("#", ...), ...
      end, nil, 1, nil))
      assert.same({ n = 5, true, 3, nil, 1, nil }, results)
      assert.same({ false, "value" }, { pcall(error, "value") })
      assert.is_false(pcall(nil))
      assert.is_false(pcall(pcall))
    end)
  end)

  it("calls the message handler of xpcall, which may fail", function()
    co.run(function()
      local function fail()
        co.yield()
        error("text", 0)
      end
      assert.same({ false, "<text>" }, { xpcall(fail, function(err) return "<" .. err .. ">" end) })
      assert.is_false(xpcall(fail, function() error "fails too" end))
      local _, trace = xpcall(fail, debug.traceback)
      helpers.assert_contains("protected_calls_spec.lua", trace)
    end)
  end)
end)

describe("a task that suspends in a metamethod, where it can", function()
  it("or else gets an error that says so, and runs on", function()
    local object = setmetatable({}, { __index = function(_, key)
      co.sleep(0)
      return key
    end })
    local status
    local task
    co.run(function()
      task = co.spawn(function()
        local ok, result = pcall(function() return object.key end)
        status = co.current():status()
        if ok then return assert.equal("key", result) end
        helpers.assert_contains("'sleep' can not suspend here: a metamethod is in the way", result)
      end)
      assert.is_true(task:join())
    end)
    assert.equal("running", status)
    assert.equal("done", task:status())
    assert.equal(0, co.stats().live)
  end)

  it("also in a coroutine of co.coroutine, which goes on", function()
    local object = setmetatable({}, { __add = function() co.yield() return "sum" end })
    co.run(function()
      local generate = co.coroutine.wrap(function()
        pcall(function() return object + object end)
        co.yield()
        co.coroutine.yield "first"
        return "second"
      end)
      assert.equal("first", generate())
      assert.equal("second", generate())
    end)
  end)
end)
