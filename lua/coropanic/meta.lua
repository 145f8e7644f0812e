---@meta coropanic

--- The API in LuaCATS: editors and checkers that read it give `require "coropanic"` these types. No program
--- loads this file. Times are seconds, as numbers, unless the comment says otherwise.

error('coropanic.meta describes the API to editors and can not be run: require "coropanic"', 0)

--- Tasks, Go's defer, panic and recover, and trace ids for Lua.
---@class coropanic
---@field _VERSION string  # "major.minor.patch", the same as `CP_VERSION` in C
---@field context coropanic.contextlib  # makes contexts
---@field trace coropanic.trace  # trace ids, spans, baggage
---@field profile coropanic.profilelib  # profiles for pprof
---@field coroutine coroutinelib  # Lua's library, but tasks may suspend inside its coroutines
local co = {}

-- Running a program ---------------------------------------------------------------------------------------

---@alias coropanic.panic_handler fun(record: coropanic.record, task: coropanic.task?)

---@class coropanic.run.options
---@field clock? "monotonic" | "virtual"  # "virtual": time jumps to the next timer while all tasks wait
---@field seed? integer  # ready tasks run in a random order, the same for the same seed
---@field unhandled? "report" | "crash" | coropanic.panic_handler  # what to do with unhandled panics
---@field budget? number  # seconds, above 0, after which a round of ready tasks is cut off
---@field name? string  # of the main task; default: "main"

--- Runs `fn(...)` as the main task, and the loop until every task that is not a daemon has ended.
---
--- If main panics or is cancelled, raises its record. If every task waits for ever, raises a record of kind
--- "deadlock". In both cases all other tasks have been cancelled. Raises inside a task.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.run(fn, ...) end

--- Like `co.run`, with another clock, order, panic handler, budget or name.
---@param options coropanic.run.options
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.run_with(options, fn, ...) end

---@class coropanic.spawn.options
---@field name? string  # for reports; default: "task" and its id
---@field daemon? boolean  # `co.run` does not wait for it
---@field service? boolean  # a daemon that ends after all other tasks, and makes no spans
---@field watcher? boolean  # a service that only looks: what it waits for hides no deadlock of the others
---@field context? coropanic.context  # its end cancels the task; default: the context of the running code
---@field detached_trace? boolean  # the task starts a trace of its own
---@field cpu_budget? number  # seconds of CPU time above 0, after which the task is cancelled
---@field attributes? table<string, any>  # kept, not copied: `task.attributes`, and attributes of its span

--- Makes a task that will run `fn(...)`, a child of the running one: same trace, same context, same scope.
---
--- It begins in the next round of the loop.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function co.spawn(fn, ...) end

--- Like `co.spawn`, with options. Raises for an unknown option.
---@param options coropanic.spawn.options
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function co.spawn_with(options, fn, ...) end

-- Time ----------------------------------------------------------------------------------------------------

--- Lets the other ready tasks run. Raises a pending cancellation, and outside a task an error.
---@async
function co.yield() end

--- Suspends the task for at least `seconds`. Raises a pending cancellation, and outside a task an error.
---@async
---@param seconds number  # from 0; `math.huge`: for ever
function co.sleep(seconds) end

--- Returns the time by the loop's clock, which starts at an arbitrary time and never goes back.
---@return number seconds
---@nodiscard
function co.now() end

--- Calls `fn(resume)` and suspends until any code calls `resume(...)`. For libraries with callbacks.
---
--- `resume` returns whether the task takes the values. If not, the caller still owns them, and must close
--- them.
---@async
---@param fn fun(resume: fun(...): boolean)
---@return any ...  # the arguments of `resume`
function co.await(fn) end

--- Suspends until a descriptor is ready for reading, writing, or either.
---
--- Raises if `fd` is no descriptor, and outside a task if it would have to wait.
---@async
---@param fd integer | coropanic.pollable
---@param mode "r" | "w" | "rw"
---@param seconds? number  # at most; 0 only looks; default: for ever
---@return ("r" | "w" | "rw")? ready  # nil: the time ran out, or there is an `err`
---@return "closed"? err  # other code has closed the descriptor meanwhile
function co.wait_fd(fd, mode, seconds) end

--- An object with at least one of these methods. The first one that it has returns the descriptor.
---@class coropanic.pollable
---@field getfd? fun(self: any): integer
---@field pollfd? fun(self: any): integer
---@field fileno? fun(self: any): integer

-- Defer, panic, recover -----------------------------------------------------------------------------------

--- Returns a function that runs `fn` in a frame of its own. The frame's deferred calls run when it ends. If
--- one of them recovers a panic, the function returns to its caller.
---@generic F: function
---@param fn F
---@return F
---@nodiscard
function co.func(fn) end

--- Calls `fn(...)` in a frame, as the function that `co.func(fn)` returns would.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.call(fn, ...) end

--- A deferred call. In a to-be-closed variable it runs at the end of that block.
---@class coropanic.deferred

--- Calls `fn(...)` when the innermost frame ends, however it ends: the call deferred last runs first.
---
--- Raises outside any frame.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`, fixed now
---@return coropanic.deferred  # for `local _ <close> = co.defer(fn)`
function co.defer(fn, ...) end

--- Raises `value` as a panic, which unwinds up to the `co.recover` or `co.pcall` that stops it, or ends the
--- task. It never returns.
---@param value any  # may be nil; never copied nor changed
function co.panic(value) end

--- Stops the panic that unwinds the frame, if a deferred function of that frame calls this directly.
---
--- Everywhere else, and during a cancellation or goexit, it returns one nil.
---@return any value  # the raised value
---@return coropanic.record? record  # nil: there was nothing to recover
function co.recover() end

--- Call it in a deferred call: returns the results of the ending frame, or those that `co.set_results` has
--- set since.
---
--- Raises elsewhere.
---@return any ...
---@nodiscard
function co.results() end

--- Call it in a deferred call: sets the results of the ending frame, if it returns. Raises elsewhere.
---@param ... any
function co.set_results(...) end

--- Runs all deferred calls of the task and ends it, with status "exited". `co.recover` does not stop it. It
--- never returns.
function co.goexit() end

--- Calls `fn(...)` and catches its panic or error, but neither cancellation nor goexit.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return boolean ok
---@return any ...  # the results of `fn`, or the `coropanic.record` of its panic
function co.pcall(fn, ...) end

-- Structured concurrency ----------------------------------------------------------------------------------

--- Calls `fn(scope)`, waits until all tasks spawned in the scope have ended, and returns the results of `fn`.
---
--- If a task panics and no task joins it, the scope cancels the others and raises the panic here: `cause` is
--- the task's record, and `suppressed` has the panics that came after. Works in a task's own code only.
---@async
---@param fn async fun(scope: coropanic.scope): ...
---@return any ...  # the results of `fn`
function co.scope(fn) end

--- Like `co.scope`, but the panic of a task does not cancel the others. It goes to the task that joins it, or
--- to the panic handler.
---@async
---@param fn async fun(scope: coropanic.scope): ...
---@return any ...  # the results of `fn`
function co.supervise(fn) end

--- Calls `fn(...)` in a scope that is cancelled when the time is over. Panics pass through it.
---
--- Works in a task's own code only.
---@async
---@param seconds number  # from 0
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return boolean ok
---@return any ...  # the results of `fn`, or a `coropanic.record` of kind "timeout"
function co.with_timeout(seconds, fn, ...) end

--- Returns the context of the running task.
---@return coropanic.context
---@nodiscard
function co.ctx() end

--- Calls `fn(...)` under another context.
---
--- If the context ends meanwhile, `fn` is unwound from its next suspension point, and `co.with` raises the
--- cause, in a record of kind "cancelled" or "timeout". Works in a task's own code only.
---@param context coropanic.context
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.with(context, fn, ...) end

-- Communication -------------------------------------------------------------------------------------------

---@class coropanic.sync.options
---@field name? string  # of the object's class in `co.order`; 1 to 64 bytes

--- Makes a channel, as in Go: tasks send values through it, in order, nil too.
---@param capacity? integer  # values in the buffer; 0, the default: a sender waits for its receiver
---@param options? coropanic.sync.options
---@return coropanic.channel
---@nodiscard
function co.chan(capacity, options) end

--- A case of `co.select`: a channel to receive from, `{ channel, value }` to send, or nil: never ready.
---@alias coropanic.select.case coropanic.channel | { [1]: coropanic.channel, [2]: any } | nil

--- Waits until one of the cases is ready, and does it. If several are ready, each has the same probability.
---
--- Panics if it sends on a closed channel.
---@async
---@param seconds number?  # at most; nil: for ever; 0: does not wait
---@param case coropanic.select.case
---@param ... coropanic.select.case
---@return integer index  # of the case; 0: the time ran out
---@return any value  # the received value
---@return boolean? ok  # of a receive: false, the channel is closed and empty; nil of a send
function co.select(seconds, case, ...) end

--- Makes a lock for one task at a time. It is not reentrant.
---@param options? coropanic.sync.options
---@return coropanic.mutex
---@nodiscard
function co.mutex(options) end

--- Makes a lock for many readers or one writer. A waiting writer keeps later readers waiting.
---@param options? coropanic.sync.options
---@return coropanic.rwmutex
---@nodiscard
function co.rwmutex(options) end

--- Makes a condition: a task that holds the mutex can wait for a change of the data that the mutex guards.
---@param mutex coropanic.mutex
---@return coropanic.condition
---@nodiscard
function co.condition(mutex) end

--- Makes a semaphore with so many permits.
---@param permits integer  # 0 to 2147483647
---@param options? coropanic.sync.options
---@return coropanic.semaphore
---@nodiscard
function co.semaphore(permits, options) end

--- Makes a counter; tasks can wait until it is 0.
---@return coropanic.waitgroup
---@nodiscard
function co.waitgroup() end

--- Returns a function that runs `fn` once, in the first call. All calls return its results, or raise its
--- panic.
---@generic F: function
---@param fn F
---@param options? coropanic.sync.options
---@return F | coropanic.once
---@nodiscard
function co.once(fn, options) end

--- Makes an event, which is set or not. Tasks can wait until it is set.
---@return coropanic.event
---@nodiscard
function co.event() end

--- Makes a variable with a value of its own for every task, and one for the main program.
---@generic T
---@param default T  # its value in a task that has not set one
---@return coropanic.task_local<T>
---@nodiscard
---@overload fun(): coropanic.task_local<any>
function co.task_local(default) end

-- Looking in ----------------------------------------------------------------------------------------------

--- Returns the running task.
---@return coropanic.task?  # nil: the main program runs
---@nodiscard
function co.current() end

--- Returns the tasks that have not ended, in the order in which they were spawned.
---@return coropanic.task[]
---@nodiscard
function co.tasks() end

--- Returns one block of text for each task: its wait, its trace id, its spawner and its stack.
---@param task? coropanic.task  # default: all live tasks
---@return string
---@nodiscard
function co.dump(task) end

---@class coropanic.ended  # a task that has ended
---@field id integer
---@field name string  # its first 63 bytes
---@field status "done" | "panicked" | "cancelled" | "exited"
---@field parent? integer  # the id
---@field claimed boolean  # code has got its outcome, or has asked for its cancellation where it waits for it
---@field claimed_by? integer  # the id of the first task that joined or awaited it
---@field source? coropanic.record.source  # of the cancellation that has ended it
---@field cancelled_by? integer  # the id of the task that has called task:cancel()
---@field ended_at number  # by co.now()
---@field spawned_at string  # "file.lua:12"
---@field trace_id string

--- Returns the last tasks that have ended, the oldest end first; services and what they spawn are left out.
--- The first call begins to keep them: 256 at most, of which 192 at most have failed.
---@return coropanic.ended[] tasks
---@return integer forgotten  # tasks that had to make room
---@nodiscard
function co.ended() end

---@class coropanic.census.group  # tasks with the same parent, place, status and kind of wait
---@field count integer
---@field first integer  # the id of the oldest one
---@field parent? integer  # the id
---@field spawned_at string  # "file.lua:12"
---@field status string
---@field operation? string

---@class coropanic.census
local census = {}

--- Counts the tasks in the next slots of the runtime's table; there is a slot for each task that ever lived
--- at the same time as others.
---@param slots? integer  # from 1 to 65,536; default: 2,048, which take about 0.3 ms
---@return boolean more  # false: all are counted
function census:step(slots) end

--- Returns the oldest tasks that were counted and still live, in the order in which they were spawned.
---@return coropanic.task[]
---@nodiscard
function census:tasks() end

--- Returns the groups of the tasks that were counted, at most 512.
---@return coropanic.census.group[]
---@nodiscard
function census:groups() end

--- Returns the number of tasks that were counted.
---@return integer live
---@return integer ungrouped  # of these, in no group because there are too many groups
---@nodiscard
function census:count() end

--- Returns the live task with an id. Looks at all slots, or at so many; then the next call goes on there.
---@param id integer
---@param slots? integer  # from 1 to 65,536
---@return coropanic.task? task, boolean more  # whether there are more slots to look at
---@nodiscard
function census:find(id, slots) end

--- Returns the ids of the tasks that could end a task's wait, at most 16: the owner of the lock, the joined
--- task, the tasks of the scope.
---@param task coropanic.task
---@return integer[]
---@nodiscard
function census:blockers(task) end

--- Returns for how long the task lives, or has been accounted for, and in how many seconds of these it ran,
--- and was ready to run; nil while `co.accounting` is off.
---@param task coropanic.task
---@return number? seconds, number? run, number? ready
---@nodiscard
function census:times(task) end

--- Begins a count of all tasks in slices, for programs with very many of them.
---@param tasks? integer  # how many of the oldest ones to keep, up to 10,000; default: 1,000
---@return coropanic.census
---@nodiscard
function co.census(tasks) end

---@class coropanic.leaks.options
---@field leaked? "report"|"cancel"  # "cancel" ends them: their deferred calls run

--- Returns the tasks that wait for what nothing that is still in use can ever do, in the order in which they
--- were spawned. If there are any, collects all garbage. Raises when it is called by a finalizer.
---@param options? coropanic.leaks.options
---@return coropanic.task[]
function co.leaks(options) end

---@class coropanic.order.options
---@field strict? boolean  # a wait that closes a cycle panics; default: false
---@field allow? coropanic.order.class[][]  # each `{a, b, reason}`, as `order:allow`
---@field start? boolean  # false: only return the object; default: true

--- A name, the place where objects are made (`file.lua:12`), or one of them.
---@alias coropanic.order.class
---| string
---| coropanic.mutex
---| coropanic.rwmutex
---| coropanic.semaphore
---| coropanic.once
---| coropanic.channel

--- What tasks were seen to wait for while they held something else.
---@class coropanic.order
local order = {}

---@class coropanic.order.omitted
---@field classes integer
---@field instances integer  # objects of which two of one class were held at once
---@field edges integer
---@field warnings integer
---@field searches integer  # given up before their end
---@field held integer  # objects that a task held beyond the hundredth

---@class coropanic.order.rule
---@field from string
---@field to string
---@field reason string

---@class coropanic.order.stats
---@field on boolean
---@field classes integer
---@field instances integer
---@field edges integer
---@field warnings integer
---@field ignored integer  # classes that are no locks, because other tasks give them back
---@field omitted coropanic.order.omitted  # what was beyond a bound
---@field rules coropanic.order.rule[]

--- Returns the counts since the order was made or reset.
---@return coropanic.order.stats
---@nodiscard
function order:stats() end

---@class coropanic.order.step
---@field at string  # `file.lua:12`, where the task waited, or took the object
---@field verb string  # "locks", "read-locks", "acquires", "calls", "sends to"
---@field wants string  # the class, with its name or place
---@field holding string  # the class of what it held
---@field held_at string  # where it had taken that; "?": not known
---@field task integer  # its id
---@field trace_id string
---@field time integer  # wall time in nanoseconds since 1970

---@class coropanic.order.warning
---@field text string
---@field steps coropanic.order.step[]  # each waits for what the next one holds, the last for the first

--- Returns the warnings, the oldest first: at most 256.
---@return coropanic.order.warning[]
---@nodiscard
function order:warnings() end

--- Returns whether the class of the object stands in a cycle, whether its tasks hold some of it and wait for
--- more, or nil.
---@param object coropanic.mutex|coropanic.rwmutex|coropanic.semaphore|coropanic.once|coropanic.channel
---@return "cycle"|"hold-and-wait"|nil
---@nodiscard
function order:risk(object) end

--- Allows tasks that hold `a` to wait for `b`: no cycle goes through that. For good, in this Lua state.
---@param a coropanic.order.class
---@param b coropanic.order.class
---@param reason string
function order:allow(a, b, reason) end

--- Forgets what was seen, but not what is allowed.
function order:reset() end

--- Turns it off. What was seen can still be read.
function order:stop() end

--- Turns the order of locks on, which warns of deadlocks that have not happened yet, and returns it.
---@param options? coropanic.order.options
---@return coropanic.order
function co.order(options) end

---@class coropanic.forecast.options
---@field ahead? number  # seconds: it warns when an object will be full within; default: 3
---@field window? number  # seconds over which it takes the change of a level; default: 5
---@field period? number  # seconds between two looks; default: a twentieth of the window

--- Follows the levels of channels and semaphores.
---@class coropanic.forecast
local forecast = {}

---@class coropanic.forecast.row
---@field object string  # its name, or where it was made
---@field level integer  # values in the channel, or permits that are taken
---@field capacity integer
---@field slope number  # by how much the level grows in a second
---@field full_in number?  # seconds; nil: it does not fill up, or is followed for too short a time
---@field risk ("cycle"|"hold-and-wait")?  # as `order:risk` says

--- Returns the objects as the last look has seen them, in the order of their names.
---@return coropanic.forecast.row[]
---@nodiscard
function forecast:list() end

---@class coropanic.forecast.warning: coropanic.forecast.row
---@field text string
---@field danger string  # why it must not be full
---@field time number  # by co.now()

--- Returns the last 64 warnings, the oldest first.
---@return coropanic.forecast.warning[]
---@nodiscard
function forecast:warnings() end

---@class coropanic.forecast.stats
---@field running boolean
---@field looks integer
---@field objects integer  # at the last look
---@field omitted integer  # objects for which there was no room
---@field warnings integer

--- Returns what it has done so far.
---@return coropanic.forecast.stats
---@nodiscard
function forecast:stats() end

--- Ends it. What it has said can still be read.
function forecast:stop() end

--- Warns of channels and semaphores that will be full soon and then can stop the program. Turns `co.order`
--- on.
---
--- It ends with the run. There is one: another call ends the one that runs.
---@param options? coropanic.forecast.options
---@return coropanic.forecast
function co.forecast(options) end

--- The counts since the Lua state's start. `live`, `ready` and `afters` are present counts.
---@class coropanic.stats
---@field spawned integer  # tasks, the main task of each run too
---@field live integer  # tasks that have not ended
---@field ready integer  # tasks on the run queue
---@field switches integer  # resumptions of tasks
---@field panics integer  # panics and errors for which a record was made
---@field recovered integer  # panics that `co.recover` has stopped
---@field unhandled integer  # panics given to the panic handler, or reported in its absence
---@field cancelled integer  # tasks that have ended as cancelled
---@field afters integer  # functions of `context:after` that wait for the end of their context
---@field leaked integer  # tasks found asleep with nothing left to wake them, by a run's end or by `co.leaks`
---@field timers integer  # timers started
---@field steals integer  # overruns: a task ran for longer than the whole budget of its run
---@field preemptions integer  # suspensions of tasks whose slice was over
---@field rejected_clocks integer  # clocks of other machines that were not believed

--- Returns the counts of events in this Lua state.
---@return coropanic.stats
---@nodiscard
function co.stats() end

-- Observers and hooks -------------------------------------------------------------------------------------

---@alias coropanic.event.kind
---| "spawn"
---| "start"
---| "stop"
---| "wake"
---| "end"
---| "panic"
---| "recover"
---| "unhandled"
---| "cancel"
---| "scope_open"
---| "scope_close"
---| "context_open"
---| "context_end"
---| "span_begin"
---| "span_event"
---| "span_end"
---| "timer"
---| "sleep"
---| "awake"
---| "overrun"
---| "leaked"
---| "warning"

--- Calls `fn(kind, object, extra)` from now on with each event of these kinds. Events that `fn` causes reach
--- no observer. It must not suspend.
---@param kinds coropanic.event.kind[]  # at least one
---@param fn fun(kind: coropanic.event.kind, object: any, extra: any)
---@return fun() stop  # may be called again
function co.observe(kinds, fn) end

--- Calls `fn(record, task)` from now on for each unhandled panic. It must not suspend.
---@param fn coropanic.panic_handler?  # nil: the report goes to stderr
---@return coropanic.panic_handler? previous
function co.on_panic(fn) end

--- Calls `fn(task)` from now on right after each task was made. It must not suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_spawn(fn) end

--- Calls `fn()` from now on in each task, and each coroutine of `co.coroutine`, before its function. A hook
--- that it sets with `debug.sethook` is that coroutine's.
---@param fn fun()?  # nil: nobody is called
---@return fun()? previous
function co.on_start(fn) end

--- Calls `fn(task)` from now on each time that a task has suspended. It may cancel the task, but must not
--- suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_suspend(fn) end

--- Calls `fn(task)` from now on when a task has ended. It must not suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_exit(fn) end

-- Hosts and coroutines ------------------------------------------------------------------------------------

--- For a host with a loop of its own: wakes the tasks that are due, and runs ready tasks. Never waits.
---
--- Raises inside a task, a hook or a handler.
---@param budget? number  # seconds; 0, the default: each ready task runs once
---@return boolean more  # a task is still ready
function co.step(budget) end

--- Returns when a host must call `co.step` again.
---@return number? seconds  # 0: now; nil: no timer is set, and only an event can wake a task
---@nodiscard
function co.timeout() end

--- Returns a descriptor that turns readable when `co.step` has work before the next timer.
---@return integer fd
---@nodiscard
function co.pollfd() end

--- Returns the direction to poll `co.pollfd()` for.
---@return "r"
---@nodiscard
function co.events() end

--- Replaces Lua's library by `co.coroutine`, as a global and for `require`.
---@return coroutinelib previous
function co.instrument() end

--- Sets how many coroutines of ended tasks are kept for reuse.
---@param max? integer  # 0: none; default: changes nothing
---@return integer before  # initially 1024
function co.thread_pool(max) end

--- Turns preemption on or off: a task that has not suspended for a whole slice is suspended where it is,
--- as if it had called `co.yield` there, or ended if it was cancelled. Off at first. Raises where the system
--- has no POSIX timers that signal a thread (all but Linux), or the thread blocks SIGURG.
---
--- The slice is in seconds, from 0.00001 to 3600; for `true` and `{}` it is 0.01.
---@param setting? boolean | { slice: number? }  # default: changes nothing
---@return false | { slice: number } before  # you can pass it back
function co.preempt(setting) end

--- Declares that the functions of the calling file expect nothing to happen between two of their own
--- suspensions: preemption suspends and cancels other code of the task, but not theirs. Call it at the top of
--- the file, not as a tail call.
function co.cooperative() end

---@class coropanic.collector.settings
---@field mode? "automatic" | "idle"  # "idle": the loop steps the collector while no task runs
---@field budget? number  # seconds of one pause, above 0; 0.001 at first
---@field limit? number  # above 1; 3 at first. Beyond so many times the heap, Lua collects by itself

---@class coropanic.collector.figures  # since idle mode began
---@field pauses integer
---@field overruns integer  # pauses that were longer than the budget
---@field longest number  # seconds
---@field seconds number  # in all
---@field steps integer
---@field cycles integer

--- Chooses who steps Lua's collector: Lua when a task allocates, or the loop between tasks and while it is
--- idle, in pauses within a budget. Keeps the settings that it does not give.
---@param settings? coropanic.collector.settings  # default: changes nothing
---@return coropanic.collector.settings before  # you can pass them back
---@return coropanic.collector.figures figures
function co.collector(settings) end

-- Records of events -----------------------------------------------------------------------------------------

---@alias coropanic.recorder.trigger "panic" | "unhandled" | "deadlock" | "crash"

---@class coropanic.recorder.delay
---@field delay number  # seconds that a task was ready until it ran

---@class coropanic.recorder.options
---@field events? integer  # how many of the newest events are kept, a power of two; 65536
---@field stacks? 0 | 1  # 1: events say where a task has suspended; 0
---@field keep? integer  # the most events before a panic that its record has, from 0 to 64; 64
---@field dump_on? (coropanic.recorder.trigger | coropanic.recorder.delay)[]  # when it dumps by itself
---@field path? string  # of these dumps: %p is the process id, %n the dump's number; "coropanic-%p-%n.cpev"
---@field max_dumps? integer  # how many of them are written at most; 8
---@field cooldown? number  # seconds from one of them to the next, by the run's clock; 10

---@class coropanic.recorder.stats
---@field events integer  # kept now
---@field lost integer  # that newer ones have overwritten
---@field bytes integer  # of memory
---@field dumps integer?  # written because of dump_on; nil without that option
---@field dump_errors integer?  # that could not be written
---@field dumps_skipped integer?  # that max_dumps and cooldown have prevented

---@class coropanic.recorder  # the runtime's recorder of events: docs/recorder.md
local recorder = {}

--- Returns what is recorded now, as a file of the format coropanic-events/1.
---@return string bytes
---@nodiscard
function recorder:snapshot() end

--- Writes the same to a file, while no task runs.
---@param path string
---@return true? ok, string? message, integer? code  # nil, a message and errno if it could not be written
function recorder:dump(path) end

--- Ends recording, and frees its memory.
function recorder:stop() end

--- Counts the events.
---@return coropanic.recorder.stats
---@nodiscard
function recorder:stats() end

---@class coropanic.recorder.event
---@field age_ms number
---@field what string  # "spawn", "start", "park", "yield", "wake", "end", "panic", ...
---@field wait string?  # of a park
---@field site string?  # "file.lua:12"
---@field text string?  # a given name, the reason of a wake, the status of an end
---@field by integer?  # the id of the task that did it
---@field span integer?  # the number of the span

--- Returns the last events of a task, the oldest first.
---@param id integer
---@param events integer  # at most so many, up to 1024
---@return coropanic.recorder.event[]
---@nodiscard
function recorder:last(id, events) end

---@class coropanic.lanes  # what the tasks that ran longest did in the last seconds
local lanes = {}

--- Reads so many more events, or looks at so many slots of tasks. Returns whether there is more to do.
---@param events? integer  # from 1 to 1048576; 8192 if it is not given
---@return boolean more
function lanes:step(events) end

--- Returns when the lanes begin and end, in seconds since 1970, and how many events of that time are lost,
--- tasks have no lane, and spans became a part of another one.
---@return { from: number, to: number, count: integer, lost: integer, omitted: integer, merged: integer }
---@nodiscard
function lanes:window() end

--- Returns the task of a lane, from 1 to `count`, and its name if it lives.
---@param number integer
---@return integer id, string? name
---@nodiscard
function lanes:lane(number) end

--- Returns the next spans of a lane, at most 1,000, as JSON: `[start, microseconds, "run"]`, with commas
--- between them; nil if there are no more.
---@param number integer
---@return string?
function lanes:spans(number) end

--- Returns what tasks did, after the calls of `step` have read it.
---@param seconds? number  # the last seconds, up to 3600; 10 if it is not given
---@return coropanic.lanes
---@nodiscard
function recorder:lanes(seconds) end

--- Records the newest events of all tasks in a ring in memory. There is one recorder: another call begins
--- anew, with its options.
---@param options? coropanic.recorder.options
---@return coropanic.recorder recorder
function co.record(options) end

--- Returns the recorder while it records; nil while it does not.
---@return coropanic.recorder? recorder
---@nodiscard
function co.recorder() end

---@class coropanic.histogram
---@field count integer
---@field sum number  # seconds
---@field longest number  # seconds
---@field buckets table<integer, integer>  # k -> durations from 2^(k-1) to below 2^k nanoseconds; 0: of none
---@field exemplars table<integer, coropanic.exemplar>  # by bucket

---@class coropanic.exemplar  # a task whose trace is sampled, and its duration
---@field trace_id string
---@field span_id string?  # if the task had one
---@field value number  # seconds
---@field time number  # seconds since 1970

---@class coropanic.accounting  # since the first co.accounting(true)
---@field delay coropanic.histogram  # how long tasks were ready before they ran
---@field run coropanic.histogram  # how long they ran without suspending
---@field wait table<string, coropanic.histogram>  # how long they waited, by task.operation
---@field idle number  # seconds in which the loop slept
---@field seconds number  # since the first co.accounting(true)
---@field cycles integer  # of Lua's collector

--- Turns accounting for the time of tasks on (true) or off (false): it is on as long as there were more calls
--- to turn it on. Without an argument, returns what was counted; nil: it is off.
---@param on? boolean
---@return coropanic.accounting?
function co.accounting(on) end

return co
