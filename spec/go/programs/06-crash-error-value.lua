local co = require "coropanic"

--- fmt.Errorf with %w: an error whose text ends with that of the one it wraps.
local function wrap(text, inner)
  return setmetatable({ inner = inner }, {
    __tostring = function(self)
      return self.inner and text .. tostring(self.inner) or text
    end,
  })
end

co.run_with({ unhandled = "crash" }, function()
  co.panic(wrap("wrapped: ", wrap("inner")))
end)
