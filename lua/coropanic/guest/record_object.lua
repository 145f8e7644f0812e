--- Records as scripts see them: fields, methods, to_table. The twin of csrc/lua/record_fields.c and
--- record_table.c.

local compat = require "coropanic.guest.compat"
local fingerprint = require "coropanic.guest.fingerprint"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local plain_value = require "coropanic.guest.plain_value"
local record = require "coropanic.guest.record"
local record_frames = require "coropanic.guest.record_frames"
local report = require "coropanic.guest.report"
local stack_hash = require "coropanic.guest.core.stack_hash"
local text = require "coropanic.guest.text"
local value_text = require "coropanic.guest.value_text"

local rawget = rawget
local META = record.META
local VERSION = 2

-- The fields ---------------------------------------------------------------------------------------------

--- A field is a function of the record. Those in `cached` are computed once.
local fields, cached = {}, {}

function fields.value(r) return r._value end
function fields.type(r) return value_text.type_of(r._value) end
function fields.message(r) return (value_text.message(r)) end
function fields.kind(r) return r._kind end

--- The value's own code if it is a table with one, else a code made from the kind.
function fields.error_code(r)
  local value = r._value
  local code = type(value) == "table" and not record.test(value) and value_text.field(value, "code")
  return code and tostring(code) or "coropanic." .. r._kind
end

function fields.source(r) return r._source or nil end
function fields.reason(r) if r._source then return r._value end end
function fields.trace_id(r) return ids.trace_id(r._ids) end
function fields.trace_flags(r) return ids.flags_text(r._ids) end
function fields.span_id(r) return ids.span_id(r._ids) end
function fields.parent_span_id(r) return ids.parent_span_id(r._ids) end
function fields.time(r) return r._time end
function fields.seq(r) return r._seq end

local function task_table(t)
  return { id = t.id, name = kernel.name_of(t), spawned_at = kernel.spawned_at(t) }
end

function cached.ancestors(r)
  local result = {}
  local t = r._task or nil
  local total = t and t.generation or 0
  while t ~= nil and #result < record.MAX_ANCESTORS do
    t = t.parent
    if t == nil then break end
    result[#result + 1] = task_table(t)
  end
  if total > #result then result.omitted = total - #result end
  return result
end

function cached.task(r)
  local t = r._task
  if not t then return nil end
  local result = task_table(t)
  result.status, result.ancestors, result.attributes = r._status, cached.ancestors(r), t.attributes
  return result
end

--- The fingerprints of the frames: false for those that have none.
local function fingerprints_of(r)
  if r._fingerprints then return r._fingerprints end
  local result = {}
  local all = record_frames.of(r)
  for i, frame in ipairs(all) do
    if i > 1 and frame.func and frame.func == all[i - 1].func then
      result[i] = result[i - 1] -- a direct recursion
    else
      result[i] = frame.what == "Lua" and frame.func and fingerprint(frame.func) or false
    end
  end
  r._fingerprints = result
  return result
end

--- The chunk's name with the whole path, unlike short_src: tools open the file by it.
local function chunk(source)
  local first = source:sub(1, 1)
  return (first == "@" or first == "=") and source:sub(2) or text.chunk_name(source)
end

function cached.frames(r)
  local result, all = {}, record_frames.of(r)
  local fingerprints = fingerprints_of(r)
  for i, frame in ipairs(all) do
    result[i] = {
      source = chunk(frame.source), what = frame.what, name = frame.name,
      line = frame.line > 0 and frame.line or nil, fingerprint = fingerprints[i] or nil,
    }
  end
  result.omitted, result.omitted_after = all.omitted, all.omitted_after
  return result
end

local function hash_of(r, version, with_c)
  local list, fingerprints = {}, fingerprints_of(r)
  for i, frame in ipairs(record_frames.of(r)) do
    if with_c or frame.what ~= "C" then
      list[#list + 1] = frame.source
      list[#list + 1] = stack_hash.identity(version, frame.what, frame.name, fingerprints[i] or nil) or false
    end
  end
  return stack_hash.of(list)
end

function cached.stack_hash(r) return hash_of(r, VERSION, false) end
function cached.stack_hash_full(r) return hash_of(r, VERSION, true) end
function fields.hash_version() return VERSION end

function cached.chain(r)
  local result = {}
  local link = r._link
  while link and #result < record.MAX_CHAIN do
    table.insert(result, 1, link)
    link = link._link
  end
  if r._chain > #result then result.omitted = r._chain - #result end
  return result
end

function fields.recovered(r) return r._recovered end
function fields.forced(r) return r._forced or nil end
function fields.cause(r) return r._cause or nil end
function fields.parked(r) return r._parked or nil end
function fields.cycle(r) return r._cycle or nil end
function cached.suppressed(r) return r._suppressed or {} end
function cached.suspension_points(r) return r._points or {} end

function cached.cancellation(r)
  if not r._source then return nil end
  local by = r._by
  return { source = r._source, reason = r._value, by = by and task_table(by) or nil }
end

local function fresh(r, name)
  local field = fields[name] or cached[name]
  if field then return field(r) end
end

-- to_table -----------------------------------------------------------------------------------------------

local CONTRACT, MAX_CAUSES = "coropanic/1", 8

local RECORD_FIELDS = {
  "kind", "type", "message", "value", "error_code", "source", "reason", "trace_id", "trace_flags", "span_id",
  "seq", "stack_hash", "stack_hash_full", "hash_version", "recovered", "forced", "parent_span_id",
}
local LINK_FIELDS = { "kind", "type", "message", "value", "error_code", "recovered", "seq" }
local TASK_FIELDS = { "id", "name", "status", "spawned_at", "attributes" }
local LINK_TASK_FIELDS = { "id", "name", "spawned_at" }

local function set_fields(result, r, names)
  for _, name in ipairs(names) do result[name] = plain_value(fresh(r, name)) end
  -- JSON's numbers are doubles, which can not hold it.
  result.time = compat.has_integers and ("%d"):format(r._time) or ("%.0f"):format(r._time)
end

local function copy_list(result, list, name, entry)
  if not list or #list == 0 then return end
  local copy = {}
  for i = 1, #list do copy[i] = entry(list[i]) end
  result[name] = copy
  result[name .. "_omitted"], result[name .. "_omitted_after"] = list.omitted, list.omitted_after
end

local function set_task(result, r, names, with_ancestors)
  local task = cached.task(r)
  if task == nil then return end
  local copy = {}
  for _, name in ipairs(names) do copy[name] = plain_value(task[name]) end
  if with_ancestors then
    copy_list(copy, task.ancestors, "ancestors", plain_value)
  elseif task.ancestors[1] then
    copy.parent = task.ancestors[1].id
  end
  result.task = copy
end

--- A panic that was replaced or suppressed: its value and task, without a stack.
local function link_table(r)
  local result = {}
  set_fields(result, r, LINK_FIELDS)
  set_task(result, r, LINK_TASK_FIELDS, false)
  return result
end

local function record_table(r, depth)
  local result = { contract = CONTRACT }
  set_fields(result, r, RECORD_FIELDS)
  set_task(result, r, TASK_FIELDS, true)
  copy_list(result, cached.frames(r), "frames", plain_value)
  copy_list(result, cached.chain(r), "chain", link_table)
  copy_list(result, r._parked, "parked", plain_value)
  copy_list(result, r._cycle, "cycle", plain_value)
  copy_list(result, cached.suspension_points(r), "suspension_points", plain_value)
  copy_list(result, cached.suppressed(r), "suppressed", link_table)
  local cancellation = cached.cancellation(r)
  if cancellation then result.cancelled_by = cancellation.by end
  if r._cause then
    local is_deep = depth == MAX_CAUSES
    result.cause = is_deep and "... left out: nested too deeply" or record_table(r._cause, depth + 1)
  end
  return result
end

-- The metatable ------------------------------------------------------------------------------------------

local methods = {}

local function check(r, name)
  if record.test(r) then return r end
  kernel.raise("bad argument #1 to '%s' (coropanic.record expected, got %s)", name,
    r == nil and "no value" or kernel.type_name(r))
end

function methods.to_table(r) return record_table(check(r, "to_table"), 0) end

--- stack_hash and stack_hash_full of a version.
function methods.stack_hashes(r, version)
  check(r, "stack_hashes")
  if version == nil then version = VERSION end
  kernel.check_integer(version, 1, "stack_hashes", "version", 1, VERSION)
  return hash_of(r, version, false), hash_of(r, version, true)
end

-- Of the records that are suppressed, as many as a scope keeps.
local MAX_SUPPRESSED = 32

--- Adds a record of an earlier or later panic to `suppressed`.
function methods.add_suppressed(r, other)
  check(r, "add_suppressed")
  if not record.test(other) or other == r then
    kernel.raise("bad argument #1 to 'add_suppressed' (%s)", other == r and "another record expected"
      or ("coropanic.record expected, got %s"):format(other == nil and "no value" or kernel.type_name(other)))
  end
  local list = r.suppressed
  r._suppressed = list
  if #list < MAX_SUPPRESSED then list[#list + 1] = other else list.omitted = (list.omitted or 0) + 1 end
end

function META.__index(r, key)
  if methods[key] then return methods[key] end
  local field = fields[key]
  if field then return field(r) end
  local compute = cached[key]
  if compute == nil then return nil end
  local cache = rawget(r, "_cache")
  if not cache then
    cache = {}
    rawset(r, "_cache", cache)
  end
  local value = cache[key]
  if value == nil then
    value = compute(r)
    cache[key] = value
  end
  return value
end

--- Only the guest's own fields, which begin with "_", can be set.
function META.__newindex(r, key, value)
  if type(key) == "string" and key:sub(1, 1) == "_" then return rawset(r, key, value) end
  kernel.raise "a panic record is immutable"
end

function META.__tostring(r) return report.text(check(r, "__tostring")) end

--- A record stands for its message, so that code that concatenates error strings still works.
function META.__concat(a, b)
  local function part(value)
    if record.test(value) then return (value_text.message(value)) end
    if type(value) == "string" or type(value) == "number" then return value end
    kernel.raise("attempt to concatenate a %s value", type(value))
  end
  return part(a) .. part(b)
end

return methods
