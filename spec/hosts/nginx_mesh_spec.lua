--- The mesh's normaliser in the real nginx, before services in Python, Node.js and Go that really crash, and
--- one that answers with any text: spec/hosts/nginx/mesh.conf.

local cjson = require "cjson"
local host = require "spec.hosts.host"
local mesh = require "spec.hosts.mesh"
local nginx_process = require "spec.hosts.nginx_process"

local CONFIGURATION = "spec/hosts/nginx/mesh.conf"
local MAX_BODY = 65536

mesh.build()

describe("nginx before services that crash", function()
  local nginx, services

  local function start(configuration)
    return nginx_process.start(CONFIGURATION, function(text, values)
      values.configuration = configuration or ""
      for name, service in pairs(services) do values[name] = service.port end
      return (text:gsub("%$(%l+)", values))
    end)
  end

  setup(function()
    services = mesh.start_services()
    nginx = start()
  end)
  teardown(function()
    nginx:stop()
    for _, service in pairs(services) do service.stop() end
  end)

  --- Posts a text, which the service answers with.
  local function post(text, query, headers)
    return mesh.request(nginx.port, "POST", "/texts" .. (query or ""), headers, text)
  end

  local CRASHES = {
    python = { "mesh.python.LookupError", "users.py", "team_of" },
    node = { "mesh.node.TypeError", "cart.js", "totalOf" },
    golang = { "mesh.go.nil_dereference", "orders.go", "total" },
  }
  for language, expected in pairs(CRASHES) do
    local path = ("/%s/"):format(language)
    it("turns a crash in " .. language .. " into a record under the request's trace", function()
      local answer = mesh.request(nginx.port, "GET", path .. "2", { traceparent = mesh.PARENT })
      local record = cjson.decode(answer.body)
      assert.equal(500, answer.status)
      assert.equal("application/json", answer.headers["content-type"])
      assert.equal(expected[1], answer.headers["x-error-code"])
      assert.equal(record.stack_hash, answer.headers["x-error-hash"])
      assert.equal(mesh.TRACE, record.trace_id)
      assert.equal(mesh.PARENT, answer.headers["x-seen-traceparent"])
      assert.equal(expected[1], record.error_code)
      assert.same({ expected[2], expected[3] }, mesh.first_frame_of(record, expected[2]))
      assert.equal(#answer.body, tonumber(answer.headers["content-length"]))
    end)

    it("leaves the good answers of a service in " .. language .. " alone", function()
      local answer = mesh.request(nginx.port, "GET", path .. "1")
      assert.equal(200, answer.status)
      assert.is_nil(answer.headers["x-error-code"])
      assert.is_table(cjson.decode(answer.body))
    end)
  end

  mesh.test_proxy(it, post, function(path) return mesh.request(nginx.port, "HEAD", path) end)

  it("reads the first 64 KB of a large body", function()
    local text = mesh.PYTHON .. ("x"):rep(3 * 1024 * 1024)
    local answer = post(text, "?part=50000", { traceparent = mesh.PARENT, host = "orders" })
    local native = mesh.native({ text })[1]
    assert.equal(mesh.timeless(native.record), mesh.timeless(answer.body))
    assert.equal(#answer.body, tonumber(answer.headers["content-length"]))
    assert.equal(native.code, answer.headers["x-error-code"])
  end)

  it("takes a body of just 64 KB, and of a byte more, like the library", function()
    for size = MAX_BODY - 1, MAX_BODY + 1 do
      local text = mesh.PYTHON .. ("x"):rep(size - #mesh.PYTHON)
      local answer = post(text, "?part=4096", { traceparent = mesh.PARENT, host = "orders" })
      assert.equal(mesh.timeless(mesh.native({ text })[1].record), mesh.timeless(answer.body))
    end
  end)

  it("lets a large good answer pass as it is", function()
    local text = ("0123456789abcdef"):rep(256 * 1024)
    local answer = post(text, "?status=200&part=100000")
    assert.equal(text, answer.body)
    assert.is_nil(answer.headers["x-error-code"])
  end)

  it("makes a record of a service that is down", function()
    local answer = mesh.request(nginx.port, "GET", "/down/1", { traceparent = mesh.PARENT })
    local record = cjson.decode(answer.body)
    assert.same({ 502, "mesh.unknown", mesh.TRACE },
      { answer.status, answer.headers["x-error-code"], record.trace_id })
  end)

  it("breaks off its answer where a service breaks off its error", function()
    assert.is_false(pcall(post, mesh.PYTHON, "?length=5000&abort=yes"))
    assert.equal(200, post("fine", "?status=200").status)
  end)

  it("logs each record as a line", function()
    local before = select(2, host.read(nginx.folder .. "/records.log"):gsub("\n", ""))
    post(mesh.PYTHON)
    post('{\n"contract":"coropanic/1",\n"error_code":"x.y","kind":"error"}', "?type=application/json")
    nginx_process.eventually("two records", function()
      return select(2, host.read(nginx.folder .. "/records.log"):gsub("\n", "")) == before + 2
    end)
    for line in io.lines(nginx.folder .. "/records.log") do
      assert.equal("coropanic/1", cjson.decode(line).contract)
    end
  end)

  it("keeps the body, and gives only headers, if it is configured so", function()
    local other = start '{"body":"keep","statuses":["5xx",404]}'
    for _, size in ipairs { 100, MAX_BODY, MAX_BODY + 1, 1000000 } do
      local text = mesh.PYTHON .. ("x"):rep(size)
      for _, query in ipairs { "?part=7000", "" } do
        local answer = mesh.request(other.port, "POST", "/texts" .. query, nil, text)
        assert.equal(text, answer.body)
        assert.matches("^mesh%.", answer.headers["x-error-code"])
        assert.equal("text/plain", answer.headers["content-type"])
      end
    end
    assert.equal("mesh.unknown",
      mesh.request(other.port, "POST", "/texts?status=404", nil, "x").headers["x-error-code"])
    other:stop()
    other = start '{"expose":"header"}'
    local answer = mesh.request(other.port, "POST", "/texts", nil, mesh.PYTHON)
    assert.same({ "", "mesh.python.KeyError" }, { answer.body, answer.headers["x-error-code"] })
    other:stop()
    other = start '{"expose":"contract"}'
    answer = mesh.request(other.port, "POST", "/texts", nil, mesh.PYTHON)
    assert.is_nil(answer.headers["x-error-code"])
    assert.equal("mesh.python.KeyError", cjson.decode(answer.body).error_code)
    other:stop()
  end)

  it("reads only the texts of a service's language, by its host or the variable's name", function()
    local other = start '{"services":{"users":"python","cart":"node"}}'
    local function code(path, name)
      return mesh.request(other.port, "POST", path, { host = name }, mesh.PYTHON).headers["x-error-code"]
    end
    assert.equal("mesh.python.KeyError", code("/texts", "users.internal:80"))
    assert.equal("mesh.unknown", code("/texts", "cart"))
    assert.equal("mesh.python.KeyError", code("/named/", "cart"))
    other:stop()
  end)

  it("does not start with a wrong configuration, and says the key and what was expected", function()
    local WRONG = {
      ['{"expose":"all"}'] = '"expose": expected "contract", "header" or "both", got "all"',
      ['{"statuses":[200]}'] = '"statuses"',
      ["{"] = "configuration: ",
    }
    for configuration, message in pairs(WRONG) do
      local folder = host.make_folder()
      local values = { folder = folder, here = host.HERE, port = 1, user = "root" }
      values.configuration = configuration
      for name in pairs(services) do values[name] = 1 end
      host.write(folder .. "/nginx.conf", (host.read(CONFIGURATION):gsub("%$(%l+)", values)))
      local output, status = host.run("/usr/sbin/nginx", "-p", folder, "-c", folder .. "/nginx.conf",
        "-e", folder .. "/error.log")
      assert.not_equal(0, status)
      assert.truthy((output .. host.read(folder .. "/error.log")):find(message, 1, true), output)
      os.execute("rm -r " .. folder)
    end
  end)

  it("answers a load of good and bad requests, each with its own record", function()
    local wrong, errors = mesh.load(nginx.port, 2000)
    assert.same({}, wrong)
    assert.is_true(errors > 0)
    assert.is_nil(nginx:log():match "[^\n]*uninitialized[^\n]*")
  end)
end)
