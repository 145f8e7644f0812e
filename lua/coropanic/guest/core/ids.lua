--- Generators of trace ids, as 32 lower-case hex digits; csrc/core/id.h has their layouts, sources and
--- promises. A generator keeps the state of each kind while another one is used, so that each goes on in
--- order.

local hex = require "coropanic.guest.core.hex"

local floor = math.floor

local TWO_24 = 2 ^ 24
local LAST_MS = 2 ^ 48 - 1 -- of the 48 bits of uuid7 and hlc

--- Returns `count` random digits.
local function random_digits(self, count) return hex.encode(self.random(count / 2)) end

--- Returns 64 random bits, never zero, as 16 digits: a span id, or half of a trace id.
local function random_half(self)
  local digits
  repeat digits = random_digits(self, 16) until digits:find "[^0]"
  return digits
end

--- Writes 48 bits in halves: not every Lua formats numbers of more than 32 bits.
local function digits_of_ms(ms) return ("%06x%06x"):format(floor(ms / TWO_24), ms % TWO_24) end

local function ms_of_digits(digits)
  return tonumber(digits:sub(1, 6), 16) * TWO_24 + tonumber(digits:sub(7, 12), 16)
end

-- uuid7 -----------------------------------------------------------------------------------------------------

local COUNTER_END = 2 ^ 18

--- The counter's top bit starts as 0: the guard against rollover of RFC 9562, section 6.2.
local function seed_counter(self)
  local a, b, c = self.random(3):byte(1, 3)
  return (a % 2) * 65536 + b * 256 + c
end

local function uuid7_next(self)
  local last_ms, counter = self.uuid7_ms, self.uuid7_counter + 1
  local now_ms = self.clock.now_ms()
  if now_ms > last_ms then
    last_ms, counter = now_ms, seed_counter(self)
  elseif counter == COUNTER_END then
    last_ms, counter = last_ms + 1, seed_counter(self)
  end
  if last_ms > LAST_MS then return nil, "clock out" end
  self.uuid7_ms, self.uuid7_counter = last_ms, counter
  local lower = counter % 64
  return ("%s7%03x%02x%s"):format(digits_of_ms(last_ms), (counter - lower) / 64, 128 + lower,
    random_digits(self, 14))
end

-- snowflake -------------------------------------------------------------------------------------------------

local LAST_SEQUENCE = 4095
local SNOWFLAKE_LAST_MS = 2 ^ 41 - 1

--- Pauses until the clock shows `target_ms`. The clock may be set back once more meanwhile, or stand still,
--- so the sum of the pauses is bounded.
local function wait_until(self, s, target_ms, now_ms)
  local patience = math.max(1, s.tolerance_ms)
  while now_ms < target_ms do
    local missing = target_ms - now_ms
    if missing > patience then return nil end
    self.clock.pause(missing)
    patience = patience - missing
    now_ms = self.clock.now_ms() - s.epoch_ms
  end
  return now_ms
end

--- Returns millisecond and sequence of the next id if the clock does not show a later time than the last id
--- has; nil if the policy can not bridge the difference.
local function go_on(self, s, now_ms)
  local full = s.sequence == LAST_SEQUENCE
  local next_ms = full and s.last_ms + 1 or s.last_ms
  if s.policy == "borrow" then
    if next_ms - now_ms > s.tolerance_ms then return nil end
    return next_ms, full and 0 or s.sequence + 1
  end
  if s.policy == "error" and now_ms < s.last_ms then return nil end
  now_ms = wait_until(self, s, next_ms, now_ms)
  if not now_ms then return nil end
  return now_ms, now_ms > s.last_ms and 0 or s.sequence + 1
end

local function snowflake_next(self)
  local s = self.snowflake
  local now_ms = self.clock.now_ms() - s.epoch_ms
  if now_ms < 0 and not s.last_ms then return nil, "clock out" end
  local ms, sequence = now_ms, 0
  if s.last_ms and now_ms <= s.last_ms then
    ms, sequence = go_on(self, s, now_ms)
    if not ms then return nil, "clock back" end
  end
  if ms > SNOWFLAKE_LAST_MS then return nil, "clock out" end
  if ms + s.epoch_ms > s.leased_to_ms then return nil, "ahead of lease" end
  s.last_ms, s.sequence = ms, sequence
  -- One zero bit, 41 of the time, ten of the machine, twelve of the sequence.
  local low_ms = ms % 1024
  return ("%08x%08x%s"):format((ms - low_ms) / 1024, low_ms * 2 ^ 22 + s.machine * 4096 + sequence,
    random_half(self))
end

-- hybrid logical clock --------------------------------------------------------------------------------------

local LOGICAL_END = 65536

--- Sets the clock. A full logical part carries into the physical part; false if that is full too.
local function hlc_set(self, ms, logical)
  if logical == LOGICAL_END then ms, logical = ms + 1, 0 end
  if ms > LAST_MS then return false end
  self.hlc_ms, self.hlc_logical = ms, logical
  return true
end

local function hlc_digits(self) return ("%s%04x"):format(digits_of_ms(self.hlc_ms), self.hlc_logical) end

local function hlc_next(self)
  local timestamp, reason = self:hlc_tick()
  return timestamp and timestamp .. random_half(self), reason
end

-- any of them -----------------------------------------------------------------------------------------------

local function random_next(self) return random_half(self) .. random_half(self) end

---@class coropanic.guest.ids
---@field kind "random" | "uuid7" | "snowflake" | "hlc"
local ids = {}
ids.__index = ids

local NEXT = { random = random_next, uuid7 = uuid7_next, snowflake = snowflake_next, hlc = hlc_next }

--- Makes a generator of random ids.
---@param random fun(count: integer): string  # so many random bytes
---@param clock { now_ms: (fun(): integer), pause: fun(ms: integer) }  # unix milliseconds; may jump
---@return coropanic.guest.ids
function ids.new(random, clock)
  return setmetatable({
    random = random, clock = clock, kind = "random", rejected = 0, machines = {},
    uuid7_ms = 0, uuid7_counter = 0, hlc_ms = 0, hlc_logical = 0, max_drift_ms = 0,
  }, ids)
end

--- Makes an id.
---@return string? trace_id
---@return string? reason  # "clock back", "clock out", "ahead of lease", "not leased", "forked"
function ids:next() return NEXT[self.kind](self) end

--- Returns a span id.
---@return string
function ids:span_id() return random_half(self) end

function ids:use_random() self.kind = "random" end

function ids:use_uuid7() self.kind = "uuid7" end

---@param max_drift_ms integer  # a remote clock that is further ahead of the machine's is not believed
function ids:use_hlc(max_drift_ms) self.kind, self.max_drift_ms = "hlc", max_drift_ms end

--- Chooses snowflakes, which go on behind the last id that was made here with that machine id.
---@param machine integer  # 0 to 1023
---@param epoch_ms integer
---@param policy "wait" | "borrow" | "error"
---@param tolerance_ms integer
---@return nil | "taken" | "other epoch" refusal
function ids:use_snowflake(machine, epoch_ms, policy, tolerance_ms)
  local before = self.machines[machine] or {}
  if before.last_ms and before.epoch_ms ~= epoch_ms then return "other epoch" end
  self.snowflake = {
    machine = machine, epoch_ms = epoch_ms, policy = policy, tolerance_ms = tolerance_ms,
    last_ms = before.last_ms, sequence = before.sequence, leased_to_ms = math.huge,
  }
  self.machines[machine] = self.snowflake
  self.kind = "snowflake"
end

--- Makes only snowflakes that are later than this millisecond from now on; earlier ones were made elsewhere.
---@param unix_ms integer
function ids:start_behind(unix_ms)
  local s = self.snowflake
  local used_ms = unix_ms - s.epoch_ms
  if used_ms < 0 or s.last_ms and used_ms < s.last_ms then return end
  -- The sequence is not known, so all ids of that millisecond may have been used up.
  s.last_ms, s.sequence = used_ms, LAST_SEQUENCE
end

--- Makes no snowflakes that are later than this.
---@param unix_ms number
function ids:lease_to(unix_ms) self.snowflake.leased_to_ms = unix_ms end

--- Returns the unix millisecond of the last snowflake; nil: none was made.
---@return integer?
function ids:last_ms()
  local s = self.snowflake
  return s and s.last_ms and s.last_ms + s.epoch_ms
end

--- Gives the machine id back, which another generator of the process may then use.
function ids:give_back() self.snowflake = nil end

--- Advances the hybrid logical clock, for a local event or before a message is sent.
---@return string? timestamp  # 16 digits
---@return string? reason
function ids:hlc_tick()
  local now_ms = self.clock.now_ms()
  local set
  if now_ms > self.hlc_ms then
    set = hlc_set(self, now_ms, 0)
  else
    set = hlc_set(self, self.hlc_ms, self.hlc_logical + 1)
  end
  if not set then return nil, "clock out" end
  return hlc_digits(self)
end

--- Returns whether a remote clock is acceptable: not ahead of ours, or not too far ahead of the machine's.
--- The drift of the next timestamp counts: a full logical part carries.
---@param remote string  # 16 digits
---@return boolean
function ids:hlc_believes(remote)
  if remote <= hlc_digits(self) then return true end
  local carry = remote:sub(13) == "ffff" and 1 or 0
  return ms_of_digits(remote) + carry - self.clock.now_ms() <= self.max_drift_ms
end

--- Merges the clock of a message that came in. Returns false if it is not acceptable; the receipt then counts
--- as a local event.
---@param remote string  # 16 digits
---@return boolean
function ids:hlc_merge(remote)
  if not self:hlc_believes(remote) then
    self.rejected = self.rejected + 1
    self:hlc_tick()
    return false
  end
  local now_ms, remote_ms, remote_logical =
    self.clock.now_ms(), ms_of_digits(remote), tonumber(remote:sub(13), 16)
  if now_ms > self.hlc_ms and now_ms > remote_ms then return hlc_set(self, now_ms, 0) end
  if remote_ms > self.hlc_ms then return hlc_set(self, remote_ms, remote_logical + 1) end
  local logical = self.hlc_logical
  if remote_ms == self.hlc_ms and remote_logical > logical then logical = remote_logical end
  return hlc_set(self, self.hlc_ms, logical + 1)
end

--- How many remote clocks were not acceptable.
---@return integer
function ids:rejected_clocks() return self.rejected end

return ids
