-- Snowflakes of several Lua states of one process, which share its machine ids.

local co = require "coropanic"
local uv = require "luv"

local function new_id()
  return co.run(function() return co.trace.current().trace_id end)
end

describe("a machine id", function()
  after_each(function() co.trace.use "random" end)

  it("goes on in order with another state of the process, once that is closed", function()
    local first_id = os.tmpname()
    -- A thread of luv's has a Lua state of its own, which ends with it.
    uv.new_thread(function(path, cpath, name)
      package.path, package.cpath = path, cpath
      local other = require "coropanic"
      other.trace.use("snowflake", { machine = 380, on_clock_back = "borrow" })
      local file = assert(io.open(name, "w"))
      for _ = 1, 5000 do other.trace.extract {} end -- ahead of the clock
      file:write(other.trace.extract({}).trace_id)
      file:close()
    end, package.path, package.cpath, first_id):join()
    local file = assert(io.open(first_id))
    local before = file:read "a"
    file:close()
    os.remove(first_id)
    assert.equal(32, #before)
    co.trace.use("snowflake", { machine = 380, on_clock_back = "borrow" })
    assert.is_true(before < new_id())
  end)

  it("has one user for each machine id in a process, whatever its states", function()
    local result = os.tmpname()
    co.trace.use("snowflake", { machine = 381 })
    uv.new_thread(function(path, cpath, name)
      package.path, package.cpath = path, cpath
      local other = require "coropanic"
      local file = assert(io.open(name, "w"))
      file:write(tostring(select(2, pcall(other.trace.use, "snowflake", { machine = 381 }))))
      file:close()
    end, package.path, package.cpath, result):join()
    local file = assert(io.open(result))
    assert.equal("co.trace.use: machine id 381 is used by another Lua state of this process, or by the "
      .. "process that it was forked from", file:read "a")
    file:close()
    os.remove(result)
    new_id()
  end)

  it("knows what a machine id has made, also when the only state of a process has been closed", function()
    local script = [[
      local co = require "coropanic"
      local ok, why = pcall(co.trace.use, "snowflake", { machine = 7, epoch = %d })
      return ok and co.run(co.trace.current).trace_id or why]]
    local command = ("python3 spec/trace/reload.py '%s' '%s'"):format(script:format(1), script:format(2))
    local pipe <close> = assert(io.popen(command))
    assert.equal(32, #pipe:read "l")
    assert.matches("machine id 7 has made ids since another epoch in this process", pipe:read "l", 1, true)
  end)
end)
