-- Every function of the API is called, in turn, from a finalizer at each allocation of programs that use the
-- whole API, and in the hostile build at each place of our own where the collector could run (compat.h).

local helpers = require "spec.helpers"

--- The program of a process in which `name` of the sample programs runs in a storm, a few times.
local function program(name, seed, outside)
  return ([[
    local name, seed, outside = %q, %d, %s
    math.randomseed(seed)
    local every = require "reentry.every_function"
    local programs = require "reentry.sample_programs"
    local co = require "coropanic"
    local said = os.getenv "REENTRY_SAID" and function(what) io.stderr:write(what, "\n") end
    local objects, functions, strikes, busy = {}, {}, 0, false
    --- Calls some of the functions, with one kind of arguments each.
    local function strike()
      if busy or #functions == 0 or strikes > 4000 then return end
      busy = true
      strikes = strikes + 1
      if outside then pcall(co.step) end
      for _ = 1, 5 do every.call_one(functions, objects, said) end
      busy = false
    end
    local raining
    local function rain()
      setmetatable({}, { __gc = function()
        if raining then rain() strike() end
      end })
    end
    local function storm(f)
      raining = true
      collectgarbage("incremental", 1, 1000, 20)
      collectgarbage("setpause", 0)
      collectgarbage()
      rain()
      f()
      functions, raining = {}, false
      collectgarbage("incremental", 200, 100, 13)
    end
    debug.getregistry()[-5400] = strike -- COMPAT_STORM of csrc/compat.h
    for round = 1, 3 do
      co.on_panic(function() end)
      if outside then
        objects = every.objects(co)
        functions = every.list(co, objects)
        storm(function()
          for _ = 1, 5 do pcall(programs.outside[name], co) end
        end)
      else
        pcall(co.run_with, { clock = "virtual" }, function()
          objects = every.objects(co, true)
          functions = every.list(co, objects)
          storm(function()
            for _ = 1, 15 do co.pcall(programs[name], co) end
          end)
        end)
      end
      functions, raining = {}, false
      co.on_spawn(nil) co.on_exit(nil) co.on_suspend(nil) co.trace.on_span(nil)
      objects = {}
      for _ = 1, 3 do pcall(co.run, function() every.cancel(co) end) end
      assert(co.stats().live == 0, "tasks are left")
    end
    assert(strikes > 20, strikes) -- the order in which functions are called, and so the number, differs
    co.trace.use "random"
    local ok, value = co.run(function() return co.spawn(function(x) return x end, 42):join() end)
    assert(ok and value == 42)
    print "ok"
  ]]):format(name, seed, outside or false)
end

describe("a storm of finalizers, which call every function", function()
  local function survives(name, outside)
    it(("does no harm to a program: %s"):format(name:gsub("_", " ")), function()
      local result = helpers.run_script(program(name, 1, outside))
      assert.equal("", result.stderr)
      assert.equal("ok\n", result.stdout)
      assert.equal(0, result.status)
    end)
  end
  local programs = require "reentry.sample_programs"
  for name, f in pairs(programs) do
    if type(f) == "function" then survives(name) end
  end
  for name in pairs(programs.outside) do survives(name, true) end
end)
