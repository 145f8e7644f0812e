--- co.wait_fd by uv_poll. libuv allows one handle for a descriptor, so tasks that wait for the same one share
--- it.

local watch = {}

function watch.open(kernel, luv)
  local args = require "coropanic.guest.args"

  local uv = luv.uv

  --- Descriptor -> {fd, handle, waiters, fire}; waiters: task -> its mode.
  local watched = {}

  --- Makes the handle look for what its tasks wait for; closes it if no task is left.
  local function update(w)
    local mode = nil
    for _, asked in pairs(w.waiters) do
      mode = (mode == nil or mode == asked) and asked or "rw"
    end
    if mode then
      w.handle:start(mode, w.fire)
    else
      watched[w.fd] = nil
      w.handle:close()
    end
  end

  --- The ready directions among those that are asked for; nil: none. An error counts as readiness for all.
  local function matching(asked, events)
    if asked == "rw" then return events end
    return events:find(asked, 1, true) and asked or nil
  end

  local function fire(w, err, events)
    if err or events == "" then events = "rw" end
    for t, asked in pairs(w.waiters) do
      local ready = matching(asked, events)
      if ready then
        t.given = ready
        kernel.wake(t)
      end
    end
  end

  local function leave(t)
    local w = t.waits_on
    if w == nil or w.waiters[t] == nil then return end
    w.waiters[t] = nil
    update(w)
  end

  local WAIT = { name = "wait_fd", from_outside = true, leave = leave }

  function WAIT.text(t) return t.waits_on and "descriptor " .. t.waits_on.fd end

  local function refuse(fd, why) kernel.raise("co.wait_fd: descriptor %d: %s", fd, why) end

  --- Returns the watch of a descriptor; nil if that is always ready, as regular files are.
  local function open(fd)
    local w = watched[fd]
    if w then return w end
    local ok, handle, why, name = pcall(uv.new_poll, fd)
    if not ok then refuse(fd, handle) end
    if handle == nil and name == "EPERM" then return nil end
    if handle == nil then refuse(fd, why) end
    w = { fd = fd, handle = handle, waiters = {} }
    function w.fire(err, events) fire(w, err, events or "") end
    watched[fd] = w
    return w
  end

  local GETTERS = { "getfd", "pollfd", "fileno" }

  local function index(value, name) return value[name] end

  --- A method of an object that returns its descriptor; nil: it has none, or is no object.
  local function find_getter(value)
    if type(value) ~= "table" and type(value) ~= "userdata" then return nil end
    for _, name in ipairs(GETTERS) do
      local ok, get = pcall(index, value, name)
      if ok and get then return get end
    end
  end

  local function check_descriptor(value)
    local get = find_getter(value)
    if get then value = get(value) end
    if type(value) ~= "number" then
      args.type_error(value, 1, "wait_fd", "descriptor or object with getfd, pollfd or fileno", 1)
    end
    if value % 1 ~= 0 then args.refuse(1, "wait_fd", "a descriptor is an integer") end
    return value
  end

  local MODES = { r = true, w = true, rw = true }

  --- libuv needs one turn of its loop to look at a descriptor.
  local LOOK_SECONDS = 0.001

  function kernel.api.wait_fd(descriptor, mode, seconds)
    local fd = check_descriptor(descriptor)
    if not MODES[mode] then args.refuse(2, "wait_fd", '"r", "w" or "rw" expected') end
    args.timeout(seconds, 3, "wait_fd")
    local t = kernel.need "wait_fd"
    local w = open(fd)
    if w == nil then return mode end
    w.waiters[t] = mode
    update(w)
    t.given = nil
    kernel.wait(t, WAIT, w, seconds and math.max(seconds, LOOK_SECONDS))
    local ready = t.given
    t.given = nil
    return ready
  end
end

return watch
