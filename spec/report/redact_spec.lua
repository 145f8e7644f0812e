-- coropanic.redact: what is taken out before panics leave the process.

local co = require "coropanic"
local helpers = require "spec.helpers"
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
    local panic = redact.account(record)
    assert.equal("all else is gone", panic.message)
    for _, name in ipairs { "contract", "seq", "time", "trace_id", "span_id", "error_code" } do
      assert.equal(record:to_table()[name], panic[name])
    end
    assert.is_nil(panic.value or panic.frames or panic.cause)
    redact.set(function(given)
      for name in pairs(given) do given[name] = nil end
    end)
    assert.equal("redacted", redact.account(record).message)
    assert.equal(record.kind, redact.account(record).kind)
    redact.set(function() return false end)
    assert.is_nil(redact.account(record))
  end)

  it("tells nothing if the hook panics", function()
    local result = helpers.run_script [[
      local co, redact = require "coropanic", require "coropanic.redact"
      redact.set(function() error "broken" end)
      local _, record = co.pcall(co.panic, "secret")
      print(redact.account(record))]]
    assert.matches("nothing is told of a panic, since the hook panicked:\npanic: ", result.stderr, 1, true)
    helpers.assert_contains("broken", result.stderr)
    helpers.assert_lacks("secret", result.stderr)
    result = helpers.run_script [[
      local co, redact = require "coropanic", require "coropanic.redact"
      redact.set(function() return 5 end)
      local _, record = co.pcall(co.panic, "secret")
      print(redact.account(record))]]
    helpers.assert_contains("the hook returned a number, and not a table, nil or false", result.stderr)
    assert.equal("nil\t\n", result.stdout)
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

  it("stands between the stream of events and those who listen through it", function()
    local heard = {}
    local function hear(kind, panic, text) heard[#heard + 1] = { kind, panic, text } end
    local stop = redact.observe({ "panic", "recover", "unhandled", "span_end", "end" }, hear)
    redact.set(mask)
    helpers.run(function()
      co.call(function()
        co.defer(function() co.recover() end)
        co.panic("card " .. SECRET)
      end)
      co.pcall(co.trace.span, "pay", co.panic, "card " .. SECRET)
      redact.set(function() return false end)
      co.pcall(co.panic, "card " .. SECRET)
    end)
    stop()
    local kinds = {}
    for i, event in ipairs(heard) do
      local kind, object, text = table.unpack(event)
      kinds[i] = kind
      if kind == "span_end" and object.name == "main" then
        assert.is_nil(object.status_message)
      elseif kind == "span_end" then
        assert.equal("card ****", object.status_message)
        assert.equal("coropanic.record", getmetatable(text))
      elseif kind ~= "end" then
        assert.equal("card ****", object.message)
        assert.not_matches(SECRET, text)
      end
    end
    assert.same({ "panic", "recover", "panic", "span_end", "span_end", "end" }, kinds)
    assert.has_error(function() redact.observe({ "end" }, 5) end,
      "bad argument #2 to 'observe' (function expected, got number)")
  end)

  it("returns the hook before, and says what is no hook", function()
    assert.is_nil(redact.set(mask))
    assert.equal(mask, redact.set(nil))
    assert.has_error(function() redact.set(5) end,
      "bad argument #1 to 'set' (function or nil expected, got number)")
  end)
end)
