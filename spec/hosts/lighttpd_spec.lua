--- The module in lighttpd's mod_magnet, which runs the script spec/hosts/lighttpd/answer.lua at each request.

local http = require "socket.http"
local ltn12 = require "ltn12"
local helpers = require "spec.helpers"
local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

local TRACE = "0af7651916cd43dd8448eb211c80319c"

local CONFIGURATION = [[
server.modules = ("mod_magnet")
server.document-root = "$folder"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$folder/error.log"
magnet.attract-raw-url-to = ("$here/spec/hosts/lighttpd/answer.lua")
]]

describe("lighttpd's mod_magnet", function()
  local folder, port, stop

  setup(function()
    folder = host.make_folder()
    port, stop = server_process.start("lighttpd", function(free_port)
      local values = { folder = folder, here = host.HERE, port = free_port }
      host.write(folder .. "/lighttpd.conf", (CONFIGURATION:gsub("$(%l+)", values)))
      return { "-D", "-f", folder .. "/lighttpd.conf" }
    end, host.environment())
  end)

  teardown(function()
    stop "sigint"
    os.execute("rm -r " .. folder)
  end)

  local function get(path)
    local pieces = {}
    local _, code = http.request {
      url = ("http://127.0.0.1:%d%s"):format(port, path),
      headers = { traceparent = ("00-%s-b7ad6b7169203331-01"):format(TRACE) },
      sink = ltn12.sink.table(pieces),
    }
    return code, table.concat(pieces)
  end

  local function log()
    return host.read(folder .. "/error.log")
  end

  it("answers by tasks that run side by side", function()
    assert.same({ 200, "stock after 0.001; price after 0.002; offers after 0.003\n" }, { get "/fan-out" })
  end)

  it("continues the trace of the request in them", function()
    local code, answer = get "/trace"
    assert.equal(200, code)
    assert.match("^00%-" .. TRACE .. "%-%x+%-01\n$", answer)
  end)

  it("answers 500 to a panic and logs its report once", function()
    assert.same({ 500, "trace " .. TRACE .. "\n" }, { get "/panic" })
    local text = log()
    assert.equal(1, select(2, text:gsub('"GET /panic" panicked, trace ' .. TRACE, "")))
    helpers.assert_contains('"price" panicked', text)
  end)

  it("logs the panic of a task that nobody joins", function()
    assert.same({ 200, "ok\n" }, { get "/lost" })
    local text = log()
    assert.equal(1, select(2, text:gsub('"audit" panicked, trace ' .. TRACE, "")))
  end)

  it("answers many requests from one Lua state", function()
    local codes = {}
    for i = 1, 200 do
      local code = get(i % 10 == 0 and "/panic" or "/trace")
      codes[code] = (codes[code] or 0) + 1
    end
    assert.same({ [200] = 180, [500] = 20 }, codes)
  end)
end)
