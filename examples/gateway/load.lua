--- Writes the planned requests to a directory: `curl.conf` for curl --config, and `NNNN.raw` for those that
--- curl would not send. Usage: load.lua http://127.0.0.1:PORT DIRECTORY

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/?.lua;" .. package.path
local plan = require "plan"

local base, directory = arg[1], arg[2]
local MAX_SECONDS = 60 -- for one request on a slow machine; it takes a few milliseconds

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

---@param planned Planned
local function curl_options(planned)
  local kind = planned.kind
  local lines = {
    "url = " .. quoted(base .. kind.path),
    "output = " .. quoted(directory .. "/" .. planned.file .. ".answer"),
    "include", "silent", "show-error", 'noproxy = "*"', "max-time = " .. MAX_SECONDS,
  }
  local function add(option, value)
    lines[#lines + 1] = option .. " = " .. quoted(value)
  end
  if kind.method then
    add("request", kind.method)
  end
  if kind.body then
    add("data-binary", kind.body)
  end
  if kind.token then
    add("header", "Authorization: Bearer " .. kind.token)
  end
  if planned.trace_id then
    add("header", ("TraceParent: 00-%s-%s-01"):format(planned.trace_id, planned.parent_id))
    add("header", "Tracestate: " .. plan.TRACESTATE)
  elseif kind.trace ~= "none" then
    for header in kind.trace:gmatch("[^\n]+") do
      add("header", header)
    end
  end
  return table.concat(lines, "\n")
end

local sections = {}
for _, planned in ipairs(plan.requests()) do
  if planned.kind.raw then
    write(("%s/%s.raw"):format(directory, planned.file), planned.kind.raw)
  else
    sections[#sections + 1] = curl_options(planned)
  end
end
write(directory .. "/curl.conf", table.concat(sections, "\nnext\n") .. "\n")
