--- luasocket's select for tasks.

local co = require "coropanic"
local core = require "socket"

co.cooperative()

--- Returns the descriptor of an object; nil if it has none or is closed, and so is left out.
local function descriptor_of(object)
  local getfd = object.getfd
  local fd = getfd and tonumber((getfd(object)))
  return fd and fd >= 0 and math.tointeger(fd) or nil
end

--- Returns the open sockets of a list. As in luasocket, a descriptor counts once, and the last object that
--- has it stands for it.
---@return { fds: integer[], objects: table<integer, any> }
local function open_in(list)
  local fds, objects = {}, {}
  for _, object in ipairs(list) do
    local fd = descriptor_of(object)
    if fd then
      if not objects[fd] then
        fds[#fds + 1] = fd
      end
      objects[fd] = object
    end
  end
  table.sort(fds)
  return { fds = fds, objects = objects }
end

--- Adds an object to the list of ready ones, by number and by object.
local function add(ready, object)
  ready[#ready + 1] = object
  ready[object] = #ready
end

--- Adds the sockets that have read ahead, which come first.
---@return table<integer, boolean> dirty  # by descriptor
local function add_dirty(ready, list)
  local dirty = {}
  for _, object in ipairs(list) do
    local fd = descriptor_of(object)
    if fd and object.dirty and object:dirty() then
      add(ready, object)
      dirty[fd] = true
    end
  end
  return dirty
end

local function add_ready(ready, sockets, mode, dirty)
  for _, fd in ipairs(sockets.fds) do
    if not dirty[fd] and co.wait_fd(fd, mode, 0) then
      add(ready, sockets.objects[fd])
    end
  end
end

--- Returns what to wait for, by descriptor.
---@return table<integer, "r" | "w" | "rw">
local function modes_of(readers, writers)
  local modes = {}
  for _, fd in ipairs(readers.fds) do
    modes[fd] = "r"
  end
  for _, fd in ipairs(writers.fds) do
    modes[fd] = modes[fd] and "rw" or "w"
  end
  return modes
end

local function cancel(tasks)
  for _, task in ipairs(tasks) do
    task:cancel "select has ended"
  end
end

local watching = { __close = cancel }

--- Parks until one of the descriptors is ready or closed. A task for each waits for it. These tasks belong to
--- no scope, because select may be called where no scope can be opened.
---@return integer? closed  # the descriptor that was closed
local function wait_for_any(modes, seconds)
  local options = {
    name = "socket.select", daemon = true, detached_trace = true, context = co.context.background(),
  }
  local watchers <close> = setmetatable({}, watching)
  local closed = co.await(function(resume)
    for fd, mode in pairs(modes) do
      watchers[#watchers + 1] = co.spawn_with(options, function()
        local _, err = co.wait_fd(fd, mode, seconds)
        resume(err == "closed" and fd or nil)
      end)
    end
  end)
  cancel(watchers)
  for _, task in ipairs(watchers) do
    task:join()
  end
  return closed
end

--- Returns a socket that was closed meanwhile as ready: its next call reports that.
local function return_closed(fd, readers, writers)
  local readable, writable = {}, {}
  if readers.objects[fd] then
    add(readable, readers.objects[fd])
  end
  if writers.objects[fd] then
    add(writable, writers.objects[fd])
  end
  return readable, writable
end

local function select_in_task(read_list, write_list, seconds)
  local deadline = seconds and seconds >= 0 and co.now() + seconds or nil
  co.yield()
  while true do
    local readable, writable = {}, {}
    local readers, writers = open_in(read_list), open_in(write_list)
    add_ready(readable, readers, "r", add_dirty(readable, read_list))
    add_ready(writable, writers, "w", {})
    local left = deadline and math.max(deadline - co.now(), 0)
    local modes = modes_of(readers, writers)
    if #readable + #writable > 0 then
      return readable, writable
    elseif left == 0 then
      return readable, writable, "timeout"
    elseif next(modes) == nil then
      co.sleep(left or math.huge)
    else
      local closed = wait_for_any(modes, left)
      if closed then
        return return_closed(closed, readers, writers)
      end
    end
  end
end

local function is_list(value)
  return value == nil or type(value) == "table"
end

--- Like luasocket's select, but a descriptor may have any number.
return function(readers, writers, seconds)
  local checked = is_list(readers) and is_list(writers) and (seconds == nil or tonumber(seconds))
  if checked and co.current() then
    return select_in_task(readers or {}, writers or {}, tonumber(seconds))
  end
  return core.select(readers, writers, seconds) -- it also reports wrong arguments
end
