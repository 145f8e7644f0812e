--- Reads what a run of the demo has left in its directory: answers, and the reports on the gateway's stderr.

local cjson = require "cjson.safe"

---@class Evidence
---@field faults string[]  # what is not as it must be, in words
local Evidence = {}
Evidence.__index = Evidence

--- Notes a fault unless `condition` holds.
---@param condition any
---@param format string
---@return boolean holds
function Evidence:expect(condition, format, ...)
  if not condition then
    self.faults[#self.faults + 1] = format:format(...)
  end
  return not not condition
end

---@param name string  # of a file
---@return string text # empty when there is no such file
function Evidence:read(name)
  local file = io.open(self.directory .. "/" .. name, "rb")
  if not file then
    return ""
  end
  local text = file:read("a")
  file:close()
  return text
end

---@class Answer
---@field status integer  # 0: there is none
---@field json table
---@field body string

--- Reads an HTTP answer, which must be exactly one and carry a JSON object.
---@param name string
---@return Answer
function Evidence:answer(name)
  local text = self:read(name)
  local status, head, body = text:match("^HTTP/1%.1 (%d%d%d) (.-)\r\n\r\n(.*)$")
  if not self:expect(status, "%s: no answer", name) then
    return { status = 0, json = {}, body = "" }
  end
  local length = tonumber(head:match("\r\nContent%-Length: (%d+)"))
  self:expect(length == #body, "%s: Content-Length %s, but %d bytes came", name, length, #body)
  local json = cjson.decode(body)
  self:expect(type(json) == "table", "%s: the body is not JSON: %s", name, body)
  return { status = tonumber(status), json = type(json) == "table" and json or {}, body = body }
end

-- The one trace id that a report names.
local function trace_id_of(report)
  for word in report:gmatch("%x+") do
    if #word == 32 then
      return word
    end
  end
end

--- Splits stderr into reports, by trace id. Each begins with a line that no other line looks like; before the
--- first there may be nothing.
---@return table<string, string[]>
function Evidence:reports()
  local all, lines = {}, {}
  local function finish()
    local report = table.concat(lines, "\n"):gsub("%s+$", "")
    lines = {}
    if report == "" then
      return
    end
    local id = trace_id_of(report)
    if self:expect(id, "on stderr, without a trace id:\n%s", report) then
      all[id] = all[id] or {}
      table.insert(all[id], report)
    end
  end
  for line in self:read("stderr"):gmatch("[^\n]*") do
    if line:find("^panic: ") or line:find("^timeout: ") or line:find("^fatal error: ") then
      finish()
    end
    table.insert(lines, line)
  end
  finish()
  return all
end

local evidence = {}

---@param directory string
---@return Evidence
function evidence.open(directory)
  return setmetatable({ directory = directory, faults = {} }, Evidence)
end

return evidence
