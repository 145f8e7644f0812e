---@meta _

error('coropanic.meta.structure describes the API to editors and can not be run: require "coropanic"', 0)

-- Scopes --------------------------------------------------------------------------------------------------

--- What the function of `co.scope` or `co.supervise` is given: its tasks end before it does.
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

--- Cancels the tasks of the scope, and its function at the next suspension point; the scope then returns.
---@param reason? any
---@return boolean asked  # false: the scope has ended, or was cancelled already
function scope:cancel(reason) end

-- Contexts ------------------------------------------------------------------------------------------------

--- Makes contexts, as Go's package of that name.
---@class coropanic.contextlib
local contextlib = {}

--- Ends the context, and its children; only the first call counts.
---@alias coropanic.context.cancel fun(cause?: any)

--- The root: no values, and it never ends.
---@return coropanic.context
---@nodiscard
function contextlib.background() end

--- A child that has one more value.
---@param context coropanic.context
---@param key any  # not nil; compared by identity
---@param value any
---@return coropanic.context
---@nodiscard
function contextlib.with_value(context, key, value) end

--- A child that can be ended.
---@param context coropanic.context
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_cancel(context) end

--- A child that ends after so long.
---@param context coropanic.context
---@param seconds number  # from 0
---@param cause? any  # default: what `context:err()` says
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_timeout(context, seconds, cause) end

--- A child that ends at a point in time.
---@param context coropanic.context
---@param time number  # seconds, by `co.now()`
---@param cause? any  # default: what `context:err()` says
---@return coropanic.context child
---@return coropanic.context.cancel cancel
---@nodiscard
function contextlib.with_deadline(context, time, cause) end

--- A child that has the values and does not end.
---@param context coropanic.context
---@return coropanic.context
---@nodiscard
function contextlib.without_cancel(context) end

--- An immutable chain of values, with a deadline and an end; tasks inherit their spawner's.
---@class coropanic.context
local context = {}

--- The nearest value of the key along the chain.
---@param key any
---@return any  # nil: there is none
---@nodiscard
function context:value(key) end

--- Why it has ended.
---@return ("context canceled" | "context deadline exceeded")?  # nil: it has not
---@nodiscard
function context:err() end

--- What was given as the cause of its end.
---@return any  # what `err` says if nothing was given; nil: it has not ended
---@nodiscard
function context:cause() end

--- The earliest deadline along the chain.
---@return number? time  # seconds, by `co.now()`; nil: none
---@nodiscard
function context:deadline() end

--- A channel that is closed when it ends, for `co.select`. Sending on it and closing it raise.
---@return coropanic.channel?  # nil: it never ends
---@nodiscard
function context:done() end

--- Runs `fn()` in a task of its own when the context ends; at once if it has.
---@param fn async fun(): ...
---@return fun(): boolean stop  # returns whether it has kept `fn` from being started
function context:after(fn) end
