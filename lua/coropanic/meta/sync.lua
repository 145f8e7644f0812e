---@meta _

error('coropanic.meta.sync describes the API to editors and can not be run: require "coropanic"', 0)

-- For all of these: the task that waits longest is served first; each method that may wait raises a pending
-- cancellation, and outside tasks an error if it has to wait.

--- Tasks send values through it. `co.chan` makes one, and `#channel` is the number of values in its buffer.
---@class coropanic.channel
---@operator len: integer
local channel = {}

--- Waits until a receiver takes the value, or the buffer has room. On a closed channel it panics.
---@async
---@param value any  # nil too
function channel:send(value) end

--- Waits for a value.
---@async
---@return any value
---@return boolean ok  # false: the channel is closed, and its buffer empty
function channel:recv() end

--- Sends if that need not wait. On a closed channel it panics.
---@param value any
---@return boolean sent
function channel:try_send(value) end

--- Receives if that need not wait.
---@return any value
---@return boolean ok
---@return ("empty" | "closed")? why  # it is not `ok`
function channel:try_recv() end

--- Ends the sending: tasks that wait to receive get `nil, false`, those that wait to send panic.
---
--- Closing a closed channel panics.
function channel:close() end

--- How many values the buffer has room for.
---@return integer
---@nodiscard
function channel:capacity() end

--- An iterator that receives until the channel is closed. It raises for a nil, which would end the loop.
---@return async fun(): any
---@nodiscard
function channel:iter() end

--- A lock, or permits, until the end of the block that holds it in a variable: `local _ <close> = m:guard()`.
---@class coropanic.lock_guard

--- A lock for one task at a time. Its owner panics if it locks again, and so does a task that wants it when
--- its owner has ended without unlocking.
---@class coropanic.mutex
local mutex = {}

--- Waits until it has the lock.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function mutex:lock(seconds) end

--- Takes the lock if it is free.
---@return boolean locked
---@nodiscard
function mutex:try_lock() end

--- Gives the lock to the task that waits longest. Raises unless the running task owns it.
function mutex:unlock() end

--- Locks until the end of the block: `local _ <close> = mutex:guard()`.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return coropanic.lock_guard?  # nil: the time ran out
---@nodiscard
function mutex:guard(seconds) end

--- Whether somebody has it.
---@return boolean
---@nodiscard
function mutex:locked() end

--- The task that has it.
---@return coropanic.task?  # nil: nobody, or the main program
---@nodiscard
function mutex:owner() end

--- A lock for many readers, or one writer. A task that reads must not read-lock again: a writer may wait.
---@class coropanic.rwmutex
local rwmutex = {}

--- Waits until it may read.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function rwmutex:rlock(seconds) end

--- Waits until it may write.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean locked  # false: the time ran out
function rwmutex:lock(seconds) end

--- Locks for reading if that need not wait.
---@return boolean locked
---@nodiscard
function rwmutex:try_rlock() end

--- Locks for writing if that need not wait.
---@return boolean locked
---@nodiscard
function rwmutex:try_lock() end

--- Ends a reading, anybody's. Raises if nobody reads.
function rwmutex:runlock() end

--- Ends the writing. Raises unless the running task is the writer.
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

--- Tasks that hold a mutex wait for what it guards to change: `while not ready do condition:wait() end`.
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

--- Wakes all who wait.
function condition:broadcast() end

--- So many permits. To want more than it has at all is an error.
---@class coropanic.semaphore
local semaphore = {}

--- Waits for permits, and takes them all at once.
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

--- Takes permits if there are enough, and nobody waits.
---@param permits? integer  # default: 1
---@return boolean acquired
---@nodiscard
function semaphore:try_acquire(permits) end

--- Gives back permits, whoever has taken them. Raises for more than are taken.
---@param permits? integer  # default: 1
function semaphore:release(permits) end

--- How many permits are free.
---@return integer
---@nodiscard
function semaphore:available() end

--- A counter that tasks wait to become 0.
---@class coropanic.waitgroup
local waitgroup = {}

--- Spawns `fn(...)`, which counts until it has ended, in whatever way.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function waitgroup:spawn(fn, ...) end

--- Adds to the counter. Panics if that gets below 0.
---@param n? integer  # may be negative; default: 1
function waitgroup:add(n) end

--- Takes 1 from the counter. Panics if that gets below 0.
function waitgroup:done() end

--- Waits until the counter is 0.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean done  # false: the time ran out
function waitgroup:wait(seconds) end

--- A function that runs once, for the first call; other calls wait for that, and return its results.
---@class coropanic.once: function
---@operator call: any
local once = {}

--- The same as a call of the object itself: raises the function's panic, each time, and a panic of kind
--- "deadlock" inside the function.
---@async
---@param ... any  # arguments of the function, if it has not run
---@return any ...  # its results
function once:call(...) end

--- Whether the function has run, to its end or to a panic.
---@return boolean
---@nodiscard
function once:done() end

--- Something that has happened, or not yet.
---@class coropanic.event
local event = {}

--- It has happened: wakes all tasks that wait.
function event:set() end

--- It has not happened yet.
function event:clear() end

--- Whether it has happened.
---@return boolean
---@nodiscard
function event:is_set() end

--- Waits until it has happened.
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean set  # false: the time ran out
function event:wait(seconds) end

--- A variable of which every task has a value of its own; it is not inherited.
---@class coropanic.task_local<T>
local task_local = {}

--- The running task's value.
---@return T?  # the default, until it is set
---@nodiscard
function task_local:get() end

--- Sets the running task's value.
---@param value T?  # nil is kept as nil
function task_local:set(value) end
