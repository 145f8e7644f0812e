--- The guest: the API of coropanic in Lua alone, for Luas in which the C module does not work
--- (docs/portability.md). `require "coropanic"` returns this module's table there.

local kernel = require "coropanic.guest.kernel"
local port = require "coropanic.guest.port"

--- The same as CP_VERSION in csrc/coropanic.h.
kernel.api._VERSION = "1.0.0"

for _, name in ipairs {
  "frames", "record", "unwind", "cancel", "args", "record_object", "handler", "unhandled", "task",
  "task_object", "obstacle", "observe", "inspect", "coroutine", "plain_pcall", "spawn", "shutdown",
  "lib_trace", "lib_span", "lib_baggage", "lib_trace_use",
  "deadlock", "mutex", "rwmutex", "condition", "semaphore", "waitgroup", "event", "once", "task_local",
  "chan", "select", "context", "context_after", "member", "scope", "with",
} do
  require("coropanic.guest." .. name)
end

if port.open then port.open(kernel) end

require "coropanic.guest.unavailable"(kernel.api)

return kernel.api
