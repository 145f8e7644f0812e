-- The methods of tasks and of the objects in spec/comm/ know their self, whatever else is passed.

local co = require "coropanic"

--- A task that has ended.
local function ended_task()
  local task
  co.run(function()
    task = co.spawn(function() end)
    task:join()
  end)
  return task
end

local upvalue = 1

--- The name that errors give to a file.
local file_name = debug.getmetatable(io.stdout).__name or "userdata"

local makers = {
  task = ended_task,
  channel = function() return co.chan() end,
  mutex = co.mutex,
  rwmutex = co.rwmutex,
  condition = function() return co.condition(co.mutex()) end,
  semaphore = function() return co.semaphore(1) end,
  waitgroup = co.waitgroup,
  event = co.event,
  once = function() return co.once(print) end,
}

--- Methods that say something else about a self that is nil.
local SPEAKS_OF_NIL = { close = true }

local function selfs_that_are_not(type)
  local look_alike = {}
  debug.setmetatable(look_alike, debug.getmetatable(makers.task()))
  local selfs = {
    { nil, "no value" },
    { 1, "number" },
    { "text", "string" },
    { {}, "table" },
    { print, "function" },
    { io.stdout, file_name },
    { coroutine.create(function() end), "thread" },
    { look_alike, "coropanic.task" },
  }
  if debug.upvalueid then -- a light userdata
    selfs[#selfs + 1] = { debug.upvalueid(function() return upvalue end, 1), "userdata" }
  end
  for other, make in pairs(makers) do
    if other ~= type then selfs[#selfs + 1] = { make(), "coropanic." .. other } end
  end
  return selfs
end

for type, make in pairs(makers) do
  describe("a method of a " .. type, function()
    local object = make()
    local methods = debug.getmetatable(object).__index
    if type == "task" then methods = { join = object.join, await = object.await, status = object.status } end
    for name, method in pairs(methods) do
      it("says so of a bad self: " .. name, function()
        for _, self in ipairs(selfs_that_are_not(type)) do
          if self[1] ~= nil or not SPEAKS_OF_NIL[name] then
            local _, message = pcall(method, table.unpack(self, 1, self[1] == nil and 0 or 1))
            local expected = "calling '%s' on bad self (%s expected, got %s)"
            assert.equal(expected:format(name, type, self[2]), tostring(message))
          end
        end
      end)
    end
  end)
end
