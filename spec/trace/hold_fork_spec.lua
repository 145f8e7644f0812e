-- Leases of machine ids in forked processes.

local helpers = require "spec.helpers"

describe("a lease for co.trace.use", function()
  it("is not a forked child's", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local process = require "spec_fork"
      local held = {}
      local function lease(machine)
        co.trace.use("snowflake", {
          lease = function(hold)
            held[machine] = hold
            return machine, 17
          end,
        })
      end
      lease(640)
      local child = process.fork()
      if child == 0 then
        print(held[640](100))
        lease(641)
        print(held[640](100))
        print(held[641](100))
        os.exit(true, true)
      end
      print(process.wait(child))
      print(held[640](100))
    ]]
    assert.equal(0, result.status, result.stderr)
    assert.same({
      "nil\tthe lease is not this process's",
      "nil\tthe lease is not this process's",
      "true",
      "0",
      "true",
    }, helpers.lines_of(result.stdout))
  end)

  it("that a forked child asks for in vain does not give it its parent's machine id", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local process = require "spec_fork"
      local function extract() print((select(2, pcall(co.trace.extract, {})))) end
      co.trace.use("snowflake", { machine = 643 })
      local child = process.fork()
      if child == 0 then
        print((pcall(co.trace.use, "snowflake", { lease = function() extract() error "none" end })))
        extract()
        os.exit(true, true)
      end
      print(process.wait(child))
    ]]
    local refused = "no trace id: the machine id is the parent process's; call co.trace.use here too"
    assert.same({ refused, "false", refused, "0" }, helpers.lines_of(result.stdout))
  end)

  it("that the parent has asked for does not become a forked child's", function()
    local result = helpers.run_script [[
      local co = require "coropanic"
      local process = require "spec_fork"
      local child
      local ok, why = pcall(co.trace.use, "snowflake", {
        lease = function()
          child = process.fork()
          return 642
        end,
      })
      print(ok, why)
      if child == 0 then os.exit(true, true) end
      process.wait(child)
    ]]
    assert.equal(0, result.status, result.stderr)
    local lines = helpers.lines_of(result.stdout)
    table.sort(lines)
    assert.same({
      "false\tco.trace.use: the lease is that of the process that this one was forked from",
      "true\trandom",
    }, lines)
  end)
end)
