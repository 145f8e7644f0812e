--- co.task_local: a variable with a value of its own for every task. The twin of csrc/lua/lib_local.c.

local kernel = require "coropanic.guest.kernel"
local object = require "coropanic.guest.object"
local port = require "coropanic.guest.port"

local methods = {}
local LOCAL = object.type("task_local", methods)
local check = object.checker(LOCAL)

--- The values of a task stand in the task, so that they go with it even if they refer to it: not all Luas
--- have ephemeron tables.
local VALUES = { __mode = "k" }

local NIL = {} -- stands for a nil that was set

--- What has the values of the running code: its task, or the universe.
local function holder()
  local u = port.state()
  return u.current or u
end

function methods.get(self)
  local l = check(self, "get")
  local values = holder().locals
  local value = values and values[l]
  if value == nil then return l.default end
  if value == NIL then return nil end
  return value
end

function methods.set(self, value)
  local l = check(self, "set")
  if value == nil then value = NIL end
  local h = holder()
  h.locals = h.locals or setmetatable({}, VALUES)
  h.locals[l] = value
end

function kernel.api.task_local(default) return setmetatable({ default = default }, LOCAL) end
