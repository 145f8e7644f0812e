---@meta _

error('coropanic.meta.trace describes the API to editors and can not be run: require "coropanic"', 0)

--- The trace of the running code. It follows a request through all tasks that the code spawns, and the spans
--- in it. Functions that need a new trace id raise "no trace id: ..." if the generator can make none.
---@class coropanic.trace
local trace = {}

---@class coropanic.trace.position
---@field trace_id string  # 32 hex digits
---@field span_id string  # 16 hex digits
---@field parent_span_id string?  # 16 hex digits; nil: at the root
---@field sampled boolean
---@field random boolean  # the last 7 bytes of the trace id are random
---@field state string?  # the tracestate; nil: there is none

--- Returns the ids of the running code.
---@return coropanic.trace.position
---@nodiscard
function trace.current() end

--- Headers of a message: names to values, names to arrays of values, a list of `{ name, value }` or of
--- `{ name =, value = }`, or an object that behaves like one. Names are taken in any case.
---@alias coropanic.trace.headers table | userdata

--- The contents of headers. Both span ids are the header's parent-id.
---@class coropanic.trace.extracted
---@field trace_id string  # 32 hex digits
---@field span_id string?  # 16 hex digits; nil: not `valid`
---@field parent_span_id string?
---@field sampled boolean
---@field random boolean
---@field state string?
---@field baggage string?  # the header
---@field valid boolean  # false: there was no usable traceparent, and the ids are those of a new trace

--- Reads the trace of an incoming message.
---@param headers coropanic.trace.headers
---@return coropanic.trace.extracted
---@nodiscard
function trace.extract(headers) end

--- Sets traceparent, tracestate and baggage of an outgoing message to those of the running code.
---
--- Raises if an object does not accept the headers.
---@generic T
---@param headers T
---@return T headers
---@overload fun(): table<string, string>
function trace.inject(headers) end

--- Calls `fn(...)` in a span of the incoming message's trace, or of a new one if the message has no valid
--- trace.
---@param headers coropanic.trace.headers  # or the result of `trace.extract`
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function trace.continue(headers, fn, ...) end

-- Spans ---------------------------------------------------------------------------------------------------

---@alias coropanic.span.attribute string | number | boolean | string[] | number[] | boolean[]
---@alias coropanic.span.attributes table<string, coropanic.span.attribute>
---@alias coropanic.span.kind "internal" | "server" | "client" | "producer" | "consumer"

---@class coropanic.span.options
---@field attributes? coropanic.span.attributes
---@field kind? coropanic.span.kind  # default: "internal"

---@class coropanic.span.event
---@field name string
---@field time integer  # nanoseconds since 1970
---@field attributes coropanic.span.attributes
---@field dropped_attributes integer?

--- A piece of work that has ended.
---@class coropanic.span
---@field trace_id string  # 32 hex digits
---@field span_id string  # 16 hex digits
---@field parent_span_id string?
---@field trace_flags string  # 2 hex digits
---@field trace_state string?
---@field name string
---@field kind coropanic.span.kind
---@field start_time integer  # nanoseconds since 1970
---@field end_time integer  # nanoseconds since 1970
---@field task integer?  # the id of the task that ran it; nil: outside tasks
---@field attributes coropanic.span.attributes
---@field events coropanic.span.event[]
---@field status "error"?  # a panic or error has passed through
---@field status_message string?
---@field dropped_attributes integer?  # the number left out
---@field dropped_events integer?

--- Calls `fn(span, record)` from now on with each span that has ended, and the record of the panic that ended
--- it, if one did. It must not suspend. It makes no spans itself.
---@param fn fun(span: coropanic.span, record: coropanic.record?)?  # nil: spans are not made any more
---@return fun(span: coropanic.span, record: coropanic.record?)? previous
function trace.on_span(fn) end

--- Calls `fn(...)`, in a span of that name if the trace is sampled and a listener is set.
---@param name string
---@param options coropanic.span.options
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
---@overload fun(name: string, fn: (async fun(...): ...), ...): any
function trace.span(name, options, fn, ...) end

--- Adds an event to the innermost span, with the present time.
---@param name string
---@param attributes? coropanic.span.attributes
function trace.event(name, attributes) end

--- Sets attributes of the innermost span.
---@param attributes coropanic.span.attributes
function trace.set(attributes) end

---@alias coropanic.trace.sampler.kind "parent" | "always" | "never" | "ratio"

---@class coropanic.trace.sampler.options
---@field root? "always" | "never" | "ratio"  # of "parent": for traces that begin here; default: "always"
---@field ratio? number  # of "ratio": the part of traces that is sampled, 0 to 1

--- Sets which traces are sampled from now on: as their parent says, all, none, or a part, chosen by their id.
---@param kind coropanic.trace.sampler.kind
---@param options? coropanic.trace.sampler.options
---@return coropanic.trace.sampler.kind previous
---@return coropanic.trace.sampler.options options
function trace.sampler(kind, options) end

--- The fields that a logger adds to its lines.
---@class coropanic.trace.fields
---@field trace_id string  # 32 hex digits
---@field span_id string  # 16 hex digits
---@field trace_flags string  # 2 hex digits
---@field sampled boolean
---@field task_id integer?  # nil: outside tasks
---@field task string?  # its name

--- Returns the ids of the running code, for a logger.
---@return coropanic.trace.fields
---@nodiscard
function trace.fields() end

-- Baggage -------------------------------------------------------------------------------------------------

--- Returns the value of a member of the baggage, which travels with the trace.
---@param name string
---@return string? value  # nil: there is no such member
---@return string? properties  # as they are in the header
---@nodiscard
---@overload fun(): table<string, string>
function trace.baggage(name) end

--- Sets a member of the baggage, for the running code and the tasks that it spawns from now on.
---
--- Raises for text that is not UTF-8, and for more than 8192 bytes.
---@param name string  # letters, digits and !#$%&'*+-.^_`|~
---@param value string?  # nil removes it
---@param properties? string  # "key;key=value", values percent-encoded
function trace.set_baggage(name, value, properties) end

-- Ids -----------------------------------------------------------------------------------------------------

---@alias coropanic.trace.generator
---| "random"     # 128 random bits
---| "uuid7"      # time, counter, random bits: in order
---| "snowflake"  # time, machine id, sequence: in order, and the left half unique
---| "hlc"        # a hybrid logical clock: in order from cause to effect between machines

---@class coropanic.trace.snowflake.options
---@field machine? integer  # 0 to 1023; this or `lease` must be given
---@field lease? async fun(hold: coropanic.trace.hold): integer, integer?  # leases a machine id
---@field epoch? integer  # milliseconds since 1970; default: 2024
---@field on_clock_back? "wait" | "borrow" | "error"  # default: "wait"
---@field tolerance? number  # the most seconds to wait or borrow; default: 0.1, to borrow 10

---@class coropanic.trace.hlc.options
---@field max_drift? number  # seconds that an incoming clock may be ahead of ours; default: 0.5

--- Sets the lease of the machine id: it lasts for `seconds` from the last `hold()`, and no id gets a later
--- unix millisecond than `to`. Returns whether the lease is still wanted, and the unix millisecond of the
--- last id.
---@alias coropanic.trace.hold fun(seconds?: number, to?: integer): boolean?, (integer | string)?

--- Sets the generator of trace ids from now on. With a lease it may suspend.
---
--- Raises if the machine id is used by another Lua state of the process, or can not be leased.
---@param generator coropanic.trace.generator
---@param options? coropanic.trace.snowflake.options | coropanic.trace.hlc.options
---@return coropanic.trace.generator previous
function trace.use(generator, options) end

--- What a live trace has used since counting began.
---@class coropanic.trace.usage
---@field tasks integer  # those that lived when counting began, and those spawned since
---@field switches integer  # resumptions of tasks
---@field spans integer
---@field run_ns integer  # nanoseconds in which its code ran
---@field wait_ns integer  # nanoseconds in which its tasks waited, added up
---@field allocated integer?  # bytes, if a profile of allocations has run

--- Returns what live traces have used, by their ids; or of one of them, nil if it is not live. The first call
--- begins to count. `false` ends it.
---@param trace_id? string | false
---@return table<string, coropanic.trace.usage> | coropanic.trace.usage | nil
function trace.usage(trace_id) end
