--- Machine ids for snowflakes, leased from Redis: a key for each, which one process at a time has and renews.
--- For co.trace.use("snowflake", { lease = lease { ... } }), in a task.
---
--- Taking is SET with NX and PX; renewing and giving back compare the key's value, so that nobody touches
--- what is somebody else's by now (https://redis.io/docs/latest/commands/set/, "patterns").

local co = require "coropanic"
local redis = require "redis"
local socket = require "coropanic.socket"

local DEFAULTS = {
  host = "127.0.0.1",
  port = 6379,
  prefix = "coropanic:machine:",
  ttl = 30, -- seconds
  timeout = 5, -- seconds for one exchange with the server
  first = 0,
  last = 1023,
}

-- A lease ends here before it ends there, even if our clock goes a little slower.
local SAFETY = 0.9

-- Of the time that a lease has, what passes between two renewals, or attempts after one has failed.
local RENEWALS, ATTEMPTS = 3, 10

local RENEW = [[
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])]]

local GIVE_BACK = [[
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])]]

---@class coropanic.lease.redis.options
---@field host string?
---@field port integer?
---@field password string?
---@field db integer?
---@field prefix string?  # of the keys, the machine id follows
---@field ttl number?  # seconds that a lease has, renewed three times as often
---@field timeout number?  # seconds for one exchange with the server
---@field first integer?  # the machine ids to choose from
---@field last integer?
---@field on_lost fun(machine: integer, why: string)?  # the lease is lost: no ids are made any more

-- Option -> what it has to be, and how that is said.
local function is_a(kind)
  return function(value) return type(value) == kind end, kind
end

local function integer_in(low, high)
  return function(value)
    return math.type(value) == "integer" and value >= low and value <= high
  end, ("integer from %d to %d"):format(low, high)
end

local function is_time(value) return type(value) == "number" and value > 0 and value < math.huge end

local CHECKS = {
  host = { is_a "string" },
  port = { integer_in(1, 65535) },
  password = { is_a "string" },
  db = { integer_in(0, 1 << 31) },
  prefix = { is_a "string" },
  ttl = { is_time, "seconds above 0" },
  timeout = { is_time, "seconds above 0" },
  first = { integer_in(0, 1023) },
  last = { integer_in(0, 1023) },
  on_lost = { is_a "function" },
}

local function refuse(message, ...) error("bad argument #1 to 'lease' (" .. message:format(...) .. ")", 4) end

local function check_options(options)
  if type(options) ~= "table" then refuse("table expected, got %s", type(options)) end
  for name, value in pairs(options) do
    local check = CHECKS[name]
    if not check then refuse("unknown option '%s'", tostring(name)) end
    local is_right, expected = table.unpack(check)
    if not is_right(value) then
      local got = type(value) == "number" and tostring(value) or type(value)
      refuse("option '%s': %s expected, got %s", name, expected, got)
    end
  end
  local checked = {}
  for name in pairs(CHECKS) do
    checked[name] = options[name]
    if checked[name] == nil then checked[name] = DEFAULTS[name] end
  end
  if checked.first > checked.last then
    refuse("option 'last': integer from %d on expected, got %d", checked.first, checked.last)
  end
  return checked
end

--- What tells our lease from others': 128 bits of the system's.
local function new_token()
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(16):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

--- Runs `use(client)` with a connection of its own: after an error nobody knows what a connection is at.
--- Returns what it returns, or nil and why not.
local function with_client(options, use)
  local connection = socket.tcp()
  connection:settimeout(options.timeout, "t")
  local ok, result = pcall(function()
    local connected, why = connection:connect(options.host, options.port)
    if not connected then
      error(("could not connect to %s:%d [%s]"):format(options.host, options.port, why), 0)
    end
    local client = redis.connect { socket = connection }
    if options.password then client:auth(options.password) end
    if options.db then client:select(options.db) end
    return use(client)
  end)
  connection:close()
  if ok then return result end
  return nil, tostring(result)
end

local function milliseconds(seconds) return ("%d"):format(math.ceil(seconds * 1000)) end

--- Takes a machine id that nobody has, beginning anywhere: many who start together want different ones.
local function take(options, token)
  local count = options.last - options.first + 1
  local start = math.random(0, count - 1)
  return with_client(options, function(client)
    for i = 0, count - 1 do
      local machine = options.first + (start + i) % count
      local key = options.prefix .. machine
      local asked = co.now()
      if client:set(key, token, "NX", "PX", milliseconds(options.ttl)) then
        return { key = key, machine = machine, asked = asked }
      end
    end
    return false
  end)
end

--- Our machine id until the lease is over by our clock, since the moment at which it was asked for.
local function hold_since(asked, options, hold)
  return hold(math.max(options.ttl * SAFETY - (co.now() - asked), 0))
end

local function evaluate(options, script, taken, token)
  return with_client(options, function(client)
    return client:eval(script, 1, taken.key, token, milliseconds(options.ttl))
  end)
end

--- Renews the lease until it is not wanted any more, or lost.
local function renew(options, taken, token, hold)
  -- First nobody makes ids, then somebody else may.
  co.defer(function()
    hold(0)
    evaluate(options, GIVE_BACK, taken, token)
  end)
  local pause = options.ttl / RENEWALS
  while true do
    co.sleep(pause)
    local asked = co.now()
    local renewed = evaluate(options, RENEW, taken, token)
    if renewed == 1 then
      if not hold_since(asked, options, hold) then return end
      pause = options.ttl / RENEWALS
    elseif renewed == 0 then
      hold(0)
      if options.on_lost then options.on_lost(taken.machine, "its key has expired, or was taken away") end
      return
    else
      -- The server can't be reached. The lease ends by itself, or is still ours when it can be.
      pause = options.ttl / ATTEMPTS
    end
  end
end

--- A function for the option `lease` of co.trace.use.
---@param options coropanic.lease.redis.options?
---@return fun(hold: fun(seconds: number): boolean): integer
return function(options)
  options = check_options(options or {})
  return function(hold)
    if not co.current() then
      error("a lease from Redis outside a task: a task renews it, so call co.trace.use in one", 0)
    end
    local token = new_token()
    local taken, why = take(options, token)
    if taken == nil then error("no machine id could be leased: " .. why, 0) end
    if not taken then
      local message = "no machine id could be leased: all from %d to %d are taken"
      error(message:format(options.first, options.last), 0)
    end
    hold_since(taken.asked, options, hold)
    co.spawn_with({
      name = "lease of machine id " .. taken.machine,
      daemon = true,
      context = co.context.background(), -- whatever scope this is called in
    }, renew, options, taken, token, hold)
    return taken.machine
  end
end
