---@meta _

error('coropanic.meta.structure describes the API to editors and can not be run: require "coropanic"', 0)

-- Scopes --------------------------------------------------------------------------------------------------

--- The argument of the function of `co.scope` or `co.supervise`. The scope's tasks end before it does.
---@class coropanic.scope
local scope = {}

--- Like `co.spawn`, in this scope. Raises once the scope has ended.
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function scope:spawn(fn, ...) end

--- Like `co.spawn_with`, in this scope. Raises once the scope has ended.
---@param options coropanic.spawn.options
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return coropanic.task
function scope:spawn_with(options, fn, ...) end

--- Cancels the tasks of the scope, and its function at the next suspension point. The scope then returns.
---@param reason? any
---@param source? "boundary" | "hedge" | "supervisor"  # for policies: `record.source`, in place of "scope"
---@return boolean asked  # false: the scope has ended, or was cancelled already
function scope:cancel(reason, source) end

-- Contexts ------------------------------------------------------------------------------------------------

--- Makes contexts, as Go's package context does.
---@class coropanic.contextlib
local contextlib = {}

--- Ends the context, and its children; only the first call counts.
---@alias coropanic.context.cancel fun(cause?: any)

--- Returns the root context, which has no values and never ends.
---@return coropanic.context
---@nodiscard
function contextlib.background() end

--- Makes a child with one more value.
---@param context coropanic.context
---@param key any  # not nil; compared by identity
---@param value any
---@return coropanic.context
---@nodiscard
function contextlib.with_value(context, key, value) end

--- Makes a child, and the function that ends it.
---@param context coropanic.context
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_cancel(context) end

--- Makes a child that ends after `seconds`.
---@param context coropanic.context
---@param seconds number  # from 0
---@param cause? any  # default: what `context:err()` says
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_timeout(context, seconds, cause) end

--- Makes a child that ends at a point in time.
---@param context coropanic.context
---@param time number  # seconds, by `co.now()`
---@param cause? any  # default: what `context:err()` says
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_deadline(context, time, cause) end

--- Makes a child with the same values that never ends.
---@param context coropanic.context
---@return coropanic.context
---@nodiscard
function contextlib.without_cancel(context) end

--- An immutable chain of values, with a deadline and an end. A task inherits its spawner's.
---@class coropanic.context
local context = {}

--- Returns the nearest value of the key along the chain.
---@param key any
---@return any  # nil: there is none
---@nodiscard
function context:value(key) end

--- Returns why the context has ended.
---@return ("context canceled" | "context deadline exceeded")?  # nil: it has not ended
---@nodiscard
function context:err() end

--- Returns the cause of the context's end.
---@return any  # the text of `err` if no cause was given; nil: it has not ended
---@nodiscard
function context:cause() end

--- Returns the earliest deadline along the chain.
---@return number? time  # seconds, by `co.now()`; nil: none
---@nodiscard
function context:deadline() end

--- Returns a channel that is closed when the context ends, for `co.select`. Scripts can not send on it or
--- close it.
---@return coropanic.channel?  # nil: it never ends
---@nodiscard
function context:done() end

--- Runs `fn()` in a task of its own when the context ends; at once if it has ended.
---@param fn async fun(): ...
---@return fun(): boolean stop  # returns whether `fn` will now not be started
function context:after(fn) end
