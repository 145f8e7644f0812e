-- coropanic.export.otlp.protobuf: the bytes, and what it does not take.

local cjson = require "cjson"
local protobuf = require "coropanic.export.otlp.protobuf"

-- A request in JSON and its bytes, which protoc has decoded by the official definitions.
local REQUEST = [[
  {"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}}]},
   "scopeLogs":[{"scope":{"name":"coropanic","version":"1.0.0"},"logRecords":[{
    "timeUnixNano":"1700000000123456789","observedTimeUnixNano":"1700000000123456789",
    "severityNumber":17,"severityText":"ERROR","eventName":"exception",
    "body":{"stringValue":"boom"},"flags":1,
    "traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","attributes":[
     {"key":"exception.type","value":{"stringValue":"E_IO"}},
     {"key":"exception.message","value":{"stringValue":"boom"}},
     {"key":"coro.task.id","value":{"intValue":"7"}},
     {"key":"coro.task.ancestors",
      "value":{"arrayValue":{"values":[{"stringValue":"main"},{"stringValue":"w1"}]}}}]}]}]}]} ]]

local BYTES = "0af6010a170a150a0c736572766963652e6e616d6512050a0373766312da010a120a09636f726f70616e6963"
  .. "1205312e302e3012c3010915cd853dfe9c971710111a054552524f522a060a04626f6f6d32180a0e657863657074696f6e2e74"
  .. "79706512060a04455f494f321b0a11657863657074696f6e2e6d65737361676512060a04626f6f6d32120a0c636f726f2e7461"
  .. "736b2e69641202180732270a13636f726f2e7461736b2e616e636573746f727312102a0e0a060a046d61696e0a040a02773145"
  .. "010000004a104bf92f3577b34da6a3ce929d0e0e4736520800f067aa0ba902b75915cd853dfe9c9717620965786365707469"
  .. "6f6e"

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function unhex(digits)
  return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- A request for one log record.
local function log(record) return { resourceLogs = { { scopeLogs = { { logRecords = { record } } } } } } end

describe("protobuf.encode", function()
  it("makes the official bytes", function()
    assert.equal(BYTES, hex(protobuf.encode("logs", cjson.decode(REQUEST))))
  end)

  it("makes nothing of nothing", function()
    assert.equal("", protobuf.encode("traces", {}))
    assert.equal("", protobuf.encode("logs", {}))
  end)

  it("takes numbers for digits, and digits for numbers", function()
    assert.equal(protobuf.encode("logs", log { timeUnixNano = "5", severityNumber = 17 }),
      protobuf.encode("logs", log { timeUnixNano = 5, severityNumber = "17" }))
  end)

  it("does not care how large a request is", function()
    local text = ("x"):rep(100000)
    local bytes = protobuf.encode("logs", log { severityText = text })
    assert.equal(text, bytes:sub(-#text))
  end)

  it("says what is wrong with a request", function()
    local function fails(message, signal, request)
      local ok, why = pcall(protobuf.encode, signal, request)
      assert.is_false(ok)
      assert.equal("bad argument #" .. message, why)
    end
    fails("1 to 'encode' (\"traces\", \"logs\" or \"metrics\" expected)", "profiles", {})
    fails("1 to 'encode' (string expected, got nil)", nil, {})
    fails("2 to 'encode' (table expected, got number)", "logs", 5)
    fails("2 to 'encode' (a LogsRequest has no field 'x')", "logs", { x = 1 })
    fails("2 to 'encode' (a LogsRequest has no field '1')", "logs", { 1 })
    fails("2 to 'encode' (field 'resourceLogs': array expected, got 'x')", "logs", { resourceLogs = "x" })
    fails("2 to 'encode' (field 'resourceLogs': table expected, got nil)", "logs",
      { resourceLogs = setmetatable({ nil, {} }, nil) })
    fails("2 to 'encode' (field 'traceId': lower-case hex digits expected, got 'ABCD')", "logs",
      log { traceId = "ABCD" })
    fails("2 to 'encode' (field 'spanId': lower-case hex digits expected, got '123')", "logs",
      log { spanId = "123" })
    fails("2 to 'encode' (field 'flags': integer from 0 to 4294967295 expected, got -1)", "logs",
      log { flags = -1 })
    fails("2 to 'encode' (field 'severityNumber': integer from -2147483648 to 2147483647 expected, got 0.5)",
      "logs", log { severityNumber = 0.5 })
    fails("2 to 'encode' (field 'timeUnixNano': integer from 0 to 9223372036854775807 expected, got -1)",
      "logs", log { timeUnixNano = -1 })
    fails("2 to 'encode' (field 'severityText': string expected, got 5)", "logs", log { severityText = 5 })
    fails("2 to 'encode' (field 'doubleValue': number expected, got 'x')", "logs",
      log { body = { doubleValue = "x" } })
    fails("2 to 'encode' (field 'boolValue': boolean expected, got 1)", "logs",
      log { body = { boolValue = 1 } })
    fails("2 to 'encode' (field 'body': table expected, got boolean)", "logs", log { body = true })
  end)

  it("says what is wrong with the numbers of a histogram", function()
    local function fails(message, point)
      local histogram = { histogram = { dataPoints = { point } } }
      local ok, why = pcall(protobuf.encode, "metrics",
        { resourceMetrics = { { scopeMetrics = { { metrics = { histogram } } } } } })
      assert.is_false(ok)
      assert.equal("bad argument #2 to 'encode' (field " .. message .. ")", why)
    end
    fails("'bucketCounts': array expected, got '1'", { bucketCounts = "1" })
    local count = "'bucketCounts': integer from 0 to 9223372036854775807 expected, got "
    fails(count .. "-1", { bucketCounts = { 1, -1 } })
    fails(count .. "nil", { bucketCounts = setmetatable({ nil, 1 }, nil) })
    fails("'explicitBounds': number expected, got 'x'", { explicitBounds = { 1, "x" } })
    fails("'sum': number expected, got boolean", { sum = true })
  end)

  it("takes one value of an AnyValue", function()
    assert.has_error(function()
      protobuf.encode("logs", log { body = { intValue = 1, boolValue = true } })
    end)
  end)

  it("refuses a value inside itself", function()
    local value = {}
    value.arrayValue = { values = { value } }
    local ok, why = pcall(protobuf.encode, "logs", log { body = value })
    assert.is_false(ok)
    assert.equal("bad argument #2 to 'encode' (field 'arrayValue': less deep nesting expected, got table)",
      why)
  end)
end)

describe("protobuf.decode", function()
  it("reads what a collector answers", function()
    assert.same({}, protobuf.decode("traces", ""))
    assert.same({ partialSuccess = { rejectedSpans = 3, errorMessage = "hi" } },
      protobuf.decode("traces", unhex "0a06080312026869"))
    assert.same({ partialSuccess = { rejectedLogRecords = 0, errorMessage = "" } },
      protobuf.decode("logs", unhex "0a00"))
  end)

  it("takes no notice of fields that it does not know", function()
    assert.same({}, protobuf.decode("traces", unhex "7a03616263"))
  end)

  it("says what is wrong with its arguments", function()
    assert.has_error(function() protobuf.decode("traces", 5) end,
      "bad argument #2 to 'decode' (string expected, got number)")
    assert.has_error(function() protobuf.decode "x" end,
      "bad argument #1 to 'decode' (\"traces\", \"logs\" or \"metrics\" expected)")
  end)

  it("says nil to what is no message", function()
    assert.is_nil(protobuf.decode("traces", "<html>"))
    assert.is_nil(protobuf.decode("traces", unhex "0a06080312"))
    for i = 0, 255 do protobuf.decode("logs", string.char(i):rep(20)) end
  end)
end)
