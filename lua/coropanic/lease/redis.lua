--- Leases machine ids for snowflakes from Redis. Each machine id has a key, which one process at a time holds
--- and renews. Use it in a task: co.trace.use("snowflake", { lease = lease { ... } }).
---
--- A lease is taken by SET with NX and PX. Renewing and giving back compare the key's value first, so that no
--- process touches another one's lease (https://redis.io/docs/latest/commands/set/, "patterns"). A second key
--- keeps the time of the last id of each machine id, because the next holder's clock may be behind.

local co = require "coropanic"
local redis = require "redis"
local socket = require "coropanic.socket"

co.cooperative()

local DEFAULTS = {
  host = "127.0.0.1",
  port = 6379,
  prefix = "coropanic:machine:",
  ttl = 30, -- seconds
  timeout = 5, -- seconds for one exchange with the server
  first = 0,
  last = 1023,
}

-- Our lease ends before the server's, even if our clock is a little slow.
local SAFETY = 0.9

-- A lease's time is divided by these numbers: the first part passes between two renewals, the second between
-- two attempts after one has failed.
local RENEWALS, ATTEMPTS = 3, 10

-- The longest that the end of a run waits for giving back; after that the key expires by itself.
local GIVE_BACK_SECONDS = 1

-- Longer times are mistakes: a machine id whose holder does not give it back is lost for as long.
local MAX_SECONDS = 86400

-- The keys of a machine id. KEYS[1] is the lease; its value is the holder's token. KEYS[2] is the last unix
-- millisecond that its ids may have by now, and outlives all leases. During a lease it is the millisecond up
-- to which the lease reaches, so that it is right even if the holder falls silent.

local TAKE = [[
local last = tonumber(redis.call('get', KEYS[2]) or 0)
if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local to = math.max(last, tonumber(ARGV[3])) + tonumber(ARGV[2])
redis.call('set', KEYS[2], string.format('%.0f', to))
return {last, to}]]

-- A message that the network has delayed must not set the time back.
local RENEW = [[
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(redis.call('get', KEYS[2]) or 0) < tonumber(ARGV[3]) then redis.call('set', KEYS[2], ARGV[3]) end
return redis.call('pexpire', KEYS[1], ARGV[2])]]

-- A holder that does not know the last millisecond was never told that it has the lease, and has made no ids.
-- Then the time that TAKE has added is taken off again; otherwise attempts without an answer would add it
-- again and again.
local GIVE_BACK = [[
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
local last = ARGV[2]
if last == '' then
  last = string.format('%.0f', tonumber(redis.call('get', KEYS[2]) or 0) - tonumber(ARGV[3]))
end
redis.call('set', KEYS[2], last)
return redis.call('del', KEYS[1])]]

---@class coropanic.lease.redis.options
---@field host string?
---@field port integer?
---@field password string?
---@field db integer?
---@field prefix string?  # of the keys; the machine id follows it
---@field ttl number?  # seconds of a lease, which is renewed three times in that time
---@field timeout number?  # seconds for one exchange with the server
---@field first integer?  # the machine ids to choose from
---@field last integer?
---@field on_lost fun(machine: integer, why: string)?  # called when the lease is lost: it makes no more ids

-- Option -> a check of its value, and what that expects.
local function is_a(kind)
  return function(value) return type(value) == kind end, kind
end

local function integer_in(low, high)
  return function(value)
    return math.type(value) == "integer" and value >= low and value <= high
  end, ("integer from %d to %d"):format(low, high)
end

local function is_time(value) return type(value) == "number" and value > 0 and value <= MAX_SECONDS end

local TIME = ("seconds above 0 and at most %d"):format(MAX_SECONDS)

local CHECKS = {
  host = { is_a "string" },
  port = { integer_in(1, 65535) },
  password = { is_a "string" },
  db = { integer_in(0, 0x80000000) },
  prefix = { is_a "string" },
  ttl = { is_time, TIME },
  timeout = { is_time, TIME },
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

--- Returns the token that tells our lease from others: 128 bits from the system.
local function new_token()
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(16)
  file:close()
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function raise(message) error(message, 0) end

--- Runs `use(client)` with a new connection, because the state of a connection is unknown after an error.
--- Returns its result, or nil and why not.
local function with_client(options, use)
  local ok, result = co.pcall(co.call, function()
    local connection = socket.tcp()
    co.defer(connection.close, connection)
    connection:settimeout(options.timeout, "t")
    local connected, why = connection:connect(options.host, options.port)
    if not connected then
      raise(("could not connect to %s:%d [%s]"):format(options.host, options.port, why))
    end
    local client = redis.connect { socket = connection }
    client.error = raise -- without the library's own position
    if options.password then client:auth(options.password) end
    if options.db then client:select(options.db) end
    return use(client)
  end)
  if ok then return result end
  return nil, result.message
end

local function milliseconds(seconds) return math.ceil(seconds * 1000) end

local function wall_ms() return math.floor(socket.gettime() * 1000) end

-- The life of a lease -------------------------------------------------------------------------------------

---@class coropanic.lease.redis.lease
---@field options coropanic.lease.redis.options
---@field hold fun(seconds: number?, to: integer?): boolean?, integer?  # from co.trace.use
---@field token string  # the value of its key
---@field keys string[]?  # the machine id's two keys, from the moment that the lease may be ours
---@field machine integer?  # nil: not taken yet
---@field last integer?  # the unix millisecond after which its ids begin
---@field ends number?  # its end by co.now, unless it is renewed
---@field decided coropanic.event  # set when the lease is taken or can't be had
---@field why string?  # the reason why it can't be had

--- Runs a script on the lease's keys. Returns its result, or nil and why not.
local function evaluate(l, seconds, script, argument)
  local in_time, result, why = co.with_timeout(seconds, with_client, l.options, function(client)
    return client:eval(script, 2, l.keys[1], l.keys[2], l.token, table.unpack(argument))
  end)
  if in_time then return result, why end
  return nil, ("no answer within %g seconds"):format(seconds)
end

--- Asks for one machine id. The lease lasts from the moment of asking.
local function try(l, client, machine)
  local options = l.options
  local key = options.prefix .. machine
  l.keys = { key, key .. ":last" }
  l.hold()
  local asked = co.now()
  local reply = client:eval(TAKE, 2, l.keys[1], l.keys[2], l.token, milliseconds(options.ttl), wall_ms())
  if not reply then
    l.keys = nil
    return false
  end
  l.last, l.ends = reply[1], asked + options.ttl * SAFETY
  l.hold(options.ttl * SAFETY, reply[2])
  l.machine = machine
  return true
end

--- Takes a free machine id. The search begins at a random one, because many processes that start together
--- want different ones.
local function take(l)
  local first, count = l.options.first, l.options.last - l.options.first + 1
  local start = math.random(0, count - 1)
  local taken, why = with_client(l.options, function(client)
    for i = 0, count - 1 do
      if try(l, client, first + (start + i) % count) then return true end
    end
    return false
  end)
  if taken == false then why = ("all from %d to %d are taken"):format(first, l.options.last) end
  l.why = why
end

--- Sleeps until it is time to renew the lease. why: the reason why the last attempt failed, if it did. No
--- attempt is made if too little time is left for it: its failure would hide the reason.
local function pause(l, why)
  local seconds, left = l.options.ttl / (why and ATTEMPTS or RENEWALS), l.ends - co.now()
  if why and left < 2 * seconds then seconds = left end
  co.sleep(math.max(math.min(seconds, left), 0))
end

--- Renews the lease until it is no longer wanted. Returns why it was lost; nil if it was not.
local function renew(l)
  local ttl, why = l.options.ttl, nil
  while true do
    pause(l, why)
    local wanted, last = l.hold()
    if not wanted then return nil end
    local asked = co.now()
    local seconds = l.options.timeout
    if asked < l.ends then
      seconds = math.min(seconds, l.ends - asked)
    elseif why then
      return why
    end -- else no attempt was made in time: other code has blocked the loop, or the first answer was late
    local to = math.max(wall_ms(), last or 0) + milliseconds(ttl)
    local renewed, why_not = evaluate(l, seconds, RENEW, { milliseconds(ttl), to })
    if renewed == 1 then
      why, l.ends = nil, asked + ttl * SAFETY
      l.hold(ttl * SAFETY, to)
    elseif renewed == 0 then
      l.keys = nil
      return "its key has expired, or was taken away"
    else
      why = why_not -- The lease ends by itself, unless a later attempt succeeds.
    end
  end
end

--- Gives the lease back: first stops making ids, then lets another process make later ones. A forked child
--- leaves everything to its parent.
local function give_back(l)
  local wanted, last = l.hold(0)
  if wanted == nil or not l.keys then return end
  evaluate(l, math.min(GIVE_BACK_SECONDS, l.options.timeout), GIVE_BACK,
    { last or l.last or "", milliseconds(l.options.ttl) })
end

--- The task of a lease, from taking to giving back.
local function keep(l)
  co.defer(give_back, l)
  take(l)
  l.decided:set()
  local why = l.machine and l.hold() and renew(l)
  if not why then return end
  l.hold(0)
  if l.options.on_lost then l.options.on_lost(l.machine, why) end
end

--- Returns a function for the option `lease` of co.trace.use.
---@param options coropanic.lease.redis.options?
---@return async fun(hold: coropanic.trace.hold): integer, integer
return function(options)
  options = check_options(options or {})
  return function(hold)
    if not co.current() then
      raise "a lease from Redis outside a task: a task renews it, so call co.trace.use in one"
    end
    local l = { options = options, hold = hold, token = new_token(), decided = co.event() }
    co.spawn_with({
      name = "lease of a machine id",
      daemon = true,
      context = co.context.background(), -- independent of the scope that this is called in
    }, keep, l)
    l.decided:wait()
    if not l.machine then raise("no machine id could be leased: " .. l.why) end
    return l.machine, l.last
  end
end
