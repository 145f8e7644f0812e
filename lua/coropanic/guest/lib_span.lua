--- co.trace.span, event, set, on_span, sampler, fields: the twin of csrc/lua/lib_span.c.

local args = require "coropanic.guest.args"
local generator = require "coropanic.guest.generator"
local ids = require "coropanic.guest.ids"
local kernel = require "coropanic.guest.kernel"
local observe = require "coropanic.guest.observe"
local options = require "coropanic.guest.options"
local port = require "coropanic.guest.port"
local probe = require "coropanic.guest.probe"
local span = require "coropanic.guest.span"
local span_data = require "coropanic.guest.span_data"
local trace = require "coropanic.guest.lib_trace"

local state = port.state

-- Spans --------------------------------------------------------------------------------------------------

local KINDS = { "internal", "server", "client", "producer", "consumer" }
local OPTIONS = { attributes = true, kind = true }

local function read_options(given)
  args.options(given, 2, "span", OPTIONS)
  return options.word(given, 2, "span", "kind", KINDS), args.option(given, 2, "span", "attributes", "table")
end

--- Keeps its caller's activation, which a tail call would not: reports show the API's functions.
local function pass(...) return ... end

--- (fn, ...) in a span; without a listener or a sampled trace the options are ignored.
local function call(name, given, fn, ...)
  if not span.is_recorded() then return pass(fn(...)) end
  if not given then return span.call(name, KINDS[1], nil, fn, ...) end
  local kind, attributes = read_options(given)
  return span.call(name, kind, attributes, fn, ...)
end

function trace.span(...)
  local name, second, third = ...
  local count = select("#", ...)
  if type(name) ~= "string" then args.type_error(name, 1, "span", "string", count) end
  if type(second) == "table" then
    args.callable(third, 3, "span", count)
    return pass(call(name, select(2, ...)))
  end
  args.callable(second, 2, "span", count)
  return pass(call(name, nil, select(2, ...)))
end

function trace.event(...)
  local name, attributes = ...
  if type(name) ~= "string" then args.type_error(name, 1, "event", "string", select("#", ...)) end
  if attributes ~= nil and type(attributes) ~= "table" then
    args.type_error(attributes, 2, "event", "table")
  end
  if not span.is_recorded() then return end
  local data = span.current()
  local event = data and span_data.add_event(data, name, attributes)
  if not event then return end
  local u = state()
  u.counts.span_event = u.counts.span_event + 1
  if u.wants.span_event then
    probe.tell(u, { kind = "span_event", calls = true, task = u.current, object = data, extra = event })
  end
end

function trace.set(...)
  local attributes = ...
  if type(attributes) ~= "table" then args.type_error(attributes, 1, "set", "table", select("#", ...)) end
  if not span.is_recorded() then return end
  local data = span.current()
  if data then span_data.set(data, attributes) end
end

function trace.on_span(fn) return observe.set_listener("span_end", "on_span", fn) end

-- Sampling -----------------------------------------------------------------------------------------------

local SAMPLINGS = {
  always = {}, never = {}, ratio = { ratio = true }, parent = { root = true, ratio = true },
}
local ROOTS = { "always", "never", "ratio" }
local ROOT_ALONE, NO_NAMES = { root = true }, {}

local function check_ratio(given)
  local ratio = given.ratio
  if type(ratio) ~= "number" or not (ratio >= 0 and ratio <= 1) then
    args.option_error(ratio, 2, "sampler", "ratio", "number from 0 to 1")
  end
  return ratio
end

--- The options with which co.trace.sampler would make this sampler.
local function options_of(sampler)
  local of_ratio = sampler.kind == "ratio" or sampler.kind == "parent" and sampler.root == "ratio"
  return {
    root = sampler.kind == "parent" and sampler.root or nil, ratio = of_ratio and sampler.ratio or nil,
  }
end

function trace.sampler(...)
  local kind, given = ...
  if type(kind) ~= "string" then args.type_error(kind, 1, "sampler", "string", select("#", ...)) end
  local names = SAMPLINGS[kind]
  if not names then
    args.refuse(1, "sampler", '"always", "never", "ratio" or "parent" expected')
  end
  if given == nil then given = {} end
  args.options(given, 2, "sampler", names)
  local next_sampler = { kind = kind }
  if kind == "parent" then next_sampler.root = options.word(given, 2, "sampler", "root", ROOTS) end
  if kind == "ratio" or next_sampler.root == "ratio" then
    next_sampler.ratio = check_ratio(given)
  else
    args.options(given, 2, "sampler", kind == "parent" and ROOT_ALONE or NO_NAMES)
  end
  local before = generator.sampler
  generator.sampler = next_sampler
  return before.kind, options_of(before)
end

-- Fields -------------------------------------------------------------------------------------------------

function trace.fields()
  local here, t = ids.here(), state().current
  return {
    trace_id = ids.trace_id(here), trace_flags = ids.flags_text(here), span_id = ids.span_id(here),
    sampled = ids.is_sampled(here),
    task_id = t and t.id or nil, task = t and kernel.name_of(t) or nil,
  }
end

return trace
