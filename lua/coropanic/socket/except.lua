--- luasocket's exceptions: try, newtry and protect, which may suspend.

local except = {}

--- The metatable of the exceptions that try raises and protect turns into results. Other errors pass through
--- protect.
local exception = {}

function exception:__tostring()
  return tostring(self.reason)
end

--- Like luasocket's newtry. `finalizer` runs before the exception is raised, and may suspend.
---@param finalizer fun()?
function except.newtry(finalizer)
  return function(...)
    if ... then
      return ...
    end
    if finalizer then
      pcall(finalizer)
    end
    error(setmetatable({ reason = (select(2, ...)) }, exception), 0)
  end
end

except.try = except.newtry()

--- An exception that has passed a frame of co.func is the value of a record.
local function exception_of(raised)
  if type(raised) == "userdata" and getmetatable(raised) == "coropanic.record" then
    raised = raised.value
  end
  return getmetatable(raised) == exception and raised or nil
end

local function results_of(ok, ...)
  if ok then
    return ...
  end
  local caught = exception_of((...))
  if not caught then
    error((...), 0)
  end
  return nil, caught.reason
end

--- Returns a function that calls `fn` and turns exceptions of try into `nil, reason`. Panics and
--- cancellations pass.
---@param fn fun(...): ...
function except.protect(fn)
  return function(...)
    return results_of(pcall(fn, ...))
  end
end

return except
