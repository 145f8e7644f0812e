--- Tests whose bodies are tasks: under a virtual clock, in many orders, with nothing left over when they
--- return. For busted, luaunit, and any framework whose tests are functions that raise when they fail.

local co = require "coropanic"
local failure = require "coropanic.test.failure"
local options = require "coropanic.test.options"
local trial = require "coropanic.test.trial"

local test = {}

---@class coropanic.test.options
---@field clock? "virtual" | "monotonic"  # default: virtual
---@field seeds? integer  # run under the seeds from 1 to this; each is a run of its own
---@field seed? integer  # run under this seed alone
---@field leftovers? "fail" | "ignore"  # tasks that are live when the body has returned; default: fail
---@field daemons? "allow" | "fail"  # daemons that are live then; default: allow
---@field order? "fail" | "ignore"  # warnings of co.order; default: fail
---@field timeout? number  # seconds, by the run's clock, that the body may take

--- Returns the place where a function was written: `file.lua:12`.
local function place_of(fn)
  if type(fn) ~= "function" then
    fn = debug.getmetatable(fn).__call
  end
  local info = debug.getinfo(fn, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

--- Runs the body under each seed; raises the first failure.
local function attempt(checked, place, body, ...)
  for _, seed in ipairs(options.seeds_of(checked)) do
    local value, notes = trial.run(checked, seed or nil, place, body, ...)
    if value ~= nil then
      if seed then
        notes[#notes + 1] = ("seed %d (rerun with COROPANIC_SEED=%d)"):format(seed, seed)
      end
      error(failure.annotated(value, notes), 0)
    end
  end
end

--- Runs `body(...)` as the main task. Returns if it has passed, and raises if it has failed. Its results are
--- ignored.
---@param opts coropanic.test.options?
---@param body async fun(...): ...
---@param ... any  # arguments of the body
function test.run(opts, body, ...)
  local checked = options.check("run", 1, opts)
  options.check_function("run", 2, body)
  attempt(checked, place_of(body), body, ...)
end

-- Frameworks ----------------------------------------------------------------------------------------------

--- The functions that run a body already: those that `wrap` has made, and those that busted has from
--- `busted`'s functions. Nothing wraps them again.
local wrapped = setmetatable({}, { __mode = "k" })

local function wrap(checked, body)
  if wrapped[body] then
    return body
  end
  local place = place_of(body)
  local function run(...)
    attempt(checked, place, body, ...)
  end
  wrapped[run] = true
  return run
end

--- Returns a function that runs `body` with its arguments as `run` does: a test for any framework. If `body`
--- is such a function already, returns it.
---@overload fun(body: (async fun(...): ...)): fun(...)
---@param opts coropanic.test.options?
---@param body async fun(...): ...
---@return fun(...)
function test.wrap(opts, body)
  local position = 2
  if body == nil and type(opts) ~= "table" then
    opts, body, position = nil, opts, 1
  end
  local checked = options.check("wrap", 1, opts)
  options.check_function("wrap", position, body)
  return wrap(checked, body)
end

--- Wraps each test of a luaunit class: the methods that it has now whose names begin with `test`, except
--- those that `wrap` has made. `setUp` and `tearDown` are not changed, and run outside the run.
---@generic T: table
---@param class T
---@param opts coropanic.test.options?
---@return T
function test.luaunit(class, opts)
  options.check_type("luaunit", 1, class, "table")
  local checked = options.check("luaunit", 2, opts)
  for name, method in pairs(class) do
    if type(name) == "string" and name:lower():find "^test" and type(method) == "function" then
      class[name] = wrap(checked, method)
    end
  end
  return class
end

local getfenv, setfenv = rawget(_G, "getfenv"), rawget(_G, "setfenv") -- of LuaJIT and Lua 5.1

--- Returns the environment of the function at a level of the stack. busted gives its specs environments of
--- their own.
local function environment_at(level)
  local info = debug.getinfo(level + 1, "f")
  if getfenv then return getfenv(info.func) end
  local index = 0
  repeat
    index = index + 1
    local name, value = debug.getupvalue(info.func, index)
    if name == "_ENV" then
      return value
    end
  until name == nil
  return _G
end

--- Returns busted's present `it`: inside a test that is another function, which refuses.
local function find_it(environment)
  local busted = package.loaded.busted
  local it = environment.it or busted and busted.it
  return it or error("'it' is not defined here: call busted() in a spec, or give it: busted(it)", 3)
end

--- Makes the function that busted's `it` gets. By its environment busted knows that it must refuse `it`,
--- `describe`, ... inside it.
local function element(_ENV, run)
  local function body()
    local _ = _ENV -- makes it an upvalue of this function
    run()
  end
  wrapped[body] = true
  return setfenv and setfenv(body, _ENV) or body
end

---@alias coropanic.test.it
---| fun(name: string, opts: coropanic.test.options?, body: (async fun(): ...)): any
---| fun(name: string, body: (async fun(): ...)): any

--- Returns a function to use as busted's `it`, which runs the bodies as `run` does. It takes a name, options
--- if there are any, and the body. If `busted` is called in a spec, it finds `it` by itself.
---@param it? function
---@return coropanic.test.it
function test.busted(it)
  local environment = environment_at(2)
  return function(name, opts, body)
    local position = 3
    if body == nil and type(opts) ~= "table" then
      opts, body, position = nil, opts, 2
    end
    options.check_type("it", 1, name, "string")
    local checked = options.check("it", 2, opts)
    options.check_function("it", position, body)
    local define = it or find_it(environment)
    -- A tail call: busted takes its caller's line for the test's.
    return define(name, element(environment, wrap(checked, body)))
  end
end

-- Cancellation --------------------------------------------------------------------------------------------

--- A body with more suspension points is taken for endless. All runs together pass half the square of this.
local MOST_POINTS = 1000

--- Runs `body` in a task that is cancelled at its suspension point number `k`. Returns the task and the place
--- of that point; nil if the task has ended before it.
local function cancel_at(k, body)
  local target, where
  local points = 0
  local stop = co.observe({ "stop" }, function(_, task)
    if task == target then
      points = points + 1
      if points == k then
        where = task.where
        task:cancel(("suspension point %d"):format(k))
      end
    end
  end)
  co.defer(stop)
  target = co.spawn_with({ name = "body" }, body)
  target:join() -- coropanic: ignore C106: the caller looks at the task
  return target, where
end

--- Runs `body` again and again. Each run cancels it one suspension point later, beginning with the first,
--- until a run ends without being cancelled. At the end of each run `check(k, task)` is called in it: `k`
--- counts the runs, and `task` is the body's, which has ended. Raises if the body or `check` fails, or a task
--- is left over.
---@param opts coropanic.test.options?
---@param body fun()
---@param check? fun(k: integer, task: any)
---@return integer points  # the number of suspension points at which it was cancelled
function test.cancel_everywhere(opts, body, check)
  local checked = options.check("cancel_everywhere", 1, opts)
  options.check_function("cancel_everywhere", 2, body)
  if check ~= nil then
    options.check_function("cancel_everywhere", 3, check)
  end
  local place = place_of(body)
  for k = 1, MOST_POINTS do
    local reached
    local ok, value = pcall(attempt, checked, place, function()
      local task, where = co.call(cancel_at, k, body)
      reached = where or reached
      if task:status() == "panicked" then
        task:await()
      end
      if check then
        check(k, task)
      end
    end)
    if not ok then
      local how = reached and ("at suspension point %d, %s"):format(k, reached) or "nowhere"
      error(failure.annotated(value, { "cancelled " .. how }), 0)
    elseif not reached then
      return k - 1
    end
  end
  error(("%s: still suspends after %d suspension points"):format(place, MOST_POINTS), 0)
end

return test
