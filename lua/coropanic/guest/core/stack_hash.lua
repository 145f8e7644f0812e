--- A stack's hash: the same for the same code path on any machine and in any Lua (csrc/core/stack_hash.h).
--- FNV-1a of 64 bits, in halves of 32 bits, whose products with the prime are exact in a double.

local floor, byte = math.floor, string.byte

local stack_hash = {}

local TWO_32 = 2 ^ 32
local PRIME_LOW, PRIME_SHIFT = 0x1b3, 2 ^ 8 -- the prime is 2^40 + 1b3; of 2^40 the upper half sees 2^8

--- Exclusive or of two half bytes, at 16 * a + b: Lua 5.1 has no operator for it.
local xor_of = {}
for a = 0, 15 do
  for b = 0, 15 do
    local xor, left, right, bit = 0, a, b, 1
    while bit < 16 do
      if left % 2 ~= right % 2 then xor = xor + bit end
      left, right, bit = floor(left / 2), floor(right / 2), bit * 2
    end
    xor_of[16 * a + b] = xor
  end
end

--- Returns the FNV-1a hash of a text, as 16 hex digits.
---@param text string
---@return string
function stack_hash.fnv1a(text)
  local high, low = 0xcbf29ce4, 0x84222325
  for i = 1, #text do
    local c = byte(text, i)
    local old, c_low, old_low = low % 256, c % 16, low % 16
    low = low - old + 16 * xor_of[old - old_low + (c - c_low) / 16] + xor_of[16 * old_low + c_low]
    local product = low * PRIME_LOW
    high = (high * PRIME_LOW + low * PRIME_SHIFT + floor(product / TWO_32)) % TWO_32
    low = product % TWO_32
  end
  return ("%08x%08x"):format(high, low)
end

local LOWER = {}
for c in ("ABCDEFGHIJKLMNOPQRSTUVWXYZ"):gmatch "." do LOWER[c] = c:lower() end

--- C's strings end at a zero byte, and so do the texts that are hashed.
local function up_to_zero(text)
  local zero = text:find("\0", 1, true)
  return zero and text:sub(1, zero - 1) or text
end

--- Accepts both separators on every system, so that a file has the same hash wherever it was loaded.
local function module_of(source)
  if not source:find "^[@=]" then return "[string]" end
  return (up_to_zero(source):sub(2):match "[^/\\]*$":gsub("%u", LOWER))
end

--- Returns the hash of the frames from the innermost to the outermost, as 16 hex digits. A run of equal ones
--- (direct recursion) counts once.
---@param frames (string|false)[]  # for each: its chunk name ("@path", "=[C]" or text), its identity or false
---@return string
function stack_hash.of(frames)
  local lines, last = {}, nil
  for i = 1, #frames, 2 do
    local identity = frames[i + 1]
    local line = module_of(frames[i]) .. ":" .. (identity and up_to_zero(identity) or "?") .. "\n"
    if line ~= last then lines[#lines + 1] = line end
    last = line
  end
  return stack_hash.fnv1a(table.concat(lines))
end

--- Returns a function's identity in a hash of that version; nil or false if it has none.
---@param version 1|2
---@param what string  # "Lua", "main" or "C"
---@param name string?  # under which it was called
---@param fingerprint string?  # 16 hex digits
---@return string?
function stack_hash.identity(version, what, name, fingerprint)
  if version == 1 then return name end
  if what == "main" then return what end
  return fingerprint or name
end

return stack_hash
