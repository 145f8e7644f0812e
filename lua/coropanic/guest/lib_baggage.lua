--- co.trace.baggage, set_baggage: values that travel with a request, W3C Baggage. The twin of
--- csrc/lua/lib_baggage.c.

local args = require "coropanic.guest.args"
local baggage = require("coropanic.guest.core").baggage
local ids = require "coropanic.guest.ids"
local trace = require "coropanic.guest.lib_trace"
local trim = require "coropanic.guest.core.trim"

local MAX_LENGTH, MAX_MEMBERS = baggage.MAX_LENGTH, baggage.MAX_MEMBERS

--- The baggage of the running code.
local function text_here()
  local now = ids.find().trace
  return now and now.baggage or ""
end

--- (name) → value, properties; or nothing. If several members have the name, the last one counts.
local function find_member(wanted)
  local text = text_here()
  local found, found_properties
  local at, _, name, value, properties = baggage.next(text, 1)
  while at do
    if name == wanted then found, found_properties = value, properties end
    at, _, name, value, properties = baggage.next(text, at)
  end
  if not found then return end
  if found_properties then return baggage.decode(found), found_properties end
  return baggage.decode(found)
end

--- All members; if several have one name, the last one counts.
local function all_members()
  local text, members = text_here(), {}
  local at, _, name, value = baggage.next(text, 1)
  while at do
    members[name] = baggage.decode(value)
    at, _, name, value = baggage.next(text, at)
  end
  return members
end

function trace.baggage(name)
  if name == nil then return all_members() end
  if type(name) ~= "string" then args.type_error(name, 1, "baggage", "string") end
  return find_member(name)
end

local function check_arguments(count, name, value, properties)
  if type(name) ~= "string" then args.type_error(name, 1, "set_baggage", "string", count) end
  if not baggage.is_name(name) then
    args.refuse(1, "set_baggage", "a name of letters, digits and !#$%&'*+-.^_`|~ expected")
  end
  if value ~= nil and type(value) ~= "string" then
    args.type_error(value, 2, "set_baggage", "string or nil")
  end
  if value and #value > MAX_LENGTH then
    args.refuse(2, "set_baggage", ("at most %d bytes expected, got %d"):format(MAX_LENGTH, #value))
  end
  if value and not baggage.is_utf8(value) then
    args.refuse(2, "set_baggage", "text in UTF-8 expected: encode other bytes, as hex or base64")
  end
  if properties == nil then return end
  if type(properties) ~= "string" then args.type_error(properties, 3, "set_baggage", "string or nil") end
  if not baggage.are_properties(properties) or not baggage.is_encoded(properties) then
    args.refuse(3, "set_baggage", 'properties "key;key=value" expected, with values percent-encoded')
  end
end

--- The member that the arguments describe.
local function member_of(name, value, properties)
  local member = name .. "=" .. baggage.encode(value)
  if properties then member = member .. ";" .. trim(properties) end
  if #member > MAX_LENGTH then
    args.refuse(2, "set_baggage", ("at most %d bytes expected, with the name and encoded, got %d"):format(
      MAX_LENGTH, #member))
  end
  return member
end

--- The text with our member (nil: none) in place of those of its name. Ours comes first, and if room is short
--- the last members are dropped: so those that came in go before any of ours.
local function compose(text, wanted, member)
  local members, length = { member }, member and #member or 0
  local at, whole, name = baggage.next(text, 1)
  while at do
    if name ~= wanted then
      local comma = #members > 0 and 1 or 0
      if #members == MAX_MEMBERS or length + comma + #whole > MAX_LENGTH then break end
      members[#members + 1] = whole
      length = length + comma + #whole
    end
    at, whole, name = baggage.next(text, at)
  end
  return table.concat(members, ",")
end

function trace.set_baggage(...)
  local name, value, properties = ...
  check_arguments(select("#", ...), name, value, properties)
  local member = value and member_of(name, value, properties)
  local here = ids.here()
  local now = here.trace
  ids.set_trace {
    trace_id = ids.trace_id(here), flags = now.flags, continued = now.continued, state = now.state,
    baggage = compose(now.baggage, name, member),
  }
end

return trace
