--- What coropanic.debug answers: each route is one line in ROUTES.

local co = require "coropanic"
local access = require "coropanic.debug.access"
local history = require "coropanic.debug.history"
local http = require "coropanic.debug.http"
local json = require "coropanic.debug.json"
local lanes = require "coropanic.debug.lanes"
local leaks = require "coropanic.debug.leaks"
local panics = require "coropanic.debug.panics"
local report_text = require "coropanic.debug.text"
local rows = require "coropanic.debug.rows"
local slices = require "coropanic.debug.slices"
local tools = require "coropanic.debug.tools"

local routes = {}

local JSON = "application/json"
local MAX_STACK = 32768 -- bytes
local SLOTS_IN_STEP = 2048 -- about 0.1 ms
local SECONDS = 1 -- between two looks of a stream
local MAX_SILENCE = 15 -- looks without a change, after which a stream says that it lives

-- On each answer: nobody else may show, read or keep it.
local SAFE = {
  ["Cache-Control"] = "no-store",
  ["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'",
  ["Cross-Origin-Resource-Policy"] = "same-origin",
  ["Referrer-Policy"] = "no-referrer",
  ["X-Content-Type-Options"] = "nosniff",
  ["X-Frame-Options"] = "DENY",
}

---@class coropanic.debug.view
---@field source coropanic.debug.source
---@field rules { token: string?, is_host: (fun(value: string): boolean)? }

--- The changes since a version, each second, as server-sent events. A client that knows the present version
--- gets only what changes from now on; any other one gets the whole state first.
local function stream(source, since)
  local before = source:get()
  local parts = {}
  if since ~= before.version then
    parts[1] = ("event: state\nid: %d\ndata: %s\n\n"):format(before.version, source:encode(before))
  end
  parts[#parts + 1] = parts[1] == nil and ": from now on\n\n" or nil
  local silence, sampled = 0, 0
  return function()
    if parts[1] then return table.remove(parts, 1) end
    while true do
      co.sleep(SECONDS)
      local made = source:get()
      if made.version ~= before.version then
        local data = source:encode_changes(made, before)
        before, silence, sampled = made, 0, source.series.count
        return ("event: change\nid: %d\ndata: %s\n\n"):format(made.version, data)
      end
      local point
      point, sampled = source:encode_point(made, sampled)
      if point then return ("event: point\ndata: %s\n\n"):format(point) end
      silence = silence + 1
      if silence == MAX_SILENCE then
        silence = 0
        return ": still here\n\n"
      end
    end
  end
end

local function answer_state(view, request)
  local since = http.parameter(request.query, "since")
  if since then
    if not since:find "^%d+$" or #since > 15 then return http.refuse(400, "'since' is not a version") end
    return {
      status = 200, headers = { ["Content-Type"] = "text/event-stream" }, body = "",
      stream = stream(view.source, math.tointeger(tonumber(since))),
    }
  end
  local made = view.source:get()
  local etag = ('W/"%d"'):format(made.version)
  local known = request.headers["if-none-match"]
  local response = http.text(200, "", JSON)
  if known == etag or known == etag:sub(3) then
    response.status = 304
  else
    response.body = view.source:encode(made)
  end
  response.headers.ETag = etag
  response.headers["Cache-Control"] = "no-cache, private"
  return response
end

--- Returns a live task by its id, without a list of all; nil: there is none.
local function find_task(id)
  local census, pause = co.census(0), slices.new()
  repeat
    local task, more = census:find(id, SLOTS_IN_STEP)
    if task then return task, census end
    pause()
  until not more
  return nil, census
end

local function panics_of(id)
  local found = {}
  for _, one in ipairs((panics.all())) do
    if one.task == id then
      found[#found + 1] = { seq = one.seq, recovered = one.recovered, report = one.report, panic = one.panic }
    end
  end
  return found
end

local function answer_task(_, _, id)
  id = #id <= 18 and math.tointeger(tonumber(id)) or 0
  if id == 0 then return http.refuse(404, "there is no such task") end
  local task, census = find_task(id)
  local told = { contract = "coropanic-task/1", panics = json.list(panics_of(id)) }
  if task then
    told.task = rows.describe(task, census)
    told.task.span_id = task.span_id
    told.stack = co.dump(task):sub(1, MAX_STACK)
  end
  for _, one in ipairs((co.ended())) do
    if one.id == id then told.ended = one end
  end
  if not (told.task or told.ended or told.panics[1]) then
    return http.refuse(404, "there is no such task any more")
  end
  told.spans, told.events = history.of(id, os.time())
  return http.text(200, json.encode(told), JSON)
end

local function answer_report(view) return http.text(200, report_text.report(view.source:get())) end

--- The page. Its policy lets it run its own script alone, and talk to this server alone.
local function answer_page()
  local page = require "coropanic.debug.page"
  local response = http.text(200, page.html, "text/html; charset=utf-8")
  response.headers["Content-Security-Policy"] = table.concat({
    "default-src 'none'", ("script-src '%s'"):format(page.script_hash), "style-src 'unsafe-inline'",
    "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  }, "; ")
  return response
end

-- Patterns of paths, and what answers them: a function of the view, the request and the path's captures.
local ROUTES = {
  { "^/$", answer_page },
  { "^/state$", answer_state },
  { "^/task/(%d+)$", answer_task },
  { "^/lanes$", lanes.answer },
  { "^/leaks$", leaks.answer },
  { "^/report%.txt$", answer_report },
}

table.move(tools.ROUTES, 1, #tools.ROUTES, #ROUTES + 1, ROUTES)

local function answer(view, request)
  for _, route in ipairs(ROUTES) do
    local capture = request.path:match(route[1])
    if capture then return route[2](view, request, capture) end
  end
  return http.refuse(404, "nothing is here")
end

--- Answers a request. What goes wrong inside is an answer too, without its text: that may hold data.
---@param view coropanic.debug.view
---@param request coropanic.debug.request
---@return coropanic.debug.response
function routes.answer(view, request)
  local response = access.check(request, view.rules)
  if not response and request.method ~= "GET" and request.method ~= "HEAD" then
    response = http.refuse(405, "everything here is only read: GET or HEAD")
    response.headers.Allow = "GET, HEAD"
  end
  if not response then
    local ok, made = co.pcall(answer, view, request)
    response = ok and made or http.refuse(500, "the answer could not be made")
  end
  for name, value in pairs(SAFE) do
    if response.headers[name] == nil then response.headers[name] = value end
  end
  return response
end

return routes
