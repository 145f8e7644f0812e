--- OTLP's messages as JSON.

local cjson = require "cjson.safe"

---@alias coropanic.export.otlp.signal "traces" | "logs" | "metrics"

local json = { content_type = "application/json" }

---@param _ coropanic.export.otlp.signal
---@param request table  # as coropanic.export.otlp.model makes it
---@return string
function json.encode(_, request) return assert(cjson.encode(request)) end

---@param _ coropanic.export.otlp.signal
---@param answer string
---@return table?  # nil: the answer is no message
function json.decode(_, answer)
  local response = cjson.decode(answer)
  return type(response) == "table" and response or nil
end

return json
