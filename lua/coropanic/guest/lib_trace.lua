--- co.trace.current, extract, inject, continue: the twin of csrc/lua/lib_trace.c.

local args = require "coropanic.guest.args"
local carrier = require "coropanic.guest.carrier"
local compat = require "coropanic.guest.compat"
local core = require "coropanic.guest.core"
local generator = require "coropanic.guest.generator"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local span = require "coropanic.guest.span"

local baggage, traceparent, tracestate = core.baggage, core.traceparent, core.tracestate

local trace = {}
kernel.api.trace = trace

local function text_or_nil(text) return text ~= "" and text or nil end

local function is_sampled(flags) return flags % 2 == 1 end

local function is_random(flags) return flags >= 2 end

function trace.current()
  local here = ids.here()
  local flags = here.trace.flags
  return {
    trace_id = ids.trace_id(here), span_id = ids.span_id(here), parent_span_id = ids.parent_span_id(here),
    sampled = is_sampled(flags), random = is_random(flags), state = text_or_nil(here.trace.state),
  }
end

-- The hybrid logical clock, which travels in our member of tracestate ------------------------------------

local OUR_KEY, CLOCK = "coropanic", "^hlc:([0-9a-f]+)$"

--- Moves our clock by that of an incoming message. It is read from the whole header, even if that is not
--- valid, or not carried on in full, and whatever the traceparent is; otherwise the order of cause and effect
--- would be lost. Of several clocks, the latest one that can be believed counts.
local function receive_clock(header)
  local latest, absurd
  local value, at = tracestate.find(header, OUR_KEY, 1)
  while value do
    local remote = value:match(CLOCK)
    if remote and #remote == 16 then
      if not generator.ids:hlc_believes(remote) then
        absurd = remote
      elseif not latest or remote > latest then
        latest = remote
      end
    end
    value, at = tracestate.find(header, OUR_KEY, at)
  end
  if latest or absurd then generator.ids:hlc_merge(latest or absurd) end
end

--- Puts our clock into an outgoing message. Without a valid time the message goes without.
local function send_clock(state)
  local timestamp = generator.ids:hlc_tick()
  return timestamp and tracestate.put(state, OUR_KEY, "hlc:" .. timestamp) or state
end

-- Coming in ----------------------------------------------------------------------------------------------

--- Reads the headers. Two traceparents count as none (section 3.2), because nobody can say which is right.
---@return table incoming  # {trace_id, span_id, flags}, nil: not valid; state; baggage
local function read_headers(headers)
  local incoming = { state = "", baggage = baggage.clean((carrier.read(headers, "baggage"))) }
  local value, count = carrier.read(headers, "traceparent")
  if count == 1 then incoming.trace_id, incoming.span_id, incoming.flags = traceparent.parse(value) end
  local has_clock = generator.ids.kind == "hlc"
  if not incoming.trace_id and not has_clock then return incoming end
  value, count = carrier.read(headers, "tracestate")
  if count == 0 then return incoming end
  if incoming.trace_id then incoming.state = tracestate.parse(value) or "" end
  if has_clock then receive_clock(value) end
  return incoming
end

function trace.extract(...)
  local headers = ...
  carrier.check_readable(headers, "extract", select("#", ...))
  local incoming = read_headers(headers)
  local valid = incoming.trace_id ~= nil
  local trace_id, flags = incoming.trace_id, incoming.flags
  if not valid then
    trace_id = generator.trace_id()
    flags = generator.root_flags(trace_id)
  end
  return {
    trace_id = trace_id, span_id = incoming.span_id, parent_span_id = incoming.span_id,
    sampled = is_sampled(flags), random = is_random(flags), state = text_or_nil(incoming.state),
    baggage = text_or_nil(incoming.baggage), valid = valid,
  }
end

-- Going out ----------------------------------------------------------------------------------------------

function trace.inject(...)
  local headers = ...
  if select("#", ...) == 0 then headers = {} end
  carrier.check_writable(headers, "inject")
  local here = ids.here()
  local now = here.trace
  local state = now.state
  if generator.ids.kind == "hlc" then state = send_clock(state) end
  local parent = traceparent.format(ids.trace_id(here), ids.span_id(here), now.flags)
  local set = carrier.set
  if carrier.is_empty(headers) then set = rawset end -- there is nothing to remove
  set(headers, "traceparent", parent)
  set(headers, "tracestate", text_or_nil(state))
  set(headers, "baggage", text_or_nil(now.baggage))
  return headers
end

-- Running under another trace ----------------------------------------------------------------------------

--- The most proxies of a result of extract.
local MAX_PROXIES = 8

--- Whether the value is a table that extract has returned, or a proxy of one; headers never have booleans. An
--- __index that is a function is not called: it may answer any key, or raise.
local function is_extracted(value)
  for _ = 1, MAX_PROXIES do
    if type(value) ~= "table" then return false end
    if type(rawget(value, "valid")) == "boolean" and type(rawget(value, "sampled")) == "boolean" then
      return true
    end
    local meta = compat.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
  return false
end

--- A field of so many hex digits, which are not all zero; nil: it is anything else.
local function read_digits(extracted, field, count)
  local digits = extracted[field]
  if type(digits) == "string" and #digits == count and not digits:find "[^0-9a-f]" and digits:find "[^0]" then
    return digits
  end
end

--- Reads a table that extract has returned; nil: a script has changed it to invalid values.
local function read_extracted(extracted)
  local trace_id = read_digits(extracted, "trace_id", 32)
  local span_id = extracted.valid and read_digits(extracted, "parent_span_id", 16) or nil
  if not trace_id or extracted.valid and not span_id then return nil end
  local flags = (extracted.sampled and 1 or 0) + (extracted.random and 2 or 0)
  local state, text = extracted.state, extracted.baggage
  return {
    trace_id = trace_id, span_id = span_id, flags = flags,
    state = type(state) == "string" and tracestate.parse(state) or "",
    baggage = type(text) == "string" and baggage.clean(text) or "",
  }
end

local function read_argument(headers, count)
  carrier.check_readable(headers, "continue", count)
  if is_extracted(headers) then
    return read_extracted(headers) or args.refuse(1, "continue", "the result of extract expected, unchanged")
  end
  local incoming = read_headers(headers)
  if not incoming.trace_id then
    incoming.trace_id = generator.trace_id()
    incoming.flags = generator.root_flags(incoming.trace_id)
  end
  return incoming
end

--- Keeps its caller's activation, which a tail call would not: reports show the API's functions.
local function pass(...) return ... end

trace["continue"] = function(...)
  local headers, fn = ...
  local count = select("#", ...)
  local incoming = read_argument(headers, count)
  args.callable(fn, 2, "continue", count)
  local continued = ids.continue_trace(incoming.trace_id, incoming.flags, incoming.state, incoming.baggage)
  return pass(span.continue(continued, incoming.span_id, select(2, ...)))
end

return trace
