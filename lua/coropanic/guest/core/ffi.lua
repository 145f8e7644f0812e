--- The core through the library coropanic/corelib.so (csrc/coropanic_core.h): the same functions as in Lua,
--- with the same results. Returns an empty table where this Lua has no FFI, or the library is not found.

local has_ffi, ffi = pcall(require, "ffi")
if not has_ffi then return {} end

local VERSION = 1 -- of the interface, CP_CORE_VERSION

ffi.cdef [[
  int cp_core_version(void);
  int cp_core_traceparent_parse(char *trace_id, char *span_id, const char *value, size_t length);
  int cp_core_tracestate_parse(char *out, size_t *out_length, const char *value, size_t length);
  size_t cp_core_tracestate_put(char *out, const char *state, size_t length, const char *key,
                                const char *value);
  size_t cp_core_baggage_clean(char *out, const char *value, size_t length);
  size_t cp_core_baggage_decode(char *out, const char *value, size_t length);
  size_t cp_core_baggage_encode(char *out, const char *value, size_t length);

  typedef struct cp_core_stack_hash { uint64_t value; uint64_t last_frame; bool any; } cp_core_stack_hash;
  void cp_core_stack_hash_init(cp_core_stack_hash *hash);
  void cp_core_stack_hash_add(cp_core_stack_hash *hash, const char *source, const char *identity);
  void cp_core_stack_hash_digits(const cp_core_stack_hash *hash, char *out);

  typedef struct cp_core_clock {
    int64_t (*now_ms)(void *ud);
    void (*pause)(void *ud, int64_t ms);
    void *ud;
  } cp_core_clock;
  typedef struct cp_core_ids cp_core_ids;
  cp_core_ids *cp_core_ids_open(const cp_core_clock *clock);
  void cp_core_ids_close(cp_core_ids *ids);
  void cp_core_ids_use_random(cp_core_ids *ids);
  void cp_core_ids_use_uuid7(cp_core_ids *ids);
  void cp_core_ids_use_hlc(cp_core_ids *ids, int64_t max_drift_ms);
  int cp_core_ids_use_snowflake(cp_core_ids *ids, int machine, int64_t epoch_ms, int policy,
                                int64_t tolerance_ms);
  void cp_core_ids_give_back(cp_core_ids *ids);
  void cp_core_ids_start_behind(cp_core_ids *ids, int64_t unix_ms);
  void cp_core_ids_lease_to(cp_core_ids *ids, int64_t unix_ms);
  int64_t cp_core_ids_last_ms(const cp_core_ids *ids);
  int cp_core_ids_next(cp_core_ids *ids, char *out);
  void cp_core_ids_span_id(cp_core_ids *ids, char *out);
  int cp_core_ids_hlc_tick(cp_core_ids *ids, char *out);
  bool cp_core_ids_hlc_believes(const cp_core_ids *ids, const char *remote);
  bool cp_core_ids_hlc_merge(cp_core_ids *ids, const char *remote);
  int64_t cp_core_ids_rejected_clocks(const cp_core_ids *ids);
]]

--- Returns the library at the first place of package.cpath that has one of our version.
local function load()
  for template in package.cpath:gmatch "[^;]+" do
    if template:find("?", 1, true) then
      local path = template:gsub("%?", "coropanic/corelib")
      local ok, library = pcall(ffi.load, path)
      if ok and library.cp_core_version() == VERSION then return library end
    end
  end
end

local lib = load()
if not lib then return {} end

local TRACESTATE_MAX, BAGGAGE_MAX = 512, 8192
local digits32, digits16 = ffi.new "char[32]", ffi.new "char[16]"
local state_out, baggage_out = ffi.new("char[?]", TRACESTATE_MAX), ffi.new("char[?]", BAGGAGE_MAX)
local length_out = ffi.new "size_t[1]"

local traceparent, tracestate, baggage, stack_hash = {}, {}, {}, {}

function traceparent.parse(value)
  local flags = lib.cp_core_traceparent_parse(digits32, digits16, value, #value)
  if flags < 0 then return nil end
  return ffi.string(digits32, 32), ffi.string(digits16, 16), flags
end

function tracestate.parse(value)
  local members = lib.cp_core_tracestate_parse(state_out, length_out, value, #value)
  if members < 0 then return nil end
  return ffi.string(state_out, length_out[0]), members
end

function tracestate.put(state, key, value)
  local length = lib.cp_core_tracestate_put(state_out, state, #state, key, value)
  return ffi.string(state_out, length)
end

function baggage.clean(text)
  local length = lib.cp_core_baggage_clean(baggage_out, text, #text)
  return ffi.string(baggage_out, length)
end

--- Calls a function whose result has at most three bytes for each of the value's.
local function tripled(fn, value)
  local out = ffi.new("char[?]", 3 * #value + 1)
  local length = fn(out, value, #value)
  return ffi.string(out, length)
end

function baggage.decode(value) return tripled(lib.cp_core_baggage_decode, value) end

function baggage.encode(value) return tripled(lib.cp_core_baggage_encode, value) end

local hash = ffi.new "cp_core_stack_hash"

function stack_hash.of(frames)
  lib.cp_core_stack_hash_init(hash)
  for i = 1, #frames, 2 do lib.cp_core_stack_hash_add(hash, frames[i], frames[i + 1] or nil) end
  lib.cp_core_stack_hash_digits(hash, digits16)
  return ffi.string(digits16, 16)
end

local REASONS = {
  "clock back", "clock out", "not leased", "ahead of lease", "forked", "taken", "other epoch",
}
local POLICIES = { wait = 0, borrow = 1, error = 2 }

---@class coropanic.guest.ids.ffi: coropanic.guest.ids
local ids = {}
ids.__index = ids

--- As in Lua; the library has random bits of its own.
---@param clock { now_ms: (fun(): integer), pause: fun(ms: integer) }?  # nil: the system's
function ids.new(_, clock)
  local self = setmetatable({ kind = "random" }, ids)
  if clock then
    self.now_ms = ffi.cast("int64_t (*)(void *)", clock.now_ms)
    self.pause = ffi.cast("void (*)(void *, int64_t)", function(_, ms) clock.pause(tonumber(ms)) end)
    self.clock = ffi.new("cp_core_clock", self.now_ms, self.pause)
  end
  local handle = lib.cp_core_ids_open(self.clock)
  if handle == nil then error("not enough memory", 0) end
  self.handle = ffi.gc(handle, lib.cp_core_ids_close)
  return self
end

function ids:next()
  local status = lib.cp_core_ids_next(self.handle, digits32)
  if status ~= 0 then return nil, REASONS[status] end
  return ffi.string(digits32, 32)
end

function ids:span_id()
  lib.cp_core_ids_span_id(self.handle, digits16)
  return ffi.string(digits16, 16)
end

function ids:use_random()
  lib.cp_core_ids_use_random(self.handle)
  self.kind = "random"
end

function ids:use_uuid7()
  lib.cp_core_ids_use_uuid7(self.handle)
  self.kind = "uuid7"
end

function ids:use_hlc(max_drift_ms)
  lib.cp_core_ids_use_hlc(self.handle, max_drift_ms)
  self.kind = "hlc"
end

function ids:use_snowflake(machine, epoch_ms, policy, tolerance_ms)
  local status = lib.cp_core_ids_use_snowflake(self.handle, machine, epoch_ms, POLICIES[policy], tolerance_ms)
  if status ~= 0 then return REASONS[status] end
  self.kind = "snowflake"
end

function ids:start_behind(unix_ms) lib.cp_core_ids_start_behind(self.handle, unix_ms) end

-- 2^62 is beyond any clock, and infinity is not for 64 bits.
function ids:lease_to(unix_ms) lib.cp_core_ids_lease_to(self.handle, math.min(unix_ms, 2 ^ 62)) end

function ids:last_ms()
  local last_ms = tonumber(lib.cp_core_ids_last_ms(self.handle))
  return last_ms >= 0 and last_ms or nil
end

function ids:give_back() lib.cp_core_ids_give_back(self.handle) end

function ids:hlc_tick()
  local status = lib.cp_core_ids_hlc_tick(self.handle, digits16)
  if status ~= 0 then return nil, REASONS[status] end
  return ffi.string(digits16, 16)
end

function ids:hlc_believes(remote) return lib.cp_core_ids_hlc_believes(self.handle, remote) end

function ids:hlc_merge(remote) return lib.cp_core_ids_hlc_merge(self.handle, remote) end

function ids:rejected_clocks() return tonumber(lib.cp_core_ids_rejected_clocks(self.handle)) end

return {
  traceparent = traceparent, tracestate = tracestate, baggage = baggage, stack_hash = stack_hash, ids = ids,
}
