--- The parser of the example gateway, and what may come over a wire: thousands of heads that a seeded
--- generator has broken, and what RFC 9112 says a server has to refuse.

local helpers = require "helpers"

package.path = package.path .. ";./examples/gateway/?.lua"
local http = require "http"

--- Reads one request as the gateway does.
---@return integer? status, Request? request, string? rest  # no status: more bytes are needed; 200: a request
local function read(bytes)
  local head, rest = http.take_head(bytes)
  if not head then
    return rest and rest.status
  end
  local request, problem = http.parse_head(head)
  return request and 200 or problem.status, request, rest
end

--- A request with these lines beside its Host.
local function with(...)
  return table.concat({ "POST /quotes HTTP/1.1", "Host: a", ... }, "\r\n") .. "\r\n\r\n"
end

-- Mutations ------------------------------------------------------------------------------------------------

local VALID = {
  "GET /quote/42 HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer alice\r\n\r\n",
  "POST /quotes HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: keep-alive, x\r\n\r\nhello",
  "GET http://a/stats?x=1&y=%20 HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\nB: a=1\r\nB: c=3\r\n\r\n",
  "GET / HTTP/1.1\r\nHost:\ta \t\r\nAuthorization: Bearer 4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n",
}

local PIECES = {
  "\0", "\r", "\n", "\r\n", "\r\n\r\n", "\r\n ", "\r\n\t", " :", ":", " ", "\t", "\127", "\255", "%", "%00",
  "/", "HTTP/1.1",
  "Content-Length: -1\r\n", "Content-Length: +1\r\n", "Content-Length: 0x1\r\n", "Content-Length: 1e3\r\n",
  "Content-Length: 1, 2\r\n", "Connection: close\r\n",
}

--- Where a mutation strikes.
local function cut(random, text)
  local at = random(0, #text)
  return text:sub(1, at), text:sub(at + 1)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]*\n?" do
    lines[#lines + 1] = line
  end
  return lines
end

---@type (fun(random: function, text: string): string)[]
local MUTATIONS = {
  function(random, text) -- a bit is flipped
    local front, back = cut(random, text)
    return back == "" and text or front .. string.char(back:byte() ~ (1 << random(0, 7))) .. back:sub(2)
  end,
  function(random, text) -- a byte is another
    local front, back = cut(random, text)
    return front .. string.char(random(0, 255)) .. back:sub(2)
  end,
  function(random, text) -- a piece is inserted
    local front, back = cut(random, text)
    return front .. PIECES[random(#PIECES)] .. back
  end,
  function(random, text) -- a run of blanks, of bytes or of lines is inserted
    local front, back = cut(random, text)
    local PARTS = { " ", "\t", "\0", "x", ",", "\r", "\n", "\r\n", "X: y\r\n", " \t" }
    return front .. PARTS[random(#PARTS)]:rep(random(1, 3000)) .. back
  end,
  function(random, text) -- some bytes are missing
    local front, back = cut(random, text)
    return front .. back:sub(random(2, 9))
  end,
  function(random, text) -- the end is missing
    return (cut(random, text))
  end,
  function(random, text) -- a line comes twice
    local lines = lines_of(text)
    local i = random(#lines)
    table.insert(lines, random(#lines), lines[i])
    return table.concat(lines)
  end,
  function(random, text) -- a line is inserted
    local LINES = { "Content-Length: 1", "Transfer-Encoding: chunked", "Expect: tea", "Host: b", "X : y" }
    local lines = lines_of(text)
    table.insert(lines, random(#lines), LINES[random(#LINES)] .. "\r\n")
    return table.concat(lines)
  end,
  function(random, text) -- two lines are exchanged
    local lines = lines_of(text)
    local i, j = random(#lines), random(#lines)
    lines[i], lines[j] = lines[j], lines[i]
    return table.concat(lines)
  end,
  function(random, text) -- a number is huge, negative or signed
    local SIGNS = { "", "", "-", "+", " ", "0x" }
    local front, back = cut(random, text)
    return front .. back:gsub("%d+", SIGNS[random(#SIGNS)] .. ("9"):rep(random(1, 400)), 1)
  end,
  function(_, text) -- lines end as on Unix
    return (text:gsub("\r\n", "\n"))
  end,
}

--- A generator of its own: what others draw changes nothing here.
local function generator(seed)
  local state = seed
  return function(low, high)
    if not high then
      low, high = 1, low
    end
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return low + (state >> 20) % (high - low + 1)
  end
end

local function mutated(seed)
  local random = generator(seed)
  local text = VALID[random(#VALID)]
  for _ = 1, random(1, 4) do
    text = MUTATIONS[random(#MUTATIONS)](random, text)
  end
  return text
end

-- What a request that was let in must look like, read from its bytes by other means than the parser's.
local function check_accepted(bytes, request, rest)
  local head = bytes:sub(1, #bytes - #rest):gsub("^[\r\n]+", "")
  assert(head:sub(-4) == "\r\n\r\n", "the head does not end in an empty line")
  assert(not head:gsub("\r\n", ""):find "[\r\n]", "a CR or LF stands alone")
  assert(not head:gsub("\r\n", ""):find "[%z\1-\8\11-\31\127]", "a control character came through")
  assert(not head:find "\r\n[ \t]", "a line was continued")
  local lengths, count = 0, 0
  for line in head:sub(1, -5):gmatch "\r\n([^\r]*)" do
    count = count + 1
    local name = assert(line:match "^([^:]*):", "a header has no colon")
    assert(name:find "^[^%c%s\128-\255(),/;<=>?@%[\\%]{}\"]+$", "a header's name is not a token")
    assert(name:lower() ~= "transfer-encoding", "a transfer coding was let in")
    if name:lower() == "content-length" then
      lengths = lengths + 1
      local digits = line:match "^[^:]*:[ \t]*([0-9]+)[ \t]*$"
      assert(digits and math.tointeger(tonumber(digits)) == request.length, "the length is another one")
    end
  end
  assert(count <= http.MAX_HEADERS and #head <= http.MAX_HEAD + 4, "a limit was passed")
  assert(lengths == 1 or lengths == 0 and request.length == 0, "two lengths")
  assert(request.length <= http.MAX_BODY and #request.path <= http.MAX_TARGET)
  assert(request.path:sub(1, 1) == "/")
  assert(type(request.headers.host) ~= "table", "two hosts")
end

local OUTCOMES = { "more", 200, 400, 413, 414, 417, 431, 501, 505 }

describe("the gateway's parser of HTTP", function()
  it("takes what the mutations begin with", function()
    for _, text in ipairs(VALID) do
      local status, request, rest = read(text)
      assert.equal(200, status)
      check_accepted(text, request, rest)
    end
  end)

  it("answers 20,000 broken heads with a status, or waits for more, and never raises", function()
    local seen = {}
    for _, outcome in ipairs(OUTCOMES) do
      seen[outcome] = 0
    end
    for seed = 1, 20000 do
      local bytes = mutated(seed)
      local ok, status, request, rest = pcall(read, bytes)
      if ok and status == 200 then
        ok, status = pcall(check_accepted, bytes, request, rest)
        status = ok and 200 or status
      end
      if not ok or not seen[status or "more"] then
        error(("seed %d: %s: %q"):format(seed, status, bytes:sub(1, 400)), 0)
      end
      seen[status or "more"] = seen[status or "more"] + 1
    end
    for outcome, count in pairs(seen) do
      assert(count > 0, ("no seed led to %s"):format(outcome))
    end
  end)

  it("comes to the same end however a head is cut into pieces", function()
    for seed = 1, 2000 do
      local bytes = mutated(seed)
      local whole = read(bytes)
      local random, buffer, status = generator(seed), "", nil
      local at = 0
      while not status and at < #bytes do
        local size = random(1, 400)
        buffer, at = buffer .. bytes:sub(at + 1, at + size), at + size
        status = read(buffer)
      end
      -- Of two faults the one that arrives first is told.
      if whole ~= status and not (whole == 431 and status == 400) then
        local said = "seed %d: %s in one piece, %s in several: %q"
        error(said:format(seed, whole, status, bytes:sub(1, 400)), 0)
      end
    end
  end)

  it("executes instructions in proportion to the bytes of a head", function()
    for seed = 1, 3000 do
      local bytes, count = mutated(seed), 0
      debug.sethook(function() count = count + 10 end, "", 10)
      read(bytes)
      debug.sethook()
      if count > 1000 + 20 * #bytes then
        error(("seed %d: %d instructions for %d bytes"):format(seed, count, #bytes), 0)
      end
    end
  end)

  -- Patterns are C, where no hook counts. One pass over these megabytes takes milliseconds, one for each
  -- blank takes hours: the script would be ended.
  it("goes over blanks once, wherever they are", function()
    local result = helpers.run_script [[
      package.path = "./examples/gateway/?.lua;" .. package.path
      local http = require "http"
      local BLANKS = (" "):rep(1000000) -- gone over again from each, they would take minutes
      for _, line in ipairs {
        "X: a@b", "X:@b", "X: a@", "X:@", "X@: a", "X: a@b@c", "Connection: a@,@b",
        "Content-Length: 1@1", "Expect: a@b", "Host: a@b", "@", "@a", "X: a\t@\t@b",
      } do
        print(line)
        http.parse_head("GET / HTTP/1.1\r\nHost: x\r\n" .. line:gsub("@", BLANKS))
      end
      for _, line in ipairs { "GET@/ HTTP/1.1", "GET /@HTTP/1.1", "GET / HTTP/1.1@", "@GET /", "@" } do
        print(line)
        http.parse_head((line:gsub("@", BLANKS)) .. "\r\nHost: x")
      end
      print "ended"
    ]]
    assert.matches("ended\n$", result.stdout, nil, nil, result.stderr)
  end)

  local REFUSED = {
    ["two lengths that differ"] = { 400, with("Content-Length: 1", "Content-Length: 2") },
    ["two lengths in one line"] = { 400, with "Content-Length: 1, 2" },
    ["a negative length"] = { 400, with "Content-Length: -1" },
    ["a length with a sign"] = { 400, with "Content-Length: +1" },
    ["a length that is hexadecimal"] = { 400, with "Content-Length: 0x10" },
    ["a length with an exponent"] = { 400, with "Content-Length: 1e1" },
    ["a length with a fraction"] = { 400, with "Content-Length: 1.0" },
    ["a length that is empty"] = { 400, with "Content-Length:" },
    ["a length with a blank inside"] = { 400, with "Content-Length: 1 1" },
    ["a length that no integer holds"] = { 413, with("Content-Length: " .. ("9"):rep(400)) },
    ["a length that wraps around to 1"] = { 413, with "Content-Length: 18446744073709551617" },
    ["a transfer coding"] = { 501, with "Transfer-Encoding: chunked" },
    ["a transfer coding and a length"] = { 501, with("Transfer-Encoding: chunked", "Content-Length: 3") },
    ["a length and a transfer coding"] = { 501, with("Content-Length: 3", "tRANSFER-eNCODING: identity") },
    ["a transfer coding that is empty"] = { 501, with("Transfer-Encoding:", "Content-Length: 3") },
    ["a transfer coding with a blank before the colon"] = { 400, with "Transfer-Encoding : chunked" },
    ["a transfer coding behind a vertical tab"] = { 400, with "Transfer-Encoding: \vchunked" },
    ["a transfer coding behind a control character"] = { 400, with "\1Transfer-Encoding: chunked" },
    ["a blank before the colon"] = { 400, with "X : y" },
    ["a tab before the colon"] = { 400, with "X\t: y" },
    ["a continued line"] = { 400, with("X: y", " z") },
    ["a line continued by a tab"] = { 400, with("X: y", "\tz") },
    ["a continued request line"] = { 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n" },
    ["a header without a name"] = { 400, with ": y" },
    ["a header without a colon"] = { 400, with "x" },
    ["a NUL in a name"] = { 400, with "X\0Y: z" },
    ["a NUL in a value"] = { 400, with "X: y\0z" },
    ["a control character in a name"] = { 400, with "X\31: y" },
    ["a DEL in a name"] = { 400, with "X\127: y" },
    ["a byte beyond ASCII in a name"] = { 400, with "X\195\164: y" },
    ["a parenthesis in a name"] = { 400, with "X(: y" },
    ["a CR in a value"] = { 400, with "X: y\rContent-Length: 3" },
    ["a LF as an end of line"] = { 400, with "X: y\nContent-Length: 3" },
    ["LF as every end of line"] = { 400, "GET / HTTP/1.1\nHost: a\n\n" },
    ["a LF before the request line"] = { 400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["a CR before the request line"] = { 400, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["two CR before the LF"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n" },
    ["two Hosts"] = { 400, with "Host: a" },
    ["no Host"] = { 400, "GET / HTTP/1.1\r\nX: y\r\n\r\n" },
    ["a tab in the request line"] = { 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["two blanks in the request line"] = { 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["a blank in the target"] = { 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["a NUL in the target"] = { 400, "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["a method that is no token"] = { 400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n" },
    ["a version in small letters"] = { 400, "GET / http/1.1\r\nHost: a\r\n\r\n" },
    ["no version"] = { 400, "GET /\r\nHost: a\r\n\r\n" },
    ["another version"] = { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
    ["an expectation that nobody knows"] = { 417, with "Expect: tea" },
  }
  for what, refused in pairs(REFUSED) do
    it("refuses " .. what, function() assert.equal(refused[1], (read(refused[2]))) end)
  end

  it("passes over empty lines before a request", function()
    local status, request = read "\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.equal(200, status)
    assert.equal("/a", request.path)
    for _, begun in ipairs { "\r", "\r\n", "\r\n\r" } do
      assert.is_nil((read(begun)))
    end
  end)
end)
