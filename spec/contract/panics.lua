-- Twenty panics that between them have every part of a record. Each function returns the record.

local co = require "coropanic"

local panics = {}

--- The record with which a task that runs `fn` ends.
local function record_of(fn, options)
  local ok, record = co.spawn_with(options or {}, fn):join()
  assert(not ok)
  return record
end

local function in_run(fn)
  return function() return co.run_with({ clock = "virtual", name = "main" }, fn) end
end

panics["a string"] = in_run(function()
  return record_of(function() co.panic "out of stock" end, { name = "order 7", attributes = { sku = 42 } })
end)

panics["a table with a code"] = in_run(function()
  local value = { code = "E_LIMIT", message = "no more than 5", limit = 5, list = { 1, 2 } }
  return record_of(function() co.panic(value) end)
end)

panics["a number as code"] = in_run(function()
  return record_of(function() co.panic { code = 404, msg = "no such page" } end)
end)

panics["nil"] = in_run(function()
  return record_of(function() co.panic(nil) end)
end)

panics["an object with a name and a text"] = in_run(function()
  local Money = { __name = "Money", __tostring = function(self) return self.cents .. " cents" end }
  return record_of(function() co.panic(setmetatable({ cents = 5 }, Money)) end)
end)

panics["a value that can not be written"] = in_run(function()
  local value = setmetatable({}, { __tostring = function() error "no text" end })
  value.itself, value.call = value, print
  return record_of(function() co.panic(value) end)
end)

panics["an error of the language"] = in_run(function()
  return record_of(function()
    local absent = ({}).nothing
    return absent.field
  end)
end)

panics["an error raised with a table"] = in_run(function()
  return record_of(function() error({ code = "E_INPUT", message = "no number" }) end)
end)

panics["a chain"] = in_run(function()
  return record_of(function()
    co.defer(function() co.panic "third" end)
    co.defer(function() co.panic "second" end)
    co.panic "first"
  end)
end)

panics["recovered"] = in_run(function()
  local record
  co.call(function()
    co.defer(function() record = select(2, co.recover()) end)
    co.panic "mended"
  end)
  return record
end)

panics["awaited"] = in_run(function()
  local ok, record = co.pcall(function()
    co.spawn_with({ name = "child" }, co.panic, "below"):await()
  end)
  assert(not ok)
  return record
end)

panics["siblings in a scope"] = in_run(function()
  local _, record = co.pcall(co.scope, function(scope)
    scope:spawn(function()
      co.defer(function() co.panic "while it was cancelled" end)
      co.sleep(10)
    end)
    scope:spawn(function() co.panic "first" end)
  end)
  return record
end)

panics["a deep recursion"] = in_run(function()
  local function deep(n)
    if n == 0 then co.panic "deep" end
    deep(n - 1)
    return n
  end
  return record_of(function() deep(200) end)
end)

panics["inside a coroutine"] = in_run(function()
  return record_of(function()
    local generator = co.coroutine.wrap(function() co.panic "in a generator" end)
    generator()
  end)
end)

panics["cancelled by a task"] = in_run(function()
  local t = co.spawn_with({ name = "sleeper" }, function() co.sleep(10) end)
  co.yield()
  t:cancel { code = "ENOUGH" }
  local _, record = t:join()
  return record
end)

panics["cancelled by a deadline"] = in_run(function()
  local ok, record = co.with_timeout(1, function() co.sleep(10) end)
  assert(not ok)
  return record
end)

panics["cancelled with its scope"] = in_run(function()
  local t
  co.pcall(co.scope, function(scope)
    t = scope:spawn(function() co.sleep(10) end)
    co.yield()
    co.panic "over"
  end)
  return select(2, t:join())
end)

panics["goexit"] = in_run(function()
  return record_of(function() co.goexit() end)
end)

panics["a cycle of tasks"] = in_run(function()
  local a, b
  a = co.spawn_with({ name = "a" }, function() return b:join() end)
  b = co.spawn_with({ name = "b" }, function() return a:join() end)
  local _, _, record = a:join()
  return record
end)

-- In a coroutine, so that the stack is that of the run alone, whoever calls this.
panics["everybody asleep"] = coroutine.wrap(function()
  while true do
    local _, record = pcall(co.run, function()
      local channel = co.chan()
      co.spawn_with({ name = "waiter" }, function() channel:recv() end)
      channel:recv()
    end)
    coroutine.yield(record)
  end
end)

return panics
