---@meta coropanic

--- The API in LuaCATS: editors and checkers that read it give `require "coropanic"` these types. No program
--- loads this file. Times are seconds, as numbers, if nothing else is said.

error('coropanic.meta describes the API to editors and can not be run: require "coropanic"', 0)

--- Tasks, Go's defer, panic and recover, and trace ids for Lua.
---@class coropanic
---@field _VERSION string  # "major.minor.patch", the same as `CP_VERSION` in C
---@field context coropanic.contextlib  # makes contexts
---@field trace coropanic.trace  # trace ids, spans, baggage
---@field coroutine coroutinelib  # Lua's library, but that a task may suspend inside its coroutines
local co = {}

-- Running a program ---------------------------------------------------------------------------------------

---@alias coropanic.panic_handler fun(record: coropanic.record, task: coropanic.task?)

---@class coropanic.run.options
---@field clock? "monotonic" | "virtual"  # "virtual": time jumps to the next timer while all tasks wait
---@field seed? integer  # ready tasks run in a random order, the same for the same seed
---@field unhandled? "report" | "crash" | coropanic.panic_handler  # of panics that nobody claims
---@field budget? number  # seconds, above 0, after which a round of ready tasks is broken off
---@field name? string  # of the main task; default: "main"

--- Runs `fn(...)` as the main task, and the loop until every task that is no daemon has ended.
---
--- Raises the record of main's panic or cancellation, and one of kind "deadlock" when every task waits for
--- ever. All other tasks have been cancelled then. Inside a task it is an error.
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
---@field service? boolean  # a daemon that ends after all other tasks; what it does makes no spans
---@field context? coropanic.context  # the task is cancelled when it ends; default: that of the running code
---@field detached_trace? boolean  # it starts a trace of its own
---@field attributes? table<string, any>  # kept, not copied: `task.attributes`, and attributes of its span

--- Makes a task that will run `fn(...)`, a child of the running one: same trace, same context, same scope.
---
--- It begins in the next round of the loop.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function co.spawn(fn, ...) end

--- Like `co.spawn`, with options. Raises for an option that it does not know.
---@param options coropanic.spawn.options
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function co.spawn_with(options, fn, ...) end

-- Time ----------------------------------------------------------------------------------------------------

--- Lets the other ready tasks run. Raises a pending cancellation, and outside a task an error.
---@async
function co.yield() end

--- Suspends the task for at least so long. Raises a pending cancellation, and outside a task an error.
---@async
---@param seconds number  # from 0; `math.huge` is for ever
function co.sleep(seconds) end

--- The time by the clock of the loop: from an arbitrary start, and never going back.
---@return number seconds
---@nodiscard
function co.now() end

--- Calls `fn(resume)` and suspends until `resume(...)` is called, from wherever that is; for libraries with
--- callbacks.
---
--- `resume` returns whether the task takes the values; if not, they are still the caller's to close.
---@async
---@param fn fun(resume: fun(...): boolean)
---@return any ...  # what `resume` was given
function co.await(fn) end

--- Suspends until a descriptor is ready for reading, writing, or either.
---
--- Raises for what is no descriptor, and outside a task if it had to wait.
---@async
---@param fd integer | coropanic.pollable
---@param mode "r" | "w" | "rw"
---@param seconds? number  # at most; 0 only looks; default: for ever
---@return ("r" | "w" | "rw")? ready  # nil: the time ran out, or there is an `err`
---@return "closed"? err  # somebody has closed it meanwhile
function co.wait_fd(fd, mode, seconds) end

--- An object whose descriptor one of these methods returns; the first that it has is called.
---@class coropanic.pollable
---@field getfd? fun(self: any): integer
---@field pollfd? fun(self: any): integer
---@field fileno? fun(self: any): integer

-- Defer, panic, recover -----------------------------------------------------------------------------------

--- Gives a function a frame: its deferred calls run when it ends, and a panic that one of them recovers ends
--- there.
---@generic F: function
---@param fn F
---@return F
---@nodiscard
function co.func(fn) end

--- Calls `fn(...)` in a frame, as what `co.func(fn)` returns would.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.call(fn, ...) end

--- A deferred call. In a to-be-closed variable it makes the call run at the end of that block.
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
---@param value any  # nil too; never copied nor written to
function co.panic(value) end

--- Stops the panic that unwinds the frame, if a deferred function of that frame itself calls this.
---
--- Everywhere else, and during a cancellation or goexit, it returns one nil.
---@return any value  # what was raised
---@return coropanic.record? record  # nil: there was nothing to recover
function co.recover() end

--- In a deferred call: what the frame that is ending returned with, or `co.set_results` has set since.
---
--- Raises elsewhere.
---@return any ...
---@nodiscard
function co.results() end

--- In a deferred call: sets what the frame that is ending will return, if it returns. Raises elsewhere.
---@param ... any
function co.set_results(...) end

--- Ends the task, status "exited", having run all its deferred calls; `co.recover` does not stop it. It never
--- returns.
function co.goexit() end

--- Calls `fn(...)` and catches its panic or error, but neither cancellation nor goexit.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return boolean ok
---@return any ...  # the results of `fn`, or the `coropanic.record` of its panic
function co.pcall(fn, ...) end

-- Structured concurrency ----------------------------------------------------------------------------------

--- Calls `fn(scope)`, waits until all tasks spawned in the scope have ended, and returns what `fn` did.
---
--- The panic of a task, unless somebody joins it, cancels the others and is raised here: `cause` is its
--- record, and `suppressed` are the panics that came after. Works in a task's own code only.
---@async
---@param fn async fun(scope: coropanic.scope): ...
---@return any ...  # the results of `fn`
function co.scope(fn) end

--- Like `co.scope`, but the panic of a task leaves the others alone and goes to whoever joins it, or to the
--- panic handler.
---@async
---@param fn async fun(scope: coropanic.scope): ...
---@return any ...  # the results of `fn`
function co.supervise(fn) end

--- Calls `fn(...)` in a scope that is cancelled when the time is over. Panics go on through it.
---
--- Works in a task's own code only.
---@async
---@param seconds number  # from 0
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return boolean ok
---@return any ...  # the results of `fn`, or a `coropanic.record` of kind "timeout"
function co.with_timeout(seconds, fn, ...) end

--- The context of the running task.
---@return coropanic.context
---@nodiscard
function co.ctx() end

--- Calls `fn(...)` under another context.
---
--- If that ends meanwhile, `fn` is unwound from its next suspension point, and the cause is raised, in a
--- record of kind "cancelled" or "timeout". Works in a task's own code only.
---@param context coropanic.context
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # the results of `fn`
function co.with(context, fn, ...) end

-- Communication -------------------------------------------------------------------------------------------

--- A channel, as Go's: tasks send values through it, in order, nil too.
---@param capacity? integer  # values that are buffered; 0, the default: a sender waits for its receiver
---@return coropanic.channel
---@nodiscard
function co.chan(capacity) end

--- A case of `co.select`: a channel to receive from, `{ channel, value }` to send, or nil: never ready.
---@alias coropanic.select.case coropanic.channel | { [1]: coropanic.channel, [2]: any } | nil

--- Waits until one of the cases can go on, and does that; among several each is as likely.
---
--- Raises what a send on a closed channel does.
---@async
---@param seconds number?  # at most; nil: for ever; 0: does not wait
---@param case coropanic.select.case
---@param ... coropanic.select.case
---@return integer index  # of the case; 0: the time ran out
---@return any value  # what was received
---@return boolean? ok  # of a receive: false, the channel is closed and empty; nil of a send
function co.select(seconds, case, ...) end

--- A lock for one task at a time. It is not reentrant.
---@return coropanic.mutex
---@nodiscard
function co.mutex() end

--- A lock for many readers or one writer. A writer that waits keeps later readers waiting.
---@return coropanic.rwmutex
---@nodiscard
function co.rwmutex() end

--- Something that tasks which hold a mutex wait for: that what it guards has changed.
---@param mutex coropanic.mutex
---@return coropanic.condition
---@nodiscard
function co.condition(mutex) end

--- So many permits, for so many tasks at a time.
---@param permits integer  # 0 to 2147483647
---@return coropanic.semaphore
---@nodiscard
function co.semaphore(permits) end

--- A counter that tasks wait to become 0.
---@return coropanic.waitgroup
---@nodiscard
function co.waitgroup() end

--- Makes a function run once, whoever calls it first: all calls return its results, or raise its panic.
---@generic F: function
---@param fn F
---@return F | coropanic.once
---@nodiscard
function co.once(fn) end

--- Something that has happened, or not yet; tasks wait for it.
---@return coropanic.event
---@nodiscard
function co.event() end

--- A variable of which every task has a value of its own, and the main program one.
---@generic T
---@param default T  # its value in a task until that sets one
---@return coropanic.task_local<T>
---@nodiscard
---@overload fun(): coropanic.task_local<any>
function co.task_local(default) end

-- Looking in ----------------------------------------------------------------------------------------------

--- The running task.
---@return coropanic.task?  # nil: the main program runs
---@nodiscard
function co.current() end

--- The tasks that have not ended, in the order in which they were spawned.
---@return coropanic.task[]
---@nodiscard
function co.tasks() end

--- One block of text for each task: what it waits on, its trace id, who spawned it, its stack.
---@return string
---@nodiscard
function co.dump() end

--- Counts since the Lua state's start, except `live`, `ready` and `afters`: these are as of now.
---@class coropanic.stats
---@field spawned integer  # tasks, the main task of each run too
---@field live integer  # tasks that have not ended
---@field ready integer  # tasks on the run queue
---@field switches integer  # resumptions of tasks
---@field panics integer  # panics and errors of which a record was made
---@field recovered integer  # panics that `co.recover` has stopped
---@field unhandled integer  # panics given to the panic handler, or reported in its absence
---@field cancelled integer  # tasks that have ended as cancelled
---@field afters integer  # functions of `context:after` that wait for the end of their context
---@field leaked integer  # tasks found asleep with nothing left that could wake them
---@field timers integer  # timers started
---@field steals integer  # times that a task ran for longer than the whole budget of its run
---@field rejected_clocks integer  # clocks of other machines that were not believed

--- Counts what has happened in this Lua state.
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

--- Calls `fn(kind, object, extra)` from now on with each event of these kinds. What it does is told to no
--- observer. It must not suspend.
---@param kinds coropanic.event.kind[]  # at least one
---@param fn fun(kind: coropanic.event.kind, object: any, extra: any)
---@return fun() stop  # may be called again
function co.observe(kinds, fn) end

--- Calls `fn(record, task)` from now on for each panic that nobody claims. It must not suspend.
---@param fn coropanic.panic_handler?  # nil: the report goes to stderr
---@return coropanic.panic_handler? previous
function co.on_panic(fn) end

--- Calls `fn(task)` from now on right after each task was made. It must not suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_spawn(fn) end

--- Calls `fn()` from now on in each task, and each coroutine of `co.coroutine`, before its function: what
--- `debug.sethook` sets there holds in it.
---@param fn fun()?  # nil: nobody is called
---@return fun()? previous
function co.on_start(fn) end

--- Calls `fn(task)` from now on each time that a task has suspended. It may cancel the task, and must not
--- suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_suspend(fn) end

--- Calls `fn(task)` from now on when a task has ended. It must not suspend.
---@param fn fun(task: coropanic.task)?  # nil: nobody is called
---@return fun(task: coropanic.task)? previous
function co.on_exit(fn) end

-- Hosts and coroutines ------------------------------------------------------------------------------------

--- Wakes what is due and runs ready tasks, for a host with a loop of its own; never waits.
---
--- Raises inside a task, a hook or a handler.
---@param budget? number  # seconds; 0, the default: each ready task runs once
---@return boolean more  # a task is still ready
function co.step(budget) end

--- When `co.step` has something to do.
---@return number? seconds  # 0: now; nil: nothing is pending, only an event can wake a task
---@nodiscard
function co.timeout() end

--- A descriptor that turns readable when `co.step` has something to do before the next timer.
---@return integer fd
---@nodiscard
function co.pollfd() end

--- What to poll `co.pollfd()` for.
---@return "r"
---@nodiscard
function co.events() end

--- Puts `co.coroutine` in the place of Lua's library, as a global and for `require`.
---@return coroutinelib previous
function co.instrument() end

--- Sets how many coroutines of ended tasks are kept for others.
---@param max? integer  # 0: none; default: changes nothing
---@return integer before  # at first 1024
function co.thread_pool(max) end

return co
