--- The state of the process that coropanic.debug shows: tasks, ended tasks, arrows, warnings, policies. It is
--- made in slices, between which the other tasks run, at most once in MIN_AGE seconds, and for all who ask at
--- the same time.

local co = require "coropanic"
local edges = require "coropanic.debug.edges"
local json = require "coropanic.debug.json"
local panics = require "coropanic.debug.panics"
local policies = require "coropanic.debug.policies"
local rows = require "coropanic.debug.rows"
local series = require "coropanic.debug.series"
local slices = require "coropanic.debug.slices"
local text_of = require "coropanic.text"
local warnings = require "coropanic.debug.warnings"

local state = {}

state.CONTRACT = "coropanic-explorer/1"
state.MAX_TASKS = 1000

local MIN_AGE = 0.2 -- seconds
local SLOTS_IN_STEP = 2048 -- about 0.1 ms
local MANY_ROWS = 16 -- the same
local MAX_GROUPS = 100
local MAX_PANICS = 16 -- with their reports; all that are kept have arrows

---@class coropanic.debug.state
---@field version integer  # grows when anything but the time and the counters has changed
---@field rows coropanic.debug.row[]
---@field by_id table<integer, coropanic.debug.row>
---@field texts table<integer, string>  # task id -> its row as JSON, without the brace at the end
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

local function take_rows(pause)
  local census = co.census(state.MAX_TASKS)
  while census:step(SLOTS_IN_STEP) do pause() end
  local found, drawn = {}, edges.new()
  for i, task in ipairs(census:tasks()) do
    local row = rows.describe(task, census)
    row.spent, row.run, row.delay = census:times(task)
    found[#found + 1] = row
    drawn:add_task(row)
    if i % MANY_ROWS == 0 then pause() end
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

--- Writes the rows, each by itself; one that is as it was before is as it was written. Returns whether any
--- that is not the server's own has changed.
local function write_rows(self, made, pause)
  local before, changed = self.last or { by_id = {}, texts = {} }, false
  for i, row in ipairs(made.rows) do
    local id = row.id
    local former = before.by_id[id]
    local is_same = former ~= nil and rows.is_same(former, row)
    made.by_id[id], made.order[i] = row, id
    made.texts[id] = is_same and before.texts[id] or rows.encode(row)
    made.loads[id] = load_of(row, made.at, row.spent, row.run, row.delay)
    made.is_own[id] = self.is_own(id) or nil
    changed = changed or not is_same and not made.is_own[id]
    if i % MANY_ROWS == 0 then pause() end
  end
  return changed
end

--- Whether a task that was listed before is not any more, and was not the server's own.
local function has_lost(before, made)
  for _, id in ipairs(before.order) do
    if not made.texts[id] and not before.is_own[id] then return true end
  end
  return false
end

local PARTS = { "ended", "edges", "warnings", "groups", "panics", "policies" }

--- Whether the other parts, of which the arrows and groups follow from the tasks, are the same.
local function has_same_parts(before, made)
  for _, name in ipairs(PARTS) do
    local is_derived = name == "edges" or name == "groups"
    if not is_derived and before.parts[name] ~= made.parts[name] then return false end
  end
  return true
end

--- Writes everything but the rows.
local function write_parts(self, made, drawn, last_panics, pause)
  made.parts = {
    ended = json.encode(json.list(made.ended)), warnings = json.encode(json.list(made.warnings)),
    groups = json.encode(json.list(made.groups)), panics = json.encode(json.list(last_panics)),
    policies = json.encode(made.policies),
  }
  pause()
  made.parts.edges = drawn:encode()
  pause()
  made.moving = {
    stats = json.encode(made.stats), series = self.series:encode(), figures = json.encode(made.figures),
  }
end

local function make(self)
  local pause = slices.new()
  local found, drawn, census = take_rows(pause)
  local now, live = co.now(), census:count()
  note_seen(self, found, now)
  local ended, forgotten = take_ended(drawn)
  local last_panics, lost = take_panics(drawn)
  pause()
  local made = {
    at = now, rows = found, ended = ended, live = live, omitted = live - #found,
    groups = largest_groups(census), by_id = {}, texts = {}, loads = {}, order = {}, is_own = {},
    stats = co.stats(),
  }
  made.warnings = warnings.find(made, rows.cycles(found), now)
  made.policies, made.figures, made.policies_omitted = policies.take()
  pause()
  local changed = write_rows(self, made, pause)
  made.stats.memory_kb = collectgarbage "count"
  made.stats.ended_forgotten, made.stats.panics_forgotten = forgotten, lost
  if not self.watching then self.series:sample() end
  write_parts(self, made, drawn, last_panics, pause)
  local last = self.last
  local is_same = last and not changed and not has_lost(last, made) and has_same_parts(last, made)
  if not is_same then self.version = self.version + 1 end
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
    policies_omitted = made.policies_omitted > 0 and made.policies_omitted or nil,
  }
  return (json.encode(fields):sub(1, -2))
end

local function add_row(pieces, made, id)
  local n = #pieces
  pieces[n + 1], pieces[n + 2], pieces[n + 3] = n == 0 and "" or ",", made.texts[id], made.loads[id]
  pieces[n + 4] = "}"
end

--- Returns the whole state as JSON.
function Source:encode(made)
  local pause = slices.new()
  local lines = { head_of(self, made) }
  for _, name in ipairs(PARTS) do lines[#lines + 1] = ('"%s":%s'):format(name, made.parts[name]) end
  for _, name in ipairs { "series", "stats", "figures" } do
    lines[#lines + 1] = ('"%s":%s'):format(name, made.moving[name])
  end
  local listed = {}
  for i, id in ipairs(made.order) do
    add_row(listed, made, id)
    if i % (8 * MANY_ROWS) == 0 then pause() end
  end
  pause()
  lines[#lines + 1] = '"tasks":['
  local head = table.concat(lines, ",")
  return head .. table.concat(listed) .. "]}"
end

--- Returns what has changed since another state, as JSON: tasks that are new or different, the ids of those
--- that are gone, and the parts that differ.
---@param before coropanic.debug.state
function Source:encode_changes(made, before)
  local changed, gone = {}, {}
  for _, id in ipairs(made.order) do
    if before.texts[id] ~= made.texts[id] then add_row(changed, made, id) end
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
  lines[#lines + 1] = '"figures":' .. made.moving.figures
  local point = self.series:last()
  lines[#lines + 1] = point and '"point":' .. point
  lines[#lines + 1] = '"tasks":[' .. table.concat(changed) .. "]}"
  return table.concat(lines, ",")
end

--- Returns the counters and the last sample as JSON, for a client that knows everything else; nil if the
--- sample is no newer than `count`.
---@param count integer  # of samples that were taken before
---@return string? text, integer count
function Source:encode_point(made, count)
  if self.series.count == count then return nil, count end
  local text = ('%s,"point":%s,"stats":%s,"figures":%s}'):format(head_of(self, made), self.series:last(),
    made.moving.stats, made.moving.figures)
  return text, self.series.count
end

return state
