--- Reads files of the format coropanic-events/1, which `co.record` makes: docs/recorder.md has the layout.
--- Needs Lua 5.3 or later, for string.unpack.

local reader = {}

local MAGIC = "cpev\0\0\0\1"
local HEADER_SIZE = 128
local EVENT_SIZE = 32

--- The most bytes of a file that are read; a recorder's largest is a little over 512 MiB.
reader.MAX_BYTES = 1 << 30

--- If so many nanoseconds lie between the start and the dump, the length of a tick follows from both; else
--- what the recorder has measured at its start is better.
local LONG_ENOUGH_NS = 20000000

local KINDS = {
  "spawn", "trace", "start", "park", "yield", "wake", "end", "panic", "recover", "unhandled", "cancel",
  "span_begin", "span_end", "log", "idle_begin", "idle_end", "gc",
}
local STATUSES = { [0] = "ready", "running", "waiting", "done", "panicked", "cancelled", "exited" }
local REASONS = { [0] = "ready", "timeout", "cancelled", "deadlock", "leaked", "closed", "abandoned" }
local PANICS = { [0] = "panic", "error", "memory", "deadlock", "goexit", "cancelled", "timeout", "leaked" }
local SOURCES = { [0] = "nanoseconds", "tsc", "cntvct" }
local PLACE, WAIT, TEXT = 1, 2, 3

--- Raises an error about the file at this offset, from 0.
local function fail(offset, format, ...)
  error(("not a coropanic-events/1 file: at offset %d: "):format(offset) .. format:format(...), 0)
end

local Dump = {}
Dump.__index = Dump

--- Reads the header, and holds the sizes in it against that of the file.
local function read_header(bytes)
  if bytes:sub(1, #MAGIC) ~= MAGIC then
    fail(0, "%q expected, got %q", MAGIC, bytes:sub(1, #MAGIC))
  end
  if #bytes < HEADER_SIZE then
    fail(#bytes, "a header of %d bytes expected, the file ends", HEADER_SIZE)
  end
  local dump = setmetatable({ bytes = bytes, started = {}, taken = {}, first = 0 }, Dump)
  local size, flags, source
  size, dump.pid, flags, source, dump.count, dump.lost = ("<I4I4I2I2I4i8"):unpack(bytes, 9)
  dump.started.tick, dump.started.monotonic, dump.started.wall = ("<i8i8i8"):unpack(bytes, 33)
  dump.taken.tick, dump.taken.monotonic, dump.taken.wall = ("<i8i8i8"):unpack(bytes, 57)
  dump.newest_task, dump.string_bytes, dump.task_bytes, dump.task_count, dump.tasks_omitted, dump.scale =
    ("<i8I4I4I4I4i8"):unpack(bytes, 81)
  if size ~= HEADER_SIZE then
    fail(8, "a header of %d bytes expected, got %d", HEADER_SIZE, size)
  end
  if not SOURCES[source] then
    fail(18, "a source of ticks from 0 to 2 expected, got %d", source)
  end
  dump.virtual, dump.source = flags & 1 == 1, SOURCES[source]
  local expected = HEADER_SIZE + dump.count * EVENT_SIZE + dump.string_bytes + dump.task_bytes
  if #bytes ~= expected then
    fail(#bytes, "%d bytes expected by the header (%d events), got %d", expected, dump.count, #bytes)
  end
  return dump
end

local function read_strings(dump)
  local offset = HEADER_SIZE + dump.count * EVENT_SIZE
  local last = offset + dump.string_bytes
  dump.strings = { {}, {}, {} }
  while offset < last do
    if offset + 4 > last then
      fail(offset, "a string's head of 4 bytes expected, the table ends at %d", last)
    end
    local which, length, number = ("<I1I1I2"):unpack(dump.bytes, offset + 1)
    if not dump.strings[which] then
      fail(offset, "a table of strings from 1 to 3 expected, got %d", which)
    end
    if offset + 4 + length > last then
      fail(offset + 4, "a string of %d bytes expected, the table ends at %d", length, last)
    end
    dump.strings[which][number] = dump.bytes:sub(offset + 5, offset + 4 + length)
    offset = offset + 4 + length
  end
  return offset
end

local function hex(id)
  return (id:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function read_tasks(dump, offset)
  dump.tasks = {}
  for index = 1, dump.task_count do
    if offset + 28 > #dump.bytes then
      fail(offset, "task %d of %d expected, the file ends", index, dump.task_count)
    end
    local id, trace, place, status, length = ("<i8c16I2I1I1"):unpack(dump.bytes, offset + 1)
    if offset + 28 + length > #dump.bytes then
      fail(offset + 28, "a name of %d bytes expected, the file ends", length)
    end
    if not STATUSES[status] then
      fail(offset + 26, "a status from 0 to 6 expected, got %d", status)
    end
    dump.tasks[index] = {
      id = id,
      name = dump.bytes:sub(offset + 29, offset + 28 + length),
      status = STATUSES[status],
      place = dump.strings[PLACE][place] or "?",
      trace_id = hex(trace),
    }
    offset = offset + 28 + length
  end
  if offset ~= #dump.bytes then
    fail(offset, "the end of the file expected, %d bytes follow", #dump.bytes - offset)
  end
end

--- Returns the nanoseconds of one tick.
local function speed(dump)
  if dump.source == "nanoseconds" then return 1 end
  local ticks = dump.taken.tick - dump.started.tick
  local ns = dump.taken.monotonic - dump.started.monotonic
  if ticks > 0 and ns >= LONG_ENOUGH_NS then return ns / ticks end
  return dump.scale > 0 and dump.scale / (1 << 32) or 1
end

--- Reads a file's bytes. Raises an error that says where they are wrong, and what was expected there.
---@param bytes string
---@return table dump  # {pid, virtual, source, count, lost, started, taken, newest_task, strings, tasks, ...}
function reader.parse(bytes)
  local dump = read_header(bytes)
  local offset = read_strings(dump)
  read_tasks(dump, offset)
  dump.ns_per_tick = speed(dump)
  return dump
end

--- Reads a file. Returns nil and a message if it can not be read; raises if what is in it is wrong.
---@param path string
---@return table? dump, string? message
function reader.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local bytes, why = file:read(reader.MAX_BYTES + 1)
  file:close()
  if not bytes and why then return nil, ("%s: %s"):format(path, why) end
  if bytes and #bytes > reader.MAX_BYTES then
    return nil, ("%s: at most %d bytes expected"):format(path, reader.MAX_BYTES)
  end
  return reader.parse(bytes or "")
end

--- Leaves out all but the last `count` events.
---@param count integer
function Dump:keep_last(count)
  if count < self.count then self.first = self.count - count end
end

--- Returns the number of events that were recorded and are not given by `events`.
function Dump:missing() return self.lost + self.first end

--- Returns the id of which `low` is the low half: the greatest that the program has given.
local function whole_id(dump, low)
  local id = dump.newest_task & ~0xffffffff | low
  return id > dump.newest_task and id >= 1 << 32 and id - (1 << 32) or id
end

--- What an event has besides its kind, time and task. (event, dump, detail, text, a, b)
local FILL = {}

function FILL.spawn(e, dump, detail, text, a)
  e.daemon, e.place, e.by = detail & 1 == 1, dump.strings[PLACE][text] or "?", a
end

function FILL.trace(e, _, detail, _, a, b)
  e.from_outside, e.trace_id = detail == 1, hex(("<i8i8"):pack(a, b))
end

function FILL.start(e, dump, _, _, a) e.delay = math.max(0, math.floor(a * dump.ns_per_tick)) end

function FILL.park(e, dump, _, text, a)
  e.wait, e.place = dump.strings[WAIT][text] or "?", dump.strings[PLACE][a]
end

function FILL.yield(e, dump, _, _, a) e.place = dump.strings[PLACE][a] end

function FILL.wake(e, _, detail, _, a) e.reason, e.by = REASONS[detail] or "?", a end

FILL["end"] = function(e, _, detail) e.status = STATUSES[detail] or "?" end

function FILL.panic(e, _, detail, _, a) e.panic, e.record = PANICS[detail] or "?", a end

FILL.recover, FILL.unhandled = FILL.panic, FILL.panic

function FILL.cancel(e, dump, _, text, a) e.source, e.by = dump.strings[TEXT][text] or "?", a end

function FILL.span_begin(e, dump, _, text, a) e.text, e.span = dump.strings[TEXT][text] or "?", a end

function FILL.span_end(e, _, detail, _, a) e.span, e.failed = a, detail == 1 end

function FILL.log(e, dump, _, text) e.text = dump.strings[TEXT][text] or "?" end

function FILL.gc(e, _, _, _, a) e.cycle = a end

--- The park or yield that a start tells of the task before, in the same moment; or nil.
local function leaving(dump, time, detail, text, former)
  if detail == 1 then return { kind = "yield", time = time, task = former } end
  if detail == 2 then
    return { kind = "park", time = time, task = former, wait = dump.strings[WAIT][text] or "?" }
  end
end

--- Iterates over the events, as tables {kind, time, task, ...}: docs/recorder.md lists the fields. Times are
--- in nanoseconds since recording began, and never go back.
---@return fun(): table?
function Dump:events()
  local index, held, latest = self.first, nil, 0
  return function()
    if held then
      local e = held
      held = nil
      return e
    end
    if index >= self.count then return nil end
    local offset = HEADER_SIZE + index * EVENT_SIZE
    local tick, low, number, detail, text, a, b = ("<i8I4I1I1I2i8i8"):unpack(self.bytes, offset + 1)
    local kind = KINDS[number]
    if not kind then
      fail(offset + 12, "a kind of event from 1 to %d expected, got %d", #KINDS, number)
    end
    index = index + 1
    latest = math.max(latest, math.floor((tick - self.started.tick) * self.ns_per_tick))
    local e = { kind = kind, time = latest, task = whole_id(self, low) }
    if FILL[kind] then FILL[kind](e, self, detail, text, a, b) end
    local former = kind == "start" and leaving(self, latest, detail, text, b)
    if former then
      held = e
      return former
    end
    return e
  end
end

--- Returns the time of the dump, in nanoseconds since recording began.
function Dump:duration()
  return math.max(0, math.floor((self.taken.tick - self.started.tick) * self.ns_per_tick))
end

return reader
