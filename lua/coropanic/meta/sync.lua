---@meta _

error('coropanic.meta.sync describes the API to editors and can not be run: require "coropanic"', 0)

-- For all of these: the task that has waited longest is served first. A method that may wait raises a pending
-- cancellation; outside tasks it raises an error if it would have to wait.

--- A channel, through which tasks send values. `co.chan` makes one, and `#channel` is the number of values in
--- its buffer.
---@class coropanic.channel
---@operator len: integer
local channel = {}

--- Waits until a receiver takes the value, or the buffer has room. On a closed channel it panics.
---@async
---@param value any  # may be nil
function channel:send(value) end

--- Waits for a value.
---@async
---@return any value
---@return boolean ok  # false: the channel is closed, and its buffer empty
function channel:recv() end

--- Sends the value if it does not have to wait. On a closed channel it panics.
---@param value any
---@return boolean sent
function channel:try_send(value) end

--- Receives a value if it does not have to wait.
---@return any value
---@return boolean ok
---@return ("empty" | "closed")? why  # nil: `ok` is true
function channel:try_recv() end

--- Closes the channel: tasks that wait to receive get `nil, false`, and those that wait to send panic.
---
--- Closing a closed channel panics.
function channel:close() end

--- Returns the number of values that the buffer has room for.
---@return integer
---@nodiscard
function channel:capacity() end

--- Returns an iterator that receives until the channel is closed. It raises for a nil, which would end the
--- loop.
---@return async fun(): any
---@nodiscard
function channel:iter() end

--- Holds a lock or permits until the end of the block: `local _ <close> = m:guard()`.
---@class coropanic.lock_guard

--- A lock for one task at a time. Its owner panics if it locks it again. If the owner has ended without
--- unlocking it, every task that locks it panics.
---@class coropanic.mutex
local mutex = {}

--- Waits for the lock, and takes it.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function mutex:lock(seconds) end

--- Takes the lock if it is free.
---@return boolean locked
---@nodiscard
function mutex:try_lock() end

--- Unlocks, and gives the lock to the task that has waited longest. Raises unless the running task owns it.
function mutex:unlock() end

--- Locks until the end of the block: `local _ <close> = mutex:guard()`.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return coropanic.lock_guard?  # nil: the time ran out
---@nodiscard
function mutex:guard(seconds) end

--- Returns whether the mutex is locked.
---@return boolean
---@nodiscard
function mutex:locked() end

--- Returns the task that has the lock.
---@return coropanic.task?  # nil: nobody, or the main program
---@nodiscard
function mutex:owner() end

--- A lock for many readers or one writer. A task that reads must not lock for reading again, because a writer
--- may be waiting.
---@class coropanic.rwmutex
local rwmutex = {}

--- Waits for the lock, and takes it for reading.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function rwmutex:rlock(seconds) end

--- Waits for the lock, and takes it for writing.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function rwmutex:lock(seconds) end

--- Locks for reading if it does not have to wait.
---@return boolean locked
---@nodiscard
function rwmutex:try_rlock() end

--- Locks for writing if it does not have to wait.
---@return boolean locked
---@nodiscard
function rwmutex:try_lock() end

--- Removes one reader; any task may do so. Raises if there is none.
function rwmutex:runlock() end

--- Unlocks for writing. Raises unless the running task is the writer.
function rwmutex:unlock() end

--- Locks for reading until the end of the block: `local _ <close> = rwmutex:rguard()`.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return coropanic.lock_guard?  # nil: the time ran out
---@nodiscard
function rwmutex:rguard(seconds) end

--- Locks for writing until the end of the block: `local _ <close> = rwmutex:guard()`.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return coropanic.lock_guard?  # nil: the time ran out
---@nodiscard
function rwmutex:guard(seconds) end

--- A task that holds a mutex waits for a change of the guarded data: `while not ready do condition:wait()
--- end`.
---@class coropanic.condition
local condition = {}

--- Unlocks the mutex, which the task must hold, waits for a signal, and locks the mutex again, however the
--- wait ends.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean signalled  # false: the time ran out
function condition:wait(seconds) end

--- Wakes the task that has waited longest, if one waits.
function condition:signal() end

--- Wakes all waiting tasks.
function condition:broadcast() end

--- A number of permits. Asking for more than all of them is an error.
---@class coropanic.semaphore
local semaphore = {}

--- Waits for so many permits, and takes them all at once.
---@async
---@param permits? integer  # default: 1
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean acquired  # false: the time ran out
function semaphore:acquire(permits, seconds) end

--- Takes permits until the end of the block: `local _ <close> = semaphore:guard()`.
---@async
---@param permits? integer  # default: 1
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return coropanic.lock_guard?  # nil: the time ran out
---@nodiscard
function semaphore:guard(permits, seconds) end

--- Takes permits if enough are free and no task waits for some.
---@param permits? integer  # default: 1
---@return boolean acquired
---@nodiscard
function semaphore:try_acquire(permits) end

--- Gives back permits; any task may do so. Raises if fewer are taken.
---@param permits? integer  # default: 1
function semaphore:release(permits) end

--- Returns the number of free permits.
---@return integer
---@nodiscard
function semaphore:available() end

--- A counter. Tasks can wait until it is 0.
---@class coropanic.waitgroup
local waitgroup = {}

--- Spawns `fn(...)`, which is counted until it ends, however it ends.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function waitgroup:spawn(fn, ...) end

--- Adds to the counter. Panics if it would become negative.
---@param n? integer  # may be negative; default: 1
function waitgroup:add(n) end

--- Takes 1 from the counter. Panics if it would become negative.
function waitgroup:done() end

--- Waits until the counter is 0.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean done  # false: the time ran out
function waitgroup:wait(seconds) end

--- A function that runs once, in the first call. Other calls wait for that one, and return its results.
---@class coropanic.once: function
---@operator call: any
local once = {}

--- The same as a call of the object itself. If the function has panicked, each call raises the panic. A call
--- inside the function raises a panic of kind "deadlock".
---@async
---@param ... any  # arguments of the function, if it has not run
---@return any ...  # the function's results
function once:call(...) end

--- Returns whether the function has run, to its end or to a panic.
---@return boolean
---@nodiscard
function once:done() end

--- An event, which is set or not.
---@class coropanic.event
local event = {}

--- Sets the event, and wakes all tasks that wait for it.
function event:set() end

--- Clears the event.
function event:clear() end

--- Returns whether the event is set.
---@return boolean
---@nodiscard
function event:is_set() end

--- Waits until the event is set.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean set  # false: the time ran out
function event:wait(seconds) end

--- A variable with a value of its own for every task. Tasks do not inherit values.
---@class coropanic.task_local<T>
local task_local = {}

--- Returns the running task's value.
---@return T?  # the default if it was not set
---@nodiscard
function task_local:get() end

--- Sets the running task's value.
---@param value T?  # nil is kept as nil
function task_local:set(value) end
