--- The core of the guest, twin of csrc/core: the headers of W3C Trace Context and Baggage, trace ids, hashes
--- of stacks, sampling. Through the library coropanic/corelib.so where there are an FFI and that library, in
--- Lua otherwise, with the same results.

local core = {
  hex = require "coropanic.guest.core.hex",
  sampling = require "coropanic.guest.core.sampling",
  utf8 = require "coropanic.guest.core.utf8",
}

--- The functions of the library in front of those in Lua.
local native = require "coropanic.guest.core.ffi"
for _, name in ipairs { "traceparent", "tracestate", "baggage", "stack_hash", "ids" } do
  local part = {}
  for key, value in pairs(require("coropanic.guest.core." .. name)) do part[key] = value end
  for key, value in pairs(native[name] or {}) do part[key] = value end
  core[name] = part
end

--- Whether the library is used.
core.is_native = next(native) ~= nil

return core
