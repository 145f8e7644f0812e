--- Many requests to the real nginx, with panics, ends made by nginx, and connections that are cut:
--- NGINX_REQUESTS of them (10,000; `make hosts`: 100,000).

local co = require "coropanic"
local socket = require "coropanic.socket"
local nginx_process = require "spec.hosts.nginx_process"

local REQUESTS = math.tointeger(tonumber(os.getenv "NGINX_REQUESTS" or 10000))
local CLIENTS, PARTS = 16, 4

--- One connection of so many is cut while its request is handled.
local CUT_EVERY = 100

--- What the Lua heaps of both workers may grow by in the second half, in KiB: requests that nginx has not
--- ended yet, and what LuaJIT's collector leaves. (Of 40,000 requests the last 20,000 took 66 KiB.)
local SLACK_KIB = 256

local function trace_of(n) return ("0af7651916cd43dd8448eb21%08x"):format(n) end

local REQUEST = "GET %s HTTP/1.1\r\nHost: x\r\ntraceparent: 00-%s-b7ad6b7169203331-01\r\n\r\n"

--- The status that the handler answers with, by n % 8.
local STATUS = { [0] = 500, [3] = 204 }

describe("a load on nginx", function()
  local nginx

  setup(function() nginx = nginx_process.start "spec/hosts/nginx/nginx.conf" end)
  teardown(function() nginx:stop() end)

  local function connect() return assert(socket.connect("127.0.0.1", nginx.port)) end

  --- Reads an answer and returns its status.
  local function receive(connection)
    local status = tonumber(assert(connection:receive "*l"):match "^HTTP/1.1 (%d+)")
    local length = 0
    for line in function() return assert(connection:receive "*l") end do
      if line == "" then break end
      length = tonumber(line:match "^[Cc]ontent%-[Ll]ength: (%d+)") or length
    end
    if length > 0 then assert(connection:receive(length)) end
    return status
  end

  local function cut_one(n)
    local connection = connect()
    connection:send(REQUEST:format("/content/load_abort", trace_of(n)))
    co.sleep(0.002)
    connection:close()
  end

  --- Sends the requests with these numbers, by many clients. Returns the answers that were wrong.
  local function send_all(first, last)
    local wrong = {}
    co.run(function()
      for client = 1, CLIENTS do
        co.spawn(function()
          local connection = connect()
          for n = first + client - 1, last, CLIENTS do
            if n % CUT_EVERY == 0 then cut_one(n) end
            connection:send(REQUEST:format("/content/load?n=" .. n, trace_of(n)))
            local status = receive(connection)
            if status == 500 then -- nginx closes the connection
              connection:close()
              connection = connect()
            end
            if status ~= (STATUS[n % 8] or 200) then wrong[#wrong + 1] = n .. ": " .. status end
          end
          connection:close()
        end)
      end
    end)
    return wrong
  end

  local function count(name)
    local _, body = nginx:get("/content/count?name=load%20" .. name)
    return tonumber(body)
  end

  --- The sum of both workers' heaps, in KiB.
  local function heap()
    local heaps = {}
    return nginx_process.eventually("answers of two workers", function()
      local worker, kib = select(2, nginx:get "/content/heap"):match "^(%d) (%S+)"
      heaps[worker] = tonumber(kib)
      return heaps["0"] and heaps["1"] and heaps["0"] + heaps["1"]
    end)
  end

  --- How often each panic was reported, and under which trace.
  local function read_reports()
    local reports, total = {}, 0
    for name, n, trace in nginx:log():gmatch "panic: load (%l+) (%d+)\n.-, trace (%x+)," do
      n = math.tointeger(tonumber(n))
      reports[n] = (reports[n] or "") .. name .. " " .. trace
      total = total + 1
    end
    return reports, total
  end

  it("reports each panic once under its trace, runs each deferred call once, and keeps its memory", function()
    local heaps, each = {}, REQUESTS // PARTS
    for part = 1, PARTS do
      assert.same({}, send_all((part - 1) * each + 1, part * each))
      heaps[part] = heap()
    end
    local sent = PARTS * each

    nginx_process.eventually("all deferred calls", function() return count "run" == count "deferred" end)
    -- one of each handler and its task, of every fourth of the sleeping kinds, two of each that was cut
    assert.is_true(count "deferred" >= 2 * sent)

    local reports, total = read_reports()
    assert.equal(sent // 8 + (sent + 7) // 8, total)
    for n = 1, sent do
      local kind = n % 8 == 0 and "main" or n % 8 == 1 and "lost"
      assert.equal(kind and kind .. " " .. trace_of(n) or nil, reports[n])
    end
    assert.is_nil(nginx:log():match "[^\n]*thread aborted[^\n]*")
    assert.is_true(heaps[PARTS] <= heaps[2] + SLACK_KIB, "heap, in KiB: " .. table.concat(heaps, ", "))
  end)
end)
