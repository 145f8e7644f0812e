-- The gateway example as a participant of W3C Trace Context, called as the recommendation's validation
-- harness calls it (https://github.com/w3c/trace-context/tree/main/test): it is asked to call us back, and
-- what it sends then is judged. The rows are the rules; ids are written as T (trace) and P (parent).

local co = require "coropanic"
local cjson = require "cjson"
local redis_server = require "spec.io.redis_server"
local socket = require "coropanic.socket"
local co_it = require("spec.helpers").co_it(it)

local TRACE = "12345678901234567890123456789012"
local PARENT = "1234567890123456"

local function expand(text) return (text:gsub("%f[%w]T%f[%W]", TRACE):gsub("%f[%w]P%f[%W]", PARENT)) end

--- Reads a request or an answer: its header lines as pairs, and its body.
local function read_message(connection)
  local first = connection:receive "*l"
  local headers, length = {}, 0
  for line in function() return connection:receive "*l" end do
    if line == "" then break end
    local name, value = line:match "^([^:]+):%s*(.-)%s*$"
    headers[#headers + 1] = { name:lower(), value }
    if name:lower() == "content-length" then length = tonumber(value) end
  end
  return first, headers, length > 0 and connection:receive(length) or ""
end

local function values_of(headers, name)
  local values = {}
  for _, pair in ipairs(headers) do
    if pair[1] == name then values[#values + 1] = pair[2] end
  end
  return values
end

--- A server that keeps the headers of what is posted to it.
local function start_receiver(received)
  local listener = assert(socket.bind("127.0.0.1", 0))
  co.spawn_with({ daemon = true }, function()
    while true do
      local connection = listener:accept()
      local first, headers, body = read_message(connection)
      received[#received + 1] = { first = first, headers = headers, body = body }
      connection:send "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
      connection:close()
    end
  end)
  return math.tointeger(tonumber((select(2, listener:getsockname()))))
end

--- Sends bytes and returns the status and the body of the answer.
local function exchange(port, bytes)
  local connection = assert(socket.connect("127.0.0.1", port))
  connection:send(expand(bytes))
  local status, _, answer = read_message(connection)
  connection:close()
  return tonumber(status:match "^HTTP/1.1 (%d+)"), answer
end

local function post(port, path, headers, body)
  local lines = { ("POST %s HTTP/1.1"):format(path), "Host: x", "Connection: close" }
  lines[#lines + 1] = "Content-Length: " .. #body
  for _, line in ipairs(headers) do lines[#lines + 1] = expand(line) end
  return exchange(port, table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
end

--- Posts a harness' request for `calls` calls and returns the headers of these.
local function ask(gateway, headers, calls)
  local received, list = {}, {}
  local port = start_receiver(received)
  for i = 1, calls or 1 do
    list[i] = ('{"url":"http://127.0.0.1:%d/callback/%d","arguments":[]}'):format(port, i)
  end
  local status = post(gateway, "/trace-context", headers, "[" .. table.concat(list, ",") .. "]")
  assert.equal(200, status)
  assert.equal(calls or 1, #received)
  return received
end

--- The fields of the one traceparent that was sent.
local function sent(message)
  local values = values_of(message.headers, "traceparent")
  assert.equal(1, #values)
  local trace, parent, flags = values[1]:match "^00%-(%x+)%-(%x+)%-(%x%x)$"
  assert.equal(32, #trace)
  assert.equal(16, #parent)
  assert.not_equal(("0"):rep(32), trace)
  assert.not_equal(("0"):rep(16), parent)
  return trace, parent, tonumber(flags, 16), table.concat(values_of(message.headers, "tracestate"), ",")
end

-- Headers after which the trace goes on.
local CONTINUED = {
  { "traceparent: 00-T-P-00" },
  { "traceparent: 00-T-P-01" },
  { "TraceParent: 00-T-P-01" },
  { "TRACEPARENT: 00-T-P-01" },
  { "traceparent:  \t 00-T-P-01 \t " },
  { "traceparent: 00-T-P-ff" },
  { "traceparent: cc-T-P-01" },
  { "traceparent: cc-T-P-01-what-the-future-will-be-like" },
  { "traceparent: 00-T-P-01", "tracestate: foo" },
  { "traceparent: 00-T-P-01", "tracestate: foo=1,bar" },
}

-- Headers after which a new trace begins.
local RESTARTED = {
  {},
  { "tracestate: foo=1" },
  { "trace-parent: 00-T-P-01" },
  { "trace.parent: 00-T-P-01" },
  { "traceparent: 00-T-P-01", "traceparent: 00-T-P-01" },
  { "traceparent: 00-T-P-01", "traceparent: 00-12345678901234567890123456789011-P-01" },
  { "traceparent: cc-T-P-01.what-the-future-will-not-be-like" },
  { "traceparent: 00-T-P-01-x" },
  { "traceparent: 00-T-P-01." },
  { "traceparent: ff-T-P-01" },
  { "traceparent: .0-T-P-01" },
  { "traceparent: 0.-T-P-01" },
  { "traceparent: 000-T-P-01" },
  { "traceparent: 0-T-P-01" },
  { "traceparent: 00-" .. ("0"):rep(32) .. "-P-01" },
  { "traceparent: 00-.2345678901234567890123456789012-P-01" },
  { "traceparent: 00-1234567890123456789012345678901A-P-01" },
  { "traceparent: 00-1234567890123456789012345678901-P-01" },
  { "traceparent: 00-123456789012345678901234567890123-P-01" },
  { "traceparent: 00-T-" .. ("0"):rep(16) .. "-01" },
  { "traceparent: 00-T-.234567890123456-01" },
  { "traceparent: 00-T-123456789012345-01" },
  { "traceparent: 00-T-12345678901234567-01" },
  { "traceparent: 00-T-P-.0" },
  { "traceparent: 00-T-P-0." },
  { "traceparent: 00-T-P-001" },
  { "traceparent: 00-T-P-1" },
}

-- What the tracestate headers become.
local STATES = {
  { "foo=1,bar=2", "foo=1", "bar=2" },
  { "foo=1", "foo=1" },
  { "foo=1,bar=2", " foo=1 \t , \t bar=2 " },
  { "foo=1", "foo=1", "" },
  { "foo=1,foo=2", "foo=1,foo=2" },
  { "foo@=1,bar=2", "foo@=1,bar=2" },
  { "", "@foo=1" },
  { "", "foo=1=2" },
  { "", "FOO=1" },
  { ("z"):rep(256) .. "=1", ("z"):rep(256) .. "=1" },
  { "", ("z"):rep(257) .. "=1" },
}

describe("the gateway, as a participant of Trace Context,", function()
  local gateway, pipe, stop_redis

  setup(function()
    local redis_port
    redis_port, stop_redis = redis_server.start()
    local lua = os.getenv "LUA" or "lua5.4"
    pipe = assert(io.popen(("%s examples/gateway/server.lua %d 2>/dev/null"):format(lua, redis_port)))
    gateway = assert(math.tointeger(tonumber(pipe:read("*l"):match "^listening on 127.0.0.1:(%d+)$")))
  end)

  teardown(function()
    co.run(function() post(gateway, "/shutdown", {}, "") end)
    pipe:close()
    stop_redis()
  end)

  co_it("continues the traces of valid headers", function()
    for _, headers in ipairs(CONTINUED) do
      local trace, parent = sent(ask(gateway, headers)[1])
      assert.equal(TRACE, trace, table.concat(headers, "\n"))
      assert.not_equal(PARENT, parent)
    end
  end)

  co_it("begins a trace without them, and drops the tracestate", function()
    for _, headers in ipairs(RESTARTED) do
      local trace, _, flags, state = sent(ask(gateway, headers)[1])
      local why = table.concat(headers, "\n")
      assert.not_equal(TRACE, trace, why)
      assert.equal("", state, why)
      assert.equal(3, flags, why) -- sampled, and random
    end
  end)

  co_it("copies the flags that it knows, and no others", function()
    for flags = 0, 7 do
      local header = ("traceparent: 00-T-P-%02x"):format(flags)
      local _, _, passed_on = sent(ask(gateway, { header })[1])
      assert.equal(flags & 3, passed_on)
    end
  end)

  co_it("carries tracestate by its grammar", function()
    for _, row in ipairs(STATES) do
      local headers = { "traceparent: 00-T-P-01" }
      for i = 2, #row do headers[i] = "tracestate: " .. row[i] end
      local trace, _, _, state = sent(ask(gateway, headers)[1])
      assert.equal(TRACE, trace)
      assert.equal(row[1], state)
    end
  end)

  co_it("has a span of its own for each call", function()
    local seen = { [PARENT] = true }
    for _, message in ipairs(ask(gateway, { "traceparent: 00-T-P-01" }, 3)) do
      local trace, parent = sent(message)
      assert.equal(TRACE, trace)
      assert.is_nil(seen[parent])
      seen[parent] = true
    end
  end)

  co_it("passes the arguments on as they are, for servers that call others", function()
    local received = {}
    local port = start_receiver(received)
    local inner = ('[{"url":"http://127.0.0.1:%d/","arguments":[]}]'):format(port)
    local body = ('[{"url":"http://127.0.0.1:%d/trace-context","arguments":%s}]'):format(gateway, inner)
    assert.equal(200, (post(gateway, "/trace-context", { "traceparent: 00-T-P-01" }, body)))
    assert.equal(TRACE, (sent(received[1])))
    assert.equal("[]", received[1].body)
  end)

  co_it("posts an empty list, what there is none of, and an object as what they are", function()
    local received = {}
    local url = ("http://127.0.0.1:%d/"):format(start_receiver(received))
    for _, row in ipairs {
      { "", "[]" },
      { ',"arguments":[]', "[]" },
      { ',"arguments":{}', "{}" },
      { ',"arguments":[{},[]]', "[{},[]]" },
      { ',"arguments":{"a":[1]}', '{"a":[1]}' },
      { ',"arguments":{"n":30000000,"a":{"n":2}}', '{"a":{"n":2},"n":30000000}' },
      { ',"arguments":[0.1,3.141592653589793]', "[0.10000000000000001,3.1415926535897931]" },
      { ',"arguments":[null,9007199254740993]', "[null,9007199254740993]" },
    } do
      local body = ('[{"url":"%s"%s}]'):format(url, row[1])
      assert.equal(200, (post(gateway, "/trace-context", {}, body)))
      assert.equal(row[2], received[#received].body)
    end
  end)

  co_it("makes no call for an empty list", function()
    local status, answer = post(gateway, "/trace-context", {}, " [] ")
    assert.equal(200, status)
    assert.matches('"calls":[]', answer, 1, true)
  end)

  co_it("takes the scheme in any case, and keeps a fragment to itself", function()
    local received = {}
    local port = start_receiver(received)
    local url = ("HTTP://127.0.0.1:%d/path?q=1#here"):format(port)
    local status, answer = post(gateway, "/trace-context", {}, ('[{"url":"%s"}]'):format(url))
    assert.equal(200, status)
    assert.same({ { url = url, status = 200 } }, cjson.decode(answer).calls)
    assert.equal("POST /path?q=1 HTTP/1.1", received[1].first)
  end)

  it("passes baggage on, as much as has to be carried", function()
    local members = {}
    for i = 1, 64 do members[i] = ("m%02d=%s"):format(i, ("v"):rep(123)) end
    local most = table.concat(members, ",") .. "v" -- 64 members, 8192 bytes
    assert.equal(8192, #most)
    local rows = { -- what is sent on, and the headers it comes in
      { "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
        "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false" },
      { "a=1;p;q=2,b=2", " a=1;p;q=2 , b=2" },
      { "a=1,b=2", "a=1", "b=2" },
      { most, most },
      { most, table.unpack(members, 1, 63) },
      { "b=2", "a,b=2,c d=3,=4" },
      { "", "no member" },
      { "" },
    }
    rows[5][65] = members[64] .. "v"
    co.run(function()
      for _, row in ipairs(rows) do
        local headers = { "traceparent: 00-T-P-01" }
        for i = 2, #row do headers[i] = "baggage: " .. row[i] end
        local message = ask(gateway, headers)[1]
        assert.equal(TRACE, (sent(message)))
        assert.equal(row[1], table.concat(values_of(message.headers, "baggage"), ","))
      end
    end)
  end)

  co_it("answers under the caller's trace what it turns away before it is served", function()
    local host, length = "Host: x", "Content-Length: 0"
    for _, row in ipairs {
      { 501, host, "Transfer-Encoding: chunked" },
      { 413, host, "Content-Length: 999999" },
      { 400, host, "Content-Length: 1, 2" },
      { 400, host, host },
      { 400, host, length, "no header" },
      { 417, host, length, "Expect: miracles" },
      { 431, host, ("X: y\r\n"):rep(200) .. length },
    } do
      local lines = table.concat(row, "\r\n", 2)
      local head = "POST / HTTP/1.1\r\ntraceparent: 00-T-P-01\r\n" .. lines
      local status, answer = exchange(gateway, head .. "\r\n\r\n")
      assert.equal(row[1], status, lines)
      answer = cjson.decode(answer)
      assert.equal("HTTP_" .. row[1], answer.error_code)
      assert.equal(TRACE, answer.trace_id, lines)
    end
    local status, answer = exchange(gateway, "POST / HTTP/1.1\r\n\r\n")
    assert.equal(400, status)
    assert.matches("^%x+$", cjson.decode(answer).trace_id)
  end)

  co_it("refuses what is no list of calls", function()
    local forging = [=[[{"url":"http://x/ HTTP/1.1\r\nx: y","arguments":[]}]]=]
    local ftp = '[{"url":"ftp://x","arguments":[]}]'
    local many = "[" .. ('{"url":"http://127.0.0.1:9/"},'):rep(16) .. '{"url":"http://127.0.0.1:9/"}]'
    for _, body in ipairs {
      "", "[", "[]]", "[nan]", ("["):rep(60000),
      "5", "null", "true", '"[]"', "{}", '{"url":"http://x/"}',
      "[5]", "[null]", "[[]]", "[{}]", '[{"arguments":[]}]', many,
      '[{"url":5}]', '[{"url":"http://#x"}]', '[{"url":"http://x y/"}]', ftp, forging,
    } do
      local status, answer = post(gateway, "/trace-context", {}, body)
      assert.equal(400, status, body)
      assert.equal("BODY_INVALID", cjson.decode(answer).error_code)
    end
  end)
end)
