--- The mesh's normaliser in the real HAProxy: spec/hosts/haproxy/mesh.cfg.

local cjson = require "cjson"
local host = require "spec.hosts.host"
local mesh = require "spec.hosts.mesh"
local server_process = require "spec.server_process"

local MAX_BODY = 65536

mesh.build "build/mesh/coropanic_mesh.so"

local function configure(folder, values, configuration)
  values.folder, values.here, values.configuration = folder, host.HERE, folder .. "/mesh.json"
  host.write(values.configuration, configuration or "{}")
  host.write(folder .. "/haproxy.cfg", (host.read("spec/hosts/haproxy/mesh.cfg"):gsub("%$(%l+)", values)))
end

describe("HAProxy before services that crash", function()
  local services, proxy

  local function start(configuration)
    local folder = host.make_folder()
    local port, stop = server_process.start("sh", function(port)
      local values = { port = port }
      for name, service in pairs(services) do values[name] = service.port end
      configure(folder, values, configuration)
      return { "-c", ("exec haproxy -db -f %s/haproxy.cfg >%s/log 2>&1"):format(folder, folder) }
    end)
    return {
      port = port,
      stop = function()
        stop()
        os.execute("rm -r " .. folder)
      end,
    }
  end

  setup(function()
    services = mesh.start_services()
    proxy = start()
  end)
  teardown(function()
    proxy.stop()
    for _, service in pairs(services) do service.stop() end
  end)

  local function post(text, query, headers)
    return mesh.request(proxy.port, "POST", "/texts" .. (query or ""), headers, text)
  end

  for language, code in pairs {
    python = "mesh.python.LookupError", node = "mesh.node.TypeError", golang = "mesh.go.nil_dereference",
  } do
    it("turns a crash in " .. language .. " into a record under the request's trace", function()
      local path = ("/%s/"):format(language)
      local answer = mesh.request(proxy.port, "GET", path .. "2", { traceparent = mesh.PARENT })
      local record = cjson.decode(answer.body)
      assert.same({ 500, "application/json", code, mesh.PARENT }, {
        answer.status, answer.headers["content-type"], answer.headers["x-error-code"],
        answer.headers["x-seen-traceparent"],
      })
      assert.same({ code, record.stack_hash, mesh.TRACE },
        { record.error_code, answer.headers["x-error-hash"], record.trace_id })
      answer = mesh.request(proxy.port, "GET", path .. "1")
      assert.equal(200, answer.status)
      assert.is_nil(answer.headers["x-error-code"])
    end)
  end

  mesh.test_proxy(it, post, function(path) return mesh.request(proxy.port, "HEAD", path) end)

  it("reads the first 64 KB of a large body, and lets a large good answer pass", function()
    for _, size in ipairs { MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 1000000 } do
      local text = mesh.PYTHON .. ("x"):rep(size - #mesh.PYTHON)
      local answer = post(text, "?part=4096", { traceparent = mesh.PARENT, host = "orders" })
      assert.equal(mesh.timeless(mesh.native({ text })[1].record), mesh.timeless(answer.body))
      assert.equal(text, post(text, "?status=200").body)
    end
  end)

  it("leaves HAProxy's own answer alone where a service is down", function()
    local answer = mesh.request(proxy.port, "GET", "/down/1")
    assert.equal(503, answer.status)
    assert.is_nil(answer.headers["x-error-code"])
  end)

  it("does what the configuration says", function()
    local other = start '{"body":"keep","services":{"users":"python","cart":"node"}}'
    local function ask(path, name)
      local answer = mesh.request(other.port, "POST", path, { host = name }, mesh.PYTHON)
      assert.equal(mesh.PYTHON, answer.body)
      return answer.headers["x-error-code"]
    end
    assert.equal("mesh.python.KeyError", ask("/texts", "users:80"))
    assert.equal("mesh.unknown", ask("/texts", "cart"))
    assert.equal("mesh.python.KeyError", ask("/named/", "cart"))
    other.stop()
  end)

  it("does not start with a wrong configuration, and says what was expected", function()
    local folder = host.make_folder()
    configure(folder, { port = 1, python = 1, node = 1, golang = 1 }, '{"expose":"all"}')
    local output, status = host.run("haproxy", "-c", "-f", folder .. "/haproxy.cfg")
    assert.not_equal(0, status)
    local message = '"expose": expected "contract", "header" or "both", got "all"'
    assert.truthy(output:find(message, 1, true), output)
    os.execute("rm -r " .. folder)
  end)

  it("answers a load of good and bad requests, each with its own record", function()
    local wrong, errors = mesh.load(proxy.port, 2000)
    assert.same({}, wrong)
    assert.is_true(errors > 0)
  end)
end)
