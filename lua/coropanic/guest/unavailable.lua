--- The functions of the API that the guest does not have on this host: they say so (docs/portability.md).

local kernel = require "coropanic.guest.kernel"

local NAMES = {
  "accounting", "census", "collector", "cooperative", "ended", "events", "forecast", "leaks", "order",
  "pollfd", "preempt", "record", "recorder", "thread_pool", "wait_fd",
}

local function unavailable(name)
  return function() kernel.raise("co.%s is not available in the guest (docs/portability.md)", name) end
end

return function(api)
  function api.trace.usage()
    kernel.raise "co.trace.usage is not available in the guest (docs/portability.md)"
  end
  for _, name in ipairs(NAMES) do
    if api[name] == nil then api[name] = unavailable(name) end
  end
  api.profile = {}
  for _, name in ipairs { "start", "take", "labels" } do
    api.profile[name] = unavailable("profile." .. name)
  end
end
