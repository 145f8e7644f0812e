--- What /lanes answers: what tasks did in the last seconds, from the recorder. It is made in slices, between
--- which the other tasks run.

local co = require "coropanic"
local http = require "coropanic.debug.http"
local json = require "coropanic.debug.json"
local slices = require "coropanic.debug.slices"
local text_of = require "coropanic.text"

local lanes = {}

lanes.CONTRACT = "coropanic-explorer-lanes/1"

local MAX_SECONDS = 60
local SECONDS = 10 -- unless the request says how many
local EVENTS_IN_STEP = 4096 -- less than 0.2 ms
local MAX_NAME = 200 -- characters

--- Writes seconds since 1970 to the microsecond, which needs more digits than other numbers get.
local function moment(seconds)
  local us = math.floor(seconds * 1e6 + 0.5)
  return ("%d.%06d"):format(us // 1000000, us % 1000000)
end

local function head(window, recording)
  local fields = {
    schema = lanes.CONTRACT, recording = recording, lost = window.lost, omitted = window.omitted,
    merged = window.merged,
  }
  local text = json.encode(fields):sub(1, -2)
  return ('%s,"from":%s,"to":%s'):format(text, moment(window.from), moment(window.to))
end

local function names_of_ended()
  local names = {}
  for _, one in ipairs((co.ended())) do names[one.id] = one.name end
  return names
end

--- Writes one lane in pieces, because it may have all of the spans.
local function write_lane(parts, found, number, ended, pause)
  local id, name = found:lane(number)
  name = name or ended[id] or ("task %d"):format(id)
  name = text_of.cut(text_of.valid(name), MAX_NAME)
  parts[#parts + 1] = number > 1 and "," or nil
  parts[#parts + 1] = ('{"id":%d,"name":%s,"spans":['):format(id, json.encode(name))
  local piece, comma = found:spans(number), ""
  while piece do
    parts[#parts + 1] = comma .. piece
    pause()
    piece, comma = found:spans(number), ","
  end
  parts[#parts + 1] = "]}"
end

--- Returns the JSON for the last seconds.
---@param seconds number
---@return string
function lanes.encode(seconds)
  local recorder = co.recorder()
  if not recorder then
    local now = os.time()
    return head({ from = now, to = now, lost = 0, omitted = 0, merged = 0 }, false) .. ',"lanes":[]}'
  end
  local pause, found = slices.new(), recorder:lanes(seconds)
  while found:step(EVENTS_IN_STEP) do pause() end
  local window, ended = found:window(), names_of_ended()
  local parts = { head(window, true), ',"lanes":[' }
  for number = 1, window.count do write_lane(parts, found, number, ended, pause) end
  parts[#parts + 1] = "]}"
  return table.concat(parts)
end

--- Answers a request.
---@return coropanic.debug.response
function lanes.answer(_, request)
  local seconds, refusal = http.number(request, "seconds", MAX_SECONDS, SECONDS)
  if not seconds then return refusal end
  return http.text(200, lanes.encode(seconds), "application/json")
end

return lanes
