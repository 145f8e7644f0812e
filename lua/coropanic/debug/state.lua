--- The state of the process that coropanic.debug shows: tasks, ended tasks, arrows, warnings. It is made in
--- slices, between which the other tasks run, at most once in MIN_AGE seconds, and for all who ask at the
--- same time.

local co = require "coropanic"
local edges = require "coropanic.debug.edges"
local json = require "coropanic.debug.json"
local panics = require "coropanic.debug.panics"
local rows = require "coropanic.debug.rows"
local series = require "coropanic.debug.series"
local text_of = require "coropanic.text"
local warnings = require "coropanic.debug.warnings"

local state = {}

state.CONTRACT = "coropanic-explorer/1"
state.MAX_TASKS = 1000

local MIN_AGE = 0.2 -- seconds
local SLOTS_IN_SLICE = 2048 -- about 0.3 ms
local ROWS_IN_SLICE = 25 -- the same
local MAX_GROUPS = 100
local MAX_PANICS = 16 -- with their reports; all that are kept have arrows

---@class coropanic.debug.state
---@field version integer  # grows when anything but the time and the counters has changed
---@field rows coropanic.debug.row[]
---@field texts table<integer, string>  # task id -> its row as JSON
---@field order integer[]  # ids
---@field loads table<integer, string>  # task id -> the fields of its row that change with the time, as JSON
---@field parts table<string, string>  # the other parts that change, as JSON
---@field moving table<string, string>  # the parts that always change, as JSON
---@field at number  # co.now()

---@class coropanic.debug.source
---@field asked_at number  # when somebody asked last
---@field start_watch? fun(fn: fun())  # runs a function in a task, which samples each second
local Source = {}
Source.__index = Source

---@param title string
---@param is_own fun(id: integer): boolean  # whether the task serves this state; then its changes are none
function state.new(title, is_own)
  return setmetatable({
    title = title, is_own = is_own, version = 0, series = series.new(), seen = {}, lock = co.mutex(),
    last = nil, asked_at = 0, start_watch = nil, watching = false,
  }, Source)
end

local function pause()
  if co.current() then co.yield() end
end

--- Writes a share as JSON.
local function share(part, whole)
  local permille = whole > 0 and math.floor(1000 * part / whole + 0.5) or 0
  return permille >= 1000 and "1" or ("0.%03d"):format(permille)
end

--- Returns the fields of a row that change with the time alone.
local function load_of(row, now, spent, run, delay)
  local tenths = math.floor(10 * (spent or now - row.seen_at))
  local text = (',"age":%d.%d'):format(tenths // 10, tenths % 10)
  if not spent then return text end
  return ('%s,"busy":%s,"delayed":%s'):format(text, share(run, spent), share(delay, spent))
end

--- Notes when each listed task was first seen, and forgets the others.
local function note_seen(self, found, now)
  local seen = {}
  for _, row in ipairs(found) do
    seen[row.id] = self.seen[row.id] or now
    row.seen_at = seen[row.id]
  end
  self.seen = seen
end

local function take_rows()
  local census = co.census(state.MAX_TASKS)
  while census:step(SLOTS_IN_SLICE) do pause() end
  local found, drawn = {}, edges.new()
  for i, task in ipairs(census:tasks()) do
    local row = rows.describe(task, census)
    row.spent, row.run, row.delay = census:times(task)
    found[#found + 1] = row
    drawn:add_task(row)
    if i % ROWS_IN_SLICE == 0 then pause() end
  end
  return found, drawn, census
end

--- The groups with the most tasks, of those that have several.
local function largest_groups(census)
  local all = {}
  for _, group in ipairs(census:groups()) do
    if group.count > 1 then all[#all + 1] = group end
  end
  table.sort(all, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.first < b.first
  end)
  for i = #all, MAX_GROUPS + 1, -1 do all[i] = nil end
  return all
end

local function take_ended(drawn)
  local ended, forgotten = co.ended()
  for _, one in ipairs(ended) do
    one.lost = one.status == "cancelled" and not one.claimed or nil
    one.name = text_of.valid(one.name)
    drawn:add_ended(one)
  end
  return ended, forgotten
end

local function take_panics(drawn)
  local all, lost = panics.all()
  local last = {}
  for i, one in ipairs(all) do
    if not one.recovered then drawn:add_panic(one.panic) end
    if i > #all - MAX_PANICS then
      last[#last + 1] = {
        seq = one.seq, task = one.task, recovered = one.recovered or nil, kind = one.panic.kind,
        message = text_of.cut(text_of.valid(tostring(one.panic.message)), 500), trace_id = one.panic.trace_id,
        time = one.panic.time, stack_hash = one.panic.stack_hash, error_code = one.panic.error_code,
      }
    end
  end
  return last, lost
end

--- Writes what changes into `parts`, each part by itself, and rows one by one.
local function write(self, made, found)
  local mine = {}
  for i, row in ipairs(found) do
    made.texts[row.id], made.order[i] = rows.encode(row), row.id
    made.loads[row.id] = load_of(row, made.at, row.spent, row.run, row.delay)
    if not self.is_own(row.id) then mine[#mine + 1] = made.texts[row.id] end
    if i % ROWS_IN_SLICE == 0 then pause() end
  end
  made.content = table.concat(mine, ",")
end

local function encode_edges(list)
  local texts = {}
  for i, edge in ipairs(list) do
    texts[i] = edges.encode(edge)
    if i % (8 * ROWS_IN_SLICE) == 0 then pause() end
  end
  return "[" .. table.concat(texts, ",") .. "]"
end

local PARTS = { "ended", "edges", "warnings", "groups", "panics" }

local function is_same(a, b)
  if not a or a.content ~= b.content then return false end
  for _, name in ipairs(PARTS) do
    if name ~= "edges" and name ~= "groups" and a.parts[name] ~= b.parts[name] then return false end
  end
  return true
end

local function make(self)
  local found, drawn, census = take_rows()
  pause()
  local now = co.now()
  note_seen(self, found, now)
  local ended, forgotten = take_ended(drawn)
  pause()
  local last_panics, lost = take_panics(drawn)
  local cycles = rows.cycles(found)
  local live = census:count()
  local made = {
    at = now, rows = found, ended = ended, live = live, omitted = live - #found,
    groups = largest_groups(census), texts = {}, loads = {}, order = {}, parts = {}, moving = {},
  }
  local warned = warnings.find(made, cycles, now)
  pause()
  write(self, made, found)
  local stats = co.stats()
  stats.memory_kb = collectgarbage "count"
  stats.ended_forgotten, stats.panics_forgotten = forgotten, lost
  if not self.watching then self.series:sample() end
  made.parts = {
    ended = json.encode(json.list(ended)), warnings = json.encode(json.list(warned)),
    groups = json.encode(json.list(made.groups)), panics = json.encode(json.list(last_panics)),
  }
  pause()
  made.parts.edges = encode_edges(drawn.list)
  made.edges, made.warnings = drawn.list, warned
  made.moving = { stats = json.encode(stats), series = self.series:encode() }
  if not is_same(self.last, made) then self.version = self.version + 1 end
  made.version = self.version
  return made
end

--- Notes that somebody asks: from now on samples are taken, for a while.
local function note_asked(self)
  self.asked_at = co.now()
  if self.watching or not self.start_watch then return end
  self.watching = true
  self.start_watch(function()
    co.defer(function() self.watching = false end)
    self.series:watch(function() return self.asked_at end)
  end)
end

--- Returns the state of now, or one that is at most MIN_AGE seconds old.
---@return coropanic.debug.state
function Source:get()
  note_asked(self)
  local _ <close> = co.current() and self.lock:guard() or nil
  local last = self.last
  if not last or co.now() - last.at >= MIN_AGE or co.now() < last.at then self.last = make(self) end
  return self.last
end

local function head_of(self, made)
  local fields = {
    contract = state.CONTRACT, title = self.title, version = made.version, now = made.at, time = os.time(),
    live = made.live, omitted = made.omitted > 0 and made.omitted or nil,
  }
  return (json.encode(fields):sub(1, -2))
end

local function row_text(made, id) return made.texts[id]:sub(1, -2) .. made.loads[id] .. "}" end

--- Returns the whole state as JSON.
function Source:encode(made)
  local lines = { head_of(self, made) }
  for _, name in ipairs(PARTS) do lines[#lines + 1] = ('"%s":%s'):format(name, made.parts[name]) end
  for _, name in ipairs { "series", "stats" } do
    lines[#lines + 1] = ('"%s":%s'):format(name, made.moving[name])
  end
  local listed = {}
  for i, id in ipairs(made.order) do listed[i] = row_text(made, id) end
  lines[#lines + 1] = '"tasks":[' .. table.concat(listed, ",") .. "]}"
  return table.concat(lines, ",")
end

--- Returns what has changed since another state, as JSON: tasks that are new or different, the ids of those
--- that are gone, and the parts that differ.
---@param before coropanic.debug.state
function Source:encode_changes(made, before)
  local changed, gone = {}, {}
  for _, id in ipairs(made.order) do
    if before.texts[id] ~= made.texts[id] then changed[#changed + 1] = row_text(made, id) end
  end
  for _, id in ipairs(before.order) do
    if not made.texts[id] then gone[#gone + 1] = id end
  end
  local lines = { head_of(self, made), ('"since":%d'):format(before.version) }
  lines[#lines + 1] = '"gone":' .. json.encode(json.list(gone))
  for _, name in ipairs(PARTS) do
    local text = made.parts[name]
    if before.parts[name] ~= text then lines[#lines + 1] = ('"%s":%s'):format(name, text) end
  end
  lines[#lines + 1] = '"stats":' .. made.moving.stats
  local point = self.series:last()
  lines[#lines + 1] = point and '"point":' .. point
  lines[#lines + 1] = '"tasks":[' .. table.concat(changed, ",") .. "]}"
  return table.concat(lines, ",")
end

--- Returns the counters and the last sample as JSON, for a client that knows everything else; nil if the
--- sample is no newer than `count`.
---@param count integer  # of samples that were taken before
---@return string? text, integer count
function Source:encode_point(made, count)
  if self.series.count == count then return nil, count end
  local text = ('%s,"point":%s,"stats":%s}'):format(head_of(self, made), self.series:last(),
    made.moving.stats)
  return text, self.series.count
end

return state
