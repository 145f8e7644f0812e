--- luacov, as it is, sees what tasks and coroutines run: one switch.

local helpers = require "spec.helpers"

--- Runs a program under luacov, with `set_up` after it has begun; each line that has the mark `--*` has to be
--- counted. Returns the lines that were not.
local function uncounted(set_up, body)
  local result = helpers.run_script(([[
    package.path = "./spec/vendor/?.lua;" .. package.path
    local runner = require "luacov.runner"
    local stats = os.tmpname()
    runner.init { statsfile = stats }
    local co = require "coropanic"
    %s
    local function program()
      %s
    end
    co.run(program)
    runner.save_stats()
    local script = arg[0]
    local counted = require("luacov.stats").load(stats)[script]
    os.remove(stats)
    local number = 0
    for line in io.lines(script) do
      number = number + 1
      if line:find("%%-%%-%%*") and not counted[number] then print(line:match "^%%s*(.-)%%s*%%-%%-%%*") end
    end
    os.exit(true)]]):format(set_up, body))
  assert.equal("", result.stderr)
  return result.stdout == "" and {} or helpers.lines_of(result.stdout)
end

local SWITCH = "co.on_start(runner.with_luacov(function() end))"

local BODY = [[
      local first = 1
      co.spawn(function()
        first = first + 1 --*
        co.yield()
        first = first + 2 --*
        co.defer(function()
          first = first + 3 --*
          co.sleep(0)
          first = first + 4 --*
        end)
      end):await()
      co.scope(function(s)
        s:spawn(function()
          first = first + 5 --*
        end)
        s:spawn_with({ name = "named" }, function()
          pcall(error, "x")
          first = first + 6 --*
        end)
      end)
      co.coroutine.wrap(function()
        first = first + 7 --*
        co.sleep(0)
        co.coroutine.yield()
      end)()
      co.coroutine.resume(co.coroutine.create(function()
        first = first + 8 --*
      end))
      coroutine.wrap(function()
        first = first + 9 --*
      end)()
      co.spawn(function()
        co.defer(function()
          first = first + 10 --*
        end)
        error "x"
      end):join()
      co.spawn(function()
        co.spawn(function()
          first = first + 11 --*
        end):await()
      end):await()
]]

describe("luacov", function()
  it("counts the lines of every task, deferred call and coroutine with co.on_start", function()
    assert.same({}, uncounted(SWITCH, BODY))
  end)

  it("counts those of co.instrument's coroutines too", function()
    assert.same({}, uncounted(SWITCH .. " co.instrument()", BODY))
  end)

  it("counts them where threads are used again", function()
    assert.same({}, uncounted(SWITCH, [[
      local n = 0
      for _ = 1, 50 do co.spawn(function() end):await() end
      co.spawn(function()
        n = n + 1 --*
      end):await()
      assert(n == 1)
]]))
  end)

  it("does not count them without it", function()
    assert.is_true(#uncounted("", BODY) > 5)
  end)
end)
