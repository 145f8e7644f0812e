--- The functions of nginx that suspend the running light thread: new tasks begin before they do, as before
--- ours. They are replaced where nginx keeps them:
---
---   ngx.sleep, ngx.flush, ngx.location.capture, .capture_multi, ngx.thread.wait, ngx.run_worker_thread,
---   ngx.req.read_body, coroutine.yield
---   the methods of cosockets, in their metatables
---   semaphores of ngx.semaphore, and by coroutine._yield what is written in Lua and loaded later: ngx.pipe

local suspends = {}

--- Methods of cosockets that wait for the network.
local METHODS = { "connect", "sslhandshake", "setpeername", "send", "receive", "receiveany" }

function suspends.open(nginx)
  local compat = require "coropanic.guest.compat"

  local ngx = ngx

  --- The function, before which the new tasks of the running request begin.
  ---@param suspends_here? fun(): boolean  # nil: it always suspends the light thread
  local function beginning(original, suspends_here)
    local function begin_and_call(...)
      if nginx.births > 0 and (not suspends_here or suspends_here()) then nginx.begin_here() end
      return original(...)
    end
    compat.interpreted(begin_and_call)
    return begin_and_call
  end

  local function replace(functions, name, suspends_here)
    local original = functions[name]
    if original then functions[name] = beginning(original, suspends_here) end
  end

  replace(ngx, "sleep")
  replace(ngx, "flush")
  replace(ngx, "run_worker_thread")
  replace(ngx.location, "capture")
  replace(ngx.location, "capture_multi")
  replace(ngx.thread, "wait")
  replace(ngx.req, "read_body")
  replace(require "ngx.semaphore", "wait")
  replace(coroutine, "_yield")
  replace(coroutine, "yield", nginx.is_in_thread) -- in a coroutine inside, it suspends no light thread

  --- Not receiveuntil waits, but its iterator. Its errors are those of its caller.
  local function replace_iterator(methods)
    local original = methods.receiveuntil
    function methods.receiveuntil(...)
      local ok, iterator, err = compat.pcall(original, ...)
      if not ok then error(iterator, 2) end
      if not iterator then return iterator, err end
      return beginning(iterator)
    end
  end

  local function is_of_cosockets(value)
    return type(value) == "table" and rawget(value, "__index") == value and rawget(value, "settimeout") ~= nil
      and rawget(value, "receive") ~= nil
  end

  local done = {}
  for _, methods in pairs(debug.getregistry()) do
    if is_of_cosockets(methods) and not done[methods] then
      done[methods] = true
      if methods.receiveuntil then replace_iterator(methods) end
      for _, name in ipairs(METHODS) do replace(methods, name) end
    end
  end
end

return suspends
