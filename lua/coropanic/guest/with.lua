--- co.with: a body that runs under a given context, and is cancelled when that ends. It waits for no task:
--- tasks that are spawned in it belong to the scope around it. The twin of scope/with.h.

local args = require "coropanic.guest.args"
local body = require "coropanic.guest.body"
local cancel = require "coropanic.guest.cancel"
local context = require "coropanic.guest.context"
local kernel = require "coropanic.guest.kernel"
local object = require "coropanic.guest.object"
local record = require "coropanic.guest.record"
local scope = require "coropanic.guest.scope"
local unwind = require "coropanic.guest.unwind"

--- The object that observers get can be cancelled, and no more.
local methods = {}
local WITH = kernel.new_type("with", methods)
local check = object.checker(WITH)

function methods.cancel(self, reason) return cancel.ask(check(self, "cancel"), reason, "scope") end

function WITH.__tostring(b) return b.state == "closed" and "body of co.with (ended)" or "body of co.with" end

--- The body was cancelled with its context: further out that is a panic.
local function raise_end_of_context(b, exit)
  exit._recovered = true
  b.owner.raises = 0
  local r = record.raise(b.owner.universe, exit, exit._kind)
  r._source = exit._source
  return error(r, 0)
end

local FRAME = { name = "with", shields = true }

function FRAME.leave(b, s, how, ...)
  body.leave(b, s, how)
  body.close(b)
  if b.outcome == "returned" then
    body.raise_pending(b)
    return ...
  end
  if b.outcome == "cancelled" then return raise_end_of_context(b, (...)) end
  return error((...), 0)
end

function FRAME.lost(b)
  body.leave_lost(b)
  body.close(b)
end

--- The task has ended.
local abandon = body.close

function kernel.api.with(...)
  local given, fn = ...
  local count = select("#", ...)
  local ctx = context.test(given) or args.type_error(given, 1, "with", "context", count)
  args.callable(fn, 2, "with", count)
  local t = scope.check_task "with"
  local b = setmetatable({}, WITH)
  body.open(b, nil, t, ctx, abandon)
  body.bind(b)
  body.tell(b, "scope_open")
  return unwind.run(FRAME, b, fn, select(3, ...))
end
