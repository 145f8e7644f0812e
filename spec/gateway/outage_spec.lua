-- The second part of the gateway's demo, and that it notices what is not so.

local helpers = require "spec.helpers"
local redis_server = require "spec.io.redis_server"
local socket = require "socket"
local uv = require "luv"

local PATIENCE_SECONDS = 20

describe("the gateway", function()
  local redis_port, stop_redis, directory

  setup(function()
    redis_port, stop_redis = redis_server.start()
    local connection = assert(socket.connect("127.0.0.1", redis_port))
    connection:send "SET token:alice valid\r\n"
    connection:receive "*l"
    connection:close()
  end)
  teardown(function() stop_redis() end)
  before_each(function() directory = assert(uv.fs_mkdtemp "/tmp/outage_spec_XXXXXX") end)
  after_each(function() os.execute("rm -r " .. directory) end)

  local function read(name)
    local file = assert(io.open(directory .. "/" .. name, "rb"))
    local text = file:read "a"
    file:close()
    return text
  end

  --- Starts it, runs outage.lua against it, and returns what that says. It ends the gateway.
  ---@param change string?  # a command of sed for its suppliers
  local function run_outage(change)
    local lua = os.getenv "LUA" or "lua5.4"
    local server = "examples/gateway/server.lua"
    if change then
      local copy = "cp examples/gateway/*.lua %s && sed -i '%s' %s/suppliers.lua"
      os.execute(copy:format(directory, change, directory))
      server = directory .. "/server.lua"
    end
    local start = "LUA_PATH='%s' LUA_CPATH='%s' timeout 60 %s %s %d >%s/stdout 2>%s/stderr &"
    os.execute(start:format(package.path, package.cpath, lua, server, redis_port, directory, directory))
    local deadline = socket.gettime() + PATIENCE_SECONDS
    local url, explorer
    repeat
      socket.sleep(0.02)
      local _, text = pcall(read, "stdout")
      url, explorer = text:match "listening on (%S+)\nlook inside at (%S+)\n"
    until url or socket.gettime() > deadline
    assert.is_string(url, "the gateway did not start")
    return helpers.run_program("examples/gateway/outage.lua",
      { arguments = { "http://" .. url, explorer, tostring(redis_port), directory } })
  end

  it("answers all requests while a supplier and its connections to Redis fail", function()
    local result = run_outage()
    assert.equal(0, result.status, result.stdout .. result.stderr)
    for _, part in ipairs {
      "\n   20  all suppliers answer                          20         0         0\n",
      "\n   20  it is closed                                  20         0         0\n",
      "\n   10  quotes; Redis' connections were cut           10\n",
      "each got the last offers, and was reported once.\n", "and is closed again.\n",
      "\nAt the end no task, connection or slot was left.\n",
    } do
      helpers.assert_contains(part, result.stdout)
    end
    helpers.assert_contains('ended: {"', read "stdout")
  end)

  it("would be found out if its budget bounded nothing", function()
    local result = run_outage "s/ratio = 0.1, minimum = 10/ratio = 100, minimum = 1000/"
    assert.equal(1, result.status)
    helpers.assert_contains("are allowed\n", result.stdout)
  end)
end)
