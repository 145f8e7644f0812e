--- The option keep of co.record: a panic's record has the last events of its task, and of those around it.

local co = require "coropanic"
local helpers = require "spec.helpers"
local redact = require "coropanic.redact"

local recorder

after_each(function()
  if recorder then recorder:stop() end
end)

--- Records a run in which a child panics; the parent joins it, and another task awaits it.
---@return table record, table ids
local function panic_of(options, before)
  local record, ids = nil, {}
  recorder = co.record(options)
  co.run_with({ clock = "virtual", unhandled = function() end }, function()
    ids.parent = co.current().id
    local child = co.spawn_with({ name = "child" }, function()
      ids.self = co.current().id
      if before then before() end
      co.sleep(1.5)
      record = helpers.record_of(co.panic, "x")
    end)
    local awaiter = co.spawn(function()
      ids.awaiter = co.current().id
      child:join()
    end)
    co.spawn(co.sleep, 1)
    child:join()
    awaiter:join()
  end)
  return record, ids
end

--- Each event as a line: relation, kind, and what else it says.
local function lines(events)
  local list = {}
  for i, e in ipairs(events) do
    local more = e.wait or e.reason or e.status or e.text or e.panic
    list[i] = e.relation .. " " .. e.kind .. (more and " " .. more or "")
  end
  return list
end

describe("record.last_events", function()
  it("has those of the task, its parent and its awaiters, the oldest first", function()
    local record, ids = panic_of()
    assert.same({
      "parent spawn", "parent start", "self spawn", "awaiter spawn", "parent park join", "self start",
      "self park sleep", "awaiter start", "awaiter park join", "self wake timeout", "self start",
      "self panic panic",
    }, lines(record.last_events))
    for _, e in ipairs(record.last_events) do assert.equal(ids[e.relation], e.task) end
  end)

  it("says how long before the panic each was", function()
    local ages = {}
    for _, e in ipairs(panic_of().last_events) do ages[#ages + 1] = e.age end
    assert.same({ 1500000000, 0 }, { ages[1], ages[#ages] })
    for i = 2, #ages do assert.is_true(ages[i] <= ages[i - 1]) end
  end)

  it("says where tasks were spawned, and where they waited if the recorder keeps stacks", function()
    local at
    local record = panic_of({ stacks = 1 }, function() at = helpers.here() co.sleep(1) end)
    local slept
    for _, e in ipairs(record.last_events) do
      if e.kind == "spawn" then assert.truthy(e.place:find("last_events_spec", 1, true)) end
      slept = slept or e.wait == "sleep" and e
    end
    assert.equal(at, slept.place)
  end)

  it("has spans and marked events by name, also when the recorder has gone on", function()
    local record = panic_of(nil, function()
      co.trace.span("work", function() co.trace.event "half" end)
    end)
    recorder:stop()
    collectgarbage()
    local found = {}
    for _, e in ipairs(record.last_events) do
      found[e.kind] = e
      assert.is_nil(e.trace_id)
    end
    assert.equal("work", found.span_begin.text)
    assert.equal(found.span_begin.span, found.span_end.span)
    assert.equal("half", found.log.text)
  end)

  it("has cancellations, with the task that asked", function()
    local record
    recorder = co.record()
    helpers.run(function()
      local child = co.spawn(function()
        co.defer(function() record = helpers.record_of(co.panic, "x") end)
        co.sleep(9)
      end)
      co.yield()
      child:cancel()
      child:join()
      for _, e in ipairs(record.last_events) do
        if e.kind == "cancel" then
          assert.same({ child.id, co.current().id, "explicit" }, { e.task, e.by, e.source })
        end
      end
    end)
    assert.truthy(table.concat(lines(record.last_events), "\n"):find("self cancel", 1, true))
  end)

  it("has the newest ones of a ring that has wrapped, and none of what is lost", function()
    local all = lines(panic_of().last_events)
    for power = 0, 4 do
      local kept = lines(panic_of({ events = 1 << power }).last_events)
      assert.is_true(#kept >= 1 and #kept <= 1 << power)
      -- A START that is kept tells how the task before has left, too.
      for i = 0, #kept - 1 do assert.equal(all[#all - i], kept[#kept - i]) end
    end
  end)

  it("has at most `keep` events, and 64 without it", function()
    local function yield_often() for _ = 1, 200 do co.yield() end end
    for _, keep in ipairs { 1, 2, 7, 64 } do
      local events = panic_of({ keep = keep }, yield_often).last_events
      assert.equal(keep, #events)
      assert.equal("panic", events[#events].kind)
    end
    assert.equal(64, #panic_of(nil, yield_often).last_events)
  end)

  it("is nil if keep is 0, while nothing is recorded, and outside tasks", function()
    assert.is_nil(panic_of({ keep = 0 }).last_events)
    local record = panic_of()
    assert.is_nil(helpers.record_of(co.panic, "x").last_events)
    recorder:stop()
    assert.is_nil(helpers.run(function() return helpers.record_of(co.panic, "x") end).last_events)
    assert.is_nil(record.last_events[1].omitted)
  end)

  it("knows ancestors that have ended, whose last event it was", function()
    local record
    recorder = co.record()
    helpers.run(function()
      co.spawn(function()
        co.spawn(function() co.sleep(1) record = helpers.record_of(co.panic, "x") end)
      end)
      co.sleep(2)
    end)
    assert.truthy(table.concat(lines(record.last_events), "\n"):find("parent end done", 1, true))
  end)

  it("is the same for a seed under the virtual clock", function()
    local function text()
      return helpers.run_script([[
        local co = require "coropanic"
        co.record { stacks = 1 }
        local record
        co.run_with({ clock = "virtual", seed = 7 }, function()
          local t = co.spawn(function() co.sleep(1) error "x" end)
          for _ = 1, 5 do co.spawn(co.yield) end
          record = select(2, t:join())
        end)
        local lines = {}
        for i, e in ipairs(record.last_events) do
          lines[i] = ("%s %d %d %s"):format(e.kind, e.age, e.task, e.wait or e.place or "")
        end
        io.write(table.concat(lines, "\n"))]]).stdout:gsub("[^ ]*(:%d+)", "%1")
    end
    local first = text()
    assert.truthy(first:find("park 1000000000", 1, true))
    assert.equal(first, text())
  end)

  it("is an option like the others", function()
    for _, bad in ipairs { -1, 65, 1.5, "x", {} } do
      helpers.assert_error("bad argument #1 to 'record'", co.record, { keep = bad })
    end
  end)

  it("is in to_table, as plain data", function()
    local record = panic_of(nil, function() co.trace.event "bad \xff name" end)
    local plain = record:to_table().last_events
    assert.equal(#record.last_events, #plain)
    for i, e in ipairs(record.last_events) do
      for name, value in pairs(e) do
        assert.equal(name == "text" and "bad \u{fffd} name" or value, plain[i][name])
      end
    end
    assert.equal(record.last_events, record.last_events)
    recorder:stop()
    assert.is_nil(helpers.record_of(co.panic, "x"):to_table().last_events)
  end)

  it("is in the report: ages, waits and places, the newest ones", function()
    local text = tostring((panic_of({ stacks = 1 }, function() co.trace.event "a\nb" end)))
    assert.truthy(text:find("\nlast events:\n", 1, true))
    assert.truthy(text:find "%-1%.50 s +task %d+ waits: sleep at [^\n]*last_events_spec%.lua:%d+\n")
    assert.truthy(text:find "%-0 ns +task %d+ is woken: timeout\n")
    assert.truthy(text:find "task %d+ is spawned at [^\n]*last_events_spec%.lua:%d+ by task %d+\n")
    assert.truthy(text:find("logs a\\x0Ab", 1, true))
    local function yield_often() for _ = 1, 200 do co.yield() end end
    text = tostring((panic_of(nil, yield_often)))
    assert.truthy(text:find("... 48 older events left out ...", 1, true))
    assert.is_nil(tostring((panic_of { keep = 0 })):find("last events", 1, true))
  end)

  it("is what the redaction hook leaves of it", function()
    finally(function() redact.set(nil) end)
    redact.set(function(panic)
      for _, e in ipairs(panic.last_events) do e.text = e.text and "hidden" end
    end)
    local record = panic_of(nil, function() co.trace.event "card 4111" end)
    local panic, text = redact.account(record)
    assert.truthy(table.concat(lines(panic.last_events), "\n"):find("self log hidden", 1, true))
    assert.truthy(text:find("self log hidden", 1, true))
    assert.is_nil(text:find("4111", 1, true))
  end)
end)
