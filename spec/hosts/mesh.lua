--- What the specs of the mesh's hosts share: services that crash, texts, requests, and the library in C.

local assert = require "luassert"
local cjson = require "cjson"
local co = require "coropanic"
local host = require "spec.hosts.host"
local parking = require "coropanic.socket"
local server_process = require "spec.server_process"
local socket = require "socket"

local mesh = {}

--- Of the requests, as spec/mesh/native.c has it.
mesh.TRACE = "0af7651916cd43dd8448eb211c80319c"
mesh.PARENT = "00-" .. mesh.TRACE .. "-b7ad6b7169203331-01"

mesh.PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n'

local PATIENCE_SECONDS = 60

--- What a proxy loads is built without the sanitizers, whose libraries only the tests preload.
local MAKE = "env -u MAKEFLAGS -u MFLAGS -u LD_PRELOAD -u CFLAGS -u LDFLAGS make -s BUILD=build %s >&2"

--- Builds the library, the program in C, and what else is named.
---@param ... string  # more targets
function mesh.build(...)
  local targets = table.concat({ "build/mesh/libcoropanic_mesh.so", "build/mesh_native", ... }, " ")
  assert(os.execute(MAKE:format(targets)))
end

--- The services of mesh/demo: in Python, Node.js and Go.
---@return table<string, { port: integer, stop: fun() }>
function mesh.start_services()
  local folder = host.make_folder()
  local go = "env -u LD_PRELOAD GO111MODULE=off GOCACHE=%s/cache go build -o %s/orders mesh/demo/orders.go"
  assert(os.execute(go:format(folder, folder)))
  local services = {}
  local function start(name, ...)
    local words = { ... }
    local port, stop = server_process.start("/usr/bin/env", function(free)
      words[#words + 1] = tostring(free)
      return words
    end)
    services[name] = { port = port, stop = stop }
  end
  start("python", "python3", "mesh/demo/users.py")
  start("node", "node", "mesh/demo/cart.js")
  start("golang", folder .. "/orders")
  local stop = services.golang.stop
  services.golang.stop = function()
    stop()
    os.execute(("chmod -R u+w %s && rm -r %s"):format(folder, folder))
  end
  return services
end

--- The request as text.
local function format_request(method, path, headers, body)
  local lines = { ("%s %s HTTP/1.1"):format(method, path), "connection: close" }
  for name, values in pairs(headers or {}) do
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      lines[#lines + 1] = name .. ": " .. value
    end
  end
  if not (headers and headers.host) then lines[#lines + 1] = "host: x" end
  if body then lines[#lines + 1] = "content-length: " .. #body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

local function unchunk(text)
  local parts, position = {}, 1
  while true do
    local size, first = text:match("^(%x+)\r\n()", position)
    size = tonumber(assert(size, "the body breaks off"), 16)
    if size == 0 then return table.concat(parts) end
    parts[#parts + 1] = text:sub(first, first + size - 1)
    position = first + size + 2
  end
end

--- Sends a request and reads the whole answer.
---@param headers table<string, string|string[]>?
---@param connect? fun(): table  # makes a connected socket
---@return { status: integer, headers: table<string, string>, body: string }
function mesh.request(port, method, path, headers, body, connect)
  local connection = connect and connect() or assert(socket.connect("127.0.0.1", port))
  connection:settimeout(PATIENCE_SECONDS)
  assert(connection:send(format_request(method, path, headers, body)))
  local text = assert(connection:receive "*a")
  connection:close()
  local status, head, rest = text:match "^HTTP/1.1 (%d+)[^\r]*\r\n(.-\r\n)\r\n(.*)$"
  assert(status, "no answer: " .. text)
  local answer = { status = math.tointeger(tonumber(status)), headers = {}, body = rest }
  for name, value in head:gmatch "([^:\r\n]+): *([^\r\n]*)\r\n" do
    name = name:lower()
    answer.headers[name] = answer.headers[name] and answer.headers[name] .. ", " .. value or value
  end
  local is_chunked = answer.headers["transfer-encoding"] == "chunked"
  if is_chunked and method ~= "HEAD" then answer.body = unchunk(rest) end
  local length = tonumber(answer.headers["content-length"])
  assert(not length or method == "HEAD" or length == #answer.body, "a wrong content-length")
  return answer
end

--- The library's results for the texts, with one handle.
---@return { code: string, hash: string, record: string }[]
function mesh.native(texts)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  for _, text in ipairs(texts) do file:write(("500 %d orders text/plain\n%s"):format(#text, text)) end
  file:close()
  local pipe = assert(io.popen("env -u LD_PRELOAD build/mesh_native <" .. path))
  local results = {}
  for i = 1, #texts do
    local code, hash, size = assert(pipe:read "l"):match "^(%S+) (%S+) %d %d (%d+)$"
    results[i] = { code = code, hash = hash, record = pipe:read(tonumber(size)) }
  end
  assert(pipe:close())
  os.remove(path)
  return results
end

--- A record without its time, and its number in the worker.
function mesh.timeless(record)
  return (record:gsub('"time":"[^"]*"', '"time":""'):gsub('"seq":%d+', '"seq":0'))
end

--- Of the frames in a file, the innermost: its module and function.
function mesh.first_frame_of(record, module)
  for _, frame in ipairs(record.frames) do
    if frame.source == module then return { frame.source, frame.name } end
  end
end

local SEEDS = {
  mesh.PYTHON,
  "panic: runtime error: index out of range [5] with length 3\n\n"
    .. "goroutine 1 [running]:\nmain.f(...)\n\t/a/b.go:7\nmain.main()\n\t/a/b.go:12 +0x1d\nexit status 2\n",
  "java.lang.IllegalStateException: no\n"
    .. "\tat shop.Bill.pay(Bill.java:12)\n\tat shop.Main.main(Main.java:3)\n"
    .. "Caused by: java.lang.NullPointerException\n\tat shop.Bill.sum(Bill.java:4)\n\t... 1 more\n",
  "thread 'main' panicked at 'index out of bounds: the len is 3 but the index is 7', src/main.rs:4:5\n"
    .. "stack backtrace:\n   0: rust_begin_unwind\n   1: shop::sum\n             at ./src/main.rs:4:5\n",
  "TypeError: Cannot read properties of undefined (reading 'x')\n    at f (/srv/cart.js:3:9)\n"
    .. "    at Server.<anonymous> (/srv/cart.js:9:3)\n    at node:internal/main:1:2\n",
  '{"type":"https://shop.example/out-of-credit","title":"No credit","status":500}',
  '{"contract":"coropanic/1","kind":"error","error_code":"a.b","stack_hash":"0123456789abcdef"}',
}

--- Texts of crashes with some bytes changed, left out or doubled, the same ones each time: MESH_TEXTS of them
--- (200; `make hosts`: 10,000).
---@return string[]
function mesh.texts()
  local count = tonumber(os.getenv "MESH_TEXTS" or 200)
  local texts, state = {}, 42
  local function random(limit)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % limit + 1
  end
  for i = 1, count do
    local text = SEEDS[i % #SEEDS + 1]
    for _ = 1, i // #SEEDS % 5 do
      local at, size, kind = random(#text), random(20), random(3)
      if kind == 1 then
        text = text:sub(1, at - 1) .. string.char(random(255)) .. text:sub(at + 1)
      elseif kind == 2 then
        text = text:sub(1, at - 1) .. "x" .. text:sub(at + size)
      else
        text = text:sub(1, at + size) .. text:sub(at)
      end
    end
    texts[i] = text
  end
  return texts
end

--- Tests that hold for every proxy.
---@param it fun(name: string, test: fun())  # busted's
---@param post fun(text: string, query: string?, headers: table?): table  # to the service that echoes texts
---@param head fun(path: string): table  # a request HEAD
function mesh.test_proxy(it, post, head)
  it("makes the same records as the library in a program in C", function()
    local texts = mesh.texts()
    local natives = mesh.native(texts)
    for i, text in ipairs(texts) do
      local query = i % 3 == 0 and "?part=" .. 1 + i % 97 or ""
      local answer = post(text, query, { traceparent = mesh.PARENT, host = "orders" })
      assert.equal(natives[i].code, answer.headers["x-error-code"])
      assert.equal(natives[i].hash, answer.headers["x-error-hash"])
      assert.equal(mesh.timeless(natives[i].record), mesh.timeless(answer.body))
    end
  end)

  it("gives an error without a body the headers, and no body", function()
    local answer = post("", "?status=503")
    assert.same({ 503, "", "mesh.unknown" }, { answer.status, answer.body, answer.headers["x-error-code"] })
    answer = head "/texts?status=503"
    assert.same({ 503, "", "mesh.unknown" }, { answer.status, answer.body, answer.headers["x-error-code"] })
  end)

  it("keeps the body of an error that is compressed, or of gRPC", function()
    local answer = post("not really gzip", "?encoding=gzip")
    assert.same({ "not really gzip", "mesh.unknown" }, { answer.body, answer.headers["x-error-code"] })
    answer = post("frames", "?status=200&grpc=14&type=application/grpc")
    assert.same({ "frames", "mesh.grpc.UNAVAILABLE" }, { answer.body, answer.headers["x-error-code"] })
  end)

  it("begins a trace where the request has none that is valid, and drops its tracestate", function()
    for _, parent in ipairs { {}, "00-0-0-00", { mesh.PARENT, mesh.PARENT } } do
      local answer = post("x", "", { traceparent = parent, tracestate = "a=1" })
      local seen = answer.headers["x-seen"]
      assert.matches("^00%-%x+%-%x+%-02, none$", seen)
      assert.not_matches(mesh.TRACE, seen)
      assert.equal(seen:match "%-(%x+)%-", cjson.decode(answer.body).trace_id)
    end
    local answer = post("x", "", { traceparent = mesh.PARENT, tracestate = { "a=1", "b=2" } })
    assert.equal(mesh.PARENT .. ", a=1,b=2", answer.headers["x-seen"])
  end)
end

--- Sends requests, every third to be an error, by many clients at once, each under a trace of its own.
---@return string[] wrong, integer errors
function mesh.load(port, requests)
  local CLIENTS = 16
  local wrong, errors = {}, 0
  local function connect() return assert(parking.connect("127.0.0.1", port)) end
  local function send(n)
    local trace = ("0af7651916cd43dd8448eb21%08x"):format(n)
    local query = n % 3 == 0 and "?part=" .. 1 + n % 50 or "?status=200"
    local text = n % 3 == 0 and mesh.PYTHON or ("x"):rep(n % 5000 + 1)
    local answer = mesh.request(port, "POST", "/texts" .. query,
      { traceparent = "00-" .. trace .. "-b7ad6b7169203331-01" }, text, connect)
    if n % 3 == 0 then
      errors = errors + 1
      if answer.headers["x-error-code"] ~= "mesh.python.KeyError" or not answer.body:find(trace, 1, true) then
        wrong[#wrong + 1] = n .. ": " .. answer.status .. " " .. answer.body
      end
    elseif answer.body ~= text then
      wrong[#wrong + 1] = n .. ": " .. answer.status .. " " .. #answer.body
    end
  end
  co.run(function()
    for client = 1, CLIENTS do
      co.spawn(function()
        for n = client, requests, CLIENTS do send(n) end
      end)
    end
  end)
  return wrong, errors
end

return mesh
