---@meta _

error('coropanic.meta.task describes the API to editors and can not be run: require "coropanic"', 0)

---@alias coropanic.task.status
---| "ready"      # on the run queue
---| "running"
---| "waiting"    # for what `operation` and `waiting_on` say
---| "done"       # its function has returned
---| "panicked"
---| "cancelled"
---| "exited"     # by `co.goexit`

--- A coroutine that the scheduler owns: `co.spawn` makes one. Fields can not be set.
---@class coropanic.task
---@field id integer  # from 1, never reused in one Lua state
---@field name string
---@field parent coropanic.task?  # its spawner; nil: none, or forgotten after many generations
---@field trace_id string  # 32 hex digits
---@field span_id string  # 16 hex digits
---@field spawned_at string  # "file.lua:12"
---@field operation string?  # while it waits: "join", "receive", "sleep", ...
---@field waiting_on any  # while it waits: the task, channel, lock, descriptor, ..., or else its `operation`
---@field where string?  # until it ends: "file.lua:12", the place where it stands; "?": it has not begun
---@field daemon boolean
---@field attributes table<string, any>?  # those of `co.spawn_with`
local task = {}

--- Waits until the task has ended, and returns how. If the task panicked, the caller now owns the panic,
--- which is not reported elsewhere.
---
--- A task that joins itself raises an error. A join that closes a cycle of waits raises a panic of kind
--- "deadlock".
---@async
---@param seconds? number  # at most; 0 does not wait; default: for ever
---@return boolean ok  # the task's function has returned
---@return any ...  # its results, or the `coropanic.record` of its end; nil: the time ran out
function task:join(seconds) end

--- Waits until the task has ended, and returns its results.
---
--- If the task panicked, raises the panic here, in a new record whose `cause` is the task's own. Panics if
--- the task was cancelled or has exited.
---@async
---@return any ...  # the task's results
function task:await() end

--- Cancels the task: it is unwound where it waits, or at its next suspension point.
---@param reason? any  # `record.reason` of the cancellation
---@param source? "boundary" | "hedge" | "supervisor"  # for policies: `record.source`, in place of "explicit"
---@return boolean asked  # false: the task has ended already
function task:cancel(reason, source) end

--- Returns the task's state, or how it has ended.
---@return coropanic.task.status
---@nodiscard
function task:status() end
