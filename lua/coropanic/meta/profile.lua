---@meta _

error('coropanic.meta.profile describes the API to editors and can not be run: require "coropanic"', 0)

--- Profiles: where the program spends what, in the format of Go's pprof.
---@class coropanic.profilelib
local profilelib = {}

--- A profile that collects samples. It ends when it is stopped, closed or collected.
---@class coropanic.profile
local profile = {}

--- Ends the profile. Raises if it has ended.
---@return string bytes  # for `go tool pprof`
function profile:stop() end

---@alias coropanic.profile.kind "cpu" | "wait" | "tasks" | "alloc"

---@class coropanic.profile.options
---@field kind coropanic.profile.kind
---@field hz? integer  # for "cpu": samples per second of the processor's time, from 1 to 10000; 100 at first

--- Starts a profile. Raises if one of this kind runs already.
---@param options coropanic.profile.options
---@return coropanic.profile
---@nodiscard
function profilelib.start(options) end

--- Collects samples for so many seconds, in which the task is suspended.
---@async
---@param kind coropanic.profile.kind
---@param seconds number
---@return string bytes  # for `go tool pprof`
function profilelib.take(kind, seconds) end

--- Calls `fn(...)`. Meanwhile these labels are on the samples of the task, and on those of the tasks that it
--- spawns, for all their life; so are the labels around it, of other names.
---@param labels table<string, string | number>  # at most 8 with those around it; 64 bytes each
---@param fn async fun(...): ...
---@param ... any  # arguments of `fn`
---@return any ...  # results of `fn`
function profilelib.labels(labels, fn, ...) end
