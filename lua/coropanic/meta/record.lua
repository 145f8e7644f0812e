---@meta _

error('coropanic.meta.record describes the API to editors and can not be run: require "coropanic"', 0)

---@alias coropanic.record.kind
---| "panic"      # `co.panic(value)`
---| "error"      # `error(value)`, or raised by Lua or a library
---| "memory"     # not enough of it
---| "deadlock"   # every task waits, or some wait for each other
---| "timeout"    # cancelled by a deadline
---| "leaked"     # ended by `co.leaks`
---| "warning"    # nothing was raised: `co.order` tells of a deadlock that can happen
---| "cancelled"  # no panic, but how a task has ended
---| "goexit"     # likewise

---@alias coropanic.record.source
---| "explicit"   # `task:cancel`
---| "deadline"
---| "scope"      # `scope:cancel`, or the panic of a sibling or of the scope's function
---| "parent"     # the end of its context, or of the task whose scope it is in
---| "shutdown"   # the end of the run
---| "interrupt"  # Ctrl-C
---| "leaked"     # `co.leaks` has found the task, and was asked to end what it finds
---| "cpu_budget" # the task has used up the `cpu_budget` of `co.spawn_with`
---| "boundary"   # policies of coropanic.resilience
---| "hedge"
---| "supervisor"
---| "mesh"       # no cancellation: the record was made at a proxy

--- Where a panic came from: one activation of a function.
---@class coropanic.record.frame
---@field source string  # the path of the file, "[C]", or `[string "..."]`
---@field line integer?
---@field name string?  # the name by which it was called, if Lua can tell
---@field what "Lua" | "main" | "C" | "foreign"  # "foreign": in records of a proxy
---@field fingerprint string?  # of a Lua function: 16 hex digits that identify it, whatever its name

--- The frames, the innermost first.
---@class coropanic.record.frames
---@field [integer] coropanic.record.frame
---@field omitted integer?  # the number of frames left out
---@field omitted_after integer?  # the number of frames before the gap

---@class coropanic.record.ancestor
---@field id integer
---@field name string
---@field spawned_at string  # "file.lua:12"

--- The task's spawner, that one's spawner, and so on to the root.
---@class coropanic.record.ancestors
---@field [integer] coropanic.record.ancestor
---@field omitted integer?

---@class coropanic.record.task: coropanic.record.ancestor
---@field status coropanic.task.status  # when it panicked, or when the panic ended it
---@field ancestors coropanic.record.ancestors
---@field attributes table<string, any>?

---@class coropanic.record.parked
---@field id integer
---@field name string
---@field operation string  # "join", "receive", "sleep", ...
---@field waiting_on string  # the same as a text for people
---@field where string  # "file.lua:12"
---@field spawned_at string  # "file.lua:12"

--- Waiting tasks, in the order in which they were spawned.
---@class coropanic.record.parked.list
---@field [integer] coropanic.record.parked
---@field omitted integer?

---@class coropanic.record.suspension_point: coropanic.record.parked
---@field task string  # its name
---@field relation "parent" | "awaiter"

--- One of the last events before a panic: docs/recorder.md says which kind has which of the other fields.
---@class coropanic.record.event
---@field kind string  # "spawn", "start", "park", "yield", "wake", "end", "panic", ...
---@field age integer  # nanoseconds before the panic
---@field task integer  # its id
---@field relation "self" | "parent" | "awaiter"  # of that task to the one that panicked
---@field by integer?  # the id of the task that spawned, woke or cancelled it; 0: none
---@field daemon boolean?
---@field place string?  # "file.lua:12"
---@field delay integer?  # nanoseconds
---@field wait string?  # what it waits for
---@field reason string?
---@field status coropanic.task.status?
---@field panic coropanic.record.kind?
---@field record integer?  # that record's `seq`
---@field source coropanic.record.source?
---@field text string?
---@field span integer?

---@class coropanic.record.cancellation
---@field source coropanic.record.source
---@field reason any  # the argument of `cancel`
---@field by coropanic.record.ancestor?  # the task that called `cancel`

---@class coropanic.record.list
---@field [integer] coropanic.record
---@field omitted integer?

--- The account of one panic, or of the end of a task that was joined. `tostring(record)` is the report for
--- people. Fields can not be set. A field that is a table is the same table each time.
---@class coropanic.record
---@field value any  # the raised value itself
---@field type string  # the value's `__name`, or else its Lua type
---@field message string  # the value's text
---@field kind coropanic.record.kind
---@field error_code string  # the value's field `code`, or "coropanic." and the kind
---@field trace_id string?  # 32 hex digits; nil: no id could be made
---@field trace_flags string  # 2 hex digits: 01 sampled, 02 random
---@field span_id string?  # 16 hex digits
---@field parent_span_id string?  # 16 hex digits; nil: at the root
---@field task coropanic.record.task?  # nil: outside tasks
---@field ancestors coropanic.record.ancestors  # of the task
---@field frames coropanic.record.frames  # the stack at the point of the panic
---@field chain coropanic.record.list  # the panics that this one replaced, the oldest first
---@field recovered boolean
---@field forced true?  # an exit was swallowed so often that the task was unwound by force
---@field cause coropanic.record?  # of the awaited task or a task of the scope, or the record raised again
---@field suppressed coropanic.record.list  # the later panics of other tasks of the scope
---@field suspension_points coropanic.record.suspension_point[]  # the waits of ancestors and awaiters
---@field last_events coropanic.record.event[]?  # before it, if the recorder keeps them; the oldest first
---@field cancellation coropanic.record.cancellation?  # nil: the record is of no cancellation
---@field reason any  # of the cancellation
---@field source coropanic.record.source?  # of the cancellation
---@field parked coropanic.record.parked.list?  # every task, if the record is of a run's deadlock
---@field cycle coropanic.record.parked[]?  # tasks that wait for each other; the first one closed the cycle
---@field time integer  # nanoseconds since 1970
---@field seq integer  # order within the Lua state, from 1
---@field stack_hash string  # 16 hex digits, of the Lua frames: the same for the same code path anywhere
---@field stack_hash_full string  # of all frames, those of C too
---@field hash_version integer
---@operator concat(any): string
local record = {}

--- Returns the record as plain data in a versioned form, for JSON: a new table each time.
---@return coropanic.record.table
---@nodiscard
function record:to_table() end

--- Adds a record to `suppressed`: that of a panic which this one follows, such as an earlier attempt's. Of
--- more than 32, the rest are counted in `suppressed.omitted`.
---@param other coropanic.record  # not this one
function record:add_suppressed(other) end

--- Returns the two stack hashes as an older version made them, for stores that change to a new version.
---@param version? 1 | 2  # default: 2
---@return string stack_hash  # 16 hex digits
---@return string stack_hash_full
---@nodiscard
function record:stack_hashes(version) end

-- The contract coropanic/1 --------------------------------------------------------------------------------

--- A string, finite number or boolean, or a table of these.
---@alias coropanic.plain string | number | boolean | table

--- The table that `record:to_table()` returns; docs/coropanic-1.schema.json describes it. Empty lists are
--- left out.
---@class coropanic.record.table
---@field contract "coropanic/1"
---@field kind coropanic.record.kind
---@field type string
---@field message string
---@field value coropanic.plain?
---@field error_code string
---@field source coropanic.record.source?
---@field language ("go" | "jvm" | "python" | "rust" | "node")?  # the next four too: of a proxy
---@field service string?
---@field http_status integer?
---@field hop integer?
---@field errors_omitted integer?
---@field reason coropanic.plain?
---@field cancelled_by coropanic.record.ancestor?
---@field trace_id string?
---@field trace_flags string
---@field span_id string?
---@field parent_span_id string?
---@field seq integer
---@field time string  # digits: nanoseconds since 1970
---@field recovered boolean
---@field forced true?
---@field hash_version integer
---@field stack_hash string
---@field stack_hash_full string
---@field task coropanic.record.table.task?
---@field frames coropanic.record.frame[]?
---@field frames_omitted integer?
---@field frames_omitted_after integer?
---@field chain coropanic.record.table.link[]?
---@field chain_omitted integer?
---@field suppressed coropanic.record.table.link[]?
---@field suppressed_omitted integer?
---@field suspension_points coropanic.record.suspension_point[]?
---@field last_events coropanic.record.event[]?
---@field parked coropanic.record.parked[]?
---@field parked_omitted integer?
---@field cycle coropanic.record.parked[]?
---@field cause (coropanic.record.table | string)?  # a string: left out, nested too deeply

---@class coropanic.record.table.task: coropanic.record.ancestor
---@field status coropanic.task.status
---@field attributes table?  # plain data
---@field ancestors coropanic.record.ancestor[]?
---@field ancestors_omitted integer?

--- A panic that was replaced or suppressed.
---@class coropanic.record.table.link
---@field kind coropanic.record.kind
---@field type string
---@field message string
---@field value coropanic.plain?
---@field error_code string
---@field recovered boolean
---@field seq integer
---@field time string  # digits: nanoseconds since 1970
---@field task coropanic.record.table.link.task?

---@class coropanic.record.table.link.task: coropanic.record.ancestor
---@field parent integer?  # the id of its spawner
