-- coropanic.redact: what is taken out before panics leave the process.

local co = require "coropanic"
local otlp = require "coropanic.export.otlp"
local receiver = require "spec.export.receiver"
local redact = require "coropanic.redact"
local report = require "coropanic.report"

local SECRET = "4111111111111111"

local function mask(panic)
  panic.message = panic.message:gsub("%d%d%d%d%d+", "****")
  panic.value = nil
end

--- The record of a panic whose every part has the secret.
local function secret_record()
  local _, record
  co.run(function()
    _, record = co.pcall(co.scope, function(scope)
      scope:spawn(function()
        co.defer(function()
          co.sleep(0)
          co.panic("late " .. SECRET)
        end)
        co.sleep(10)
      end)
      co.yield()
      scope:spawn(function()
        co.spawn(function()
          co.defer(co.panic, "second " .. SECRET)
          co.panic("first " .. SECRET)
        end):await()
      end)
    end)
  end)
  assert.is_true(#record.suppressed > 0)
  return record
end

describe("coropanic.redact", function()
  setup(receiver.start)
  teardown(receiver.stop)
  after_each(function() redact.set(nil) end)

  it("tells everything without a hook", function()
    local record = secret_record()
    local panic, text = redact.account(record)
    assert.same(record:to_table(), panic)
    assert.equal(tostring(record), text)
  end)

  it("gives the hook each panic in the account", function()
    local messages = {}
    redact.set(function(panic) messages[#messages + 1] = panic.message end)
    redact.account(secret_record())
    table.sort(messages)
    local first, late, second = "first " .. SECRET, "late " .. SECRET, "second " .. SECRET
    local count = {}
    for _, message in ipairs(messages) do count[message] = (count[message] or 0) + 1 end
    assert.is_true(count[first] >= 1 and count[late] >= 1 and count[second] >= 2)
  end)

  it("lets nothing out that the hook has taken out", function()
    redact.set(mask)
    local panic, text = redact.account(secret_record())
    assert.not_matches(SECRET, text)
    assert.not_matches(SECRET, require("cjson").encode(panic))
    assert.matches("panic: second ****", text, 1, true)
    assert.matches("trace " .. panic.trace_id, text, 1, true)
    assert.matches("redact_spec.lua:%d+ in ", text)
    assert.matches("suppressed: panic: late ****", text, 1, true)
  end)

  it("takes what the hook returns, and tells nothing if that is false", function()
    local record = secret_record()
    redact.set(function(panic) return { kind = panic.kind, message = "all else is gone" } end)
    assert.equal("all else is gone", redact.account(record).message)
    redact.set(function() return false end)
    assert.is_nil(redact.account(record))
  end)

  it("tells nothing if the hook panics", function()
    -- What it says on stderr is read by a process of its own.
    local program = [[
      local co, redact = require 'coropanic', require 'coropanic.redact'
      redact.set(function() error 'broken' end)
      local _, record = co.pcall(co.panic, 'secret')
      print(redact.account(record))]]
    local pipe = assert(io.popen(('lua5.4 -e "%s" 2>&1'):format(program)))
    local output = pipe:read "a"
    pipe:close()
    assert.matches("nothing is told of a panic, since the hook panicked:\npanic: ", output, 1, true)
    assert.matches("broken", output, 1, true)
    assert.matches("\nnil\t\n", output, 1, true)
    assert.not_matches("secret", output)
  end)

  it("holds for what is exported, as logs and in spans", function()
    redact.set(mask)
    for _, span_events in ipairs { false, true } do
      local bodies
      co.run(function()
        local before = co.on_panic(function() end)
        local collector = receiver.open { {} }
        local exporter = otlp.start {
          endpoint = collector.endpoint, schedule_delay = 3600, span_events = span_events,
        }
        pcall(co.trace.span, "with a record", co.panic, "card " .. SECRET)
        pcall(co.trace.span, "without one", error, "card " .. SECRET)
        assert.is_true(exporter:flush(10))
        local requests = receiver.requests(collector)
        bodies = require("cjson").encode(requests)
        for _, span in ipairs(receiver.items(collector, "/v1/traces")) do
          assert.equal("card ****", span.status.message)
        end
        exporter:shutdown(10)
        co.on_panic(before)
      end)
      assert.not_matches(SECRET, bodies)
      assert.matches("exception.message", bodies, 1, true)
    end
  end)

  it("holds for what is remembered", function()
    redact.set(mask)
    local before = co.on_panic(function() end)
    local uninstall = report.install()
    co.run(function()
      co.spawn(co.panic, "card " .. SECRET)
      co.yield()
    end)
    uninstall()
    co.on_panic(before)
    for _, format in ipairs { "text", "json" } do
      assert.not_matches(SECRET, report.dump(format))
      assert.matches("card ****", report.dump(format), 1, true)
    end
  end)

  it("returns the hook before, and says what is no hook", function()
    assert.is_nil(redact.set(mask))
    assert.equal(mask, redact.set(nil))
    assert.has_error(function() redact.set(5) end,
      "bad argument #1 to 'set' (function or nil expected, got number)")
  end)
end)
