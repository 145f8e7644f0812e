--- The same calls of luasocket, of ours in a task and of ours outside of one: they return the same values, of
--- the same types.

local co = require "coropanic"
local socket = require "coropanic.socket"
local luasocket = require "socket"

local NAMES = {} -- of objects, by what they are

--- A result as text; a port is another one each time, and addresses of objects are too.
local function describe_value(value)
  if type(value) == "table" or type(value) == "userdata" then
    return NAMES[value] or tostring(value):gsub("0x%x+", "0x")
  end
  return ("%s %q"):format(math.type(value) or type(value), value)
end

--- Adds what a call returned or raised to the log.
local function add(log, name, ok, ...)
  local words = { name, ok and "returned" or "raised" }
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if not ok and type(value) == "userdata" then
      value = value.message
    end
    -- Which argument it was depends on whether a method or a function is called.
    words[#words + 1] = ok and describe_value(value) or tostring(value):match "%b()$"
  end
  log[#log + 1] = table.concat(words, " ")
end

--- Calls of methods whose results are logged, with two connected sockets of the module.
local function new_calls(module)
  local log = {}
  local listener = assert(module.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local client = assert(module.connect("127.0.0.1", port))
  local server = assert(listener:accept())
  local objects = { client = client, server = server, listener = listener }
  local function call(name, method, ...)
    local object = objects[name] or name
    add(log, (objects[name] and name or "other") .. ":" .. method, pcall(object[method], object, ...))
  end
  return log, call, objects, module, math.tointeger(tonumber(port))
end

local scenarios = {
  ["receiving"] = function(call)
    call("client", "send", "one\r\ntwo\r\r\nthr\ree\n\n12345678rest")
    call("server", "receive")
    call("server", "dirty")
    call("server", "receive", "*l", "prefix ")
    call("server", "receive", "*lines")
    call("server", "receive", "*l", 5)
    call("server", "receive", 3)
    call("server", "receive", "2", "x")
    call("server", "receive", 2.7)
    call("server", "receive", 3, "abc")
    call("server", "receive", 2, "abc")
    call("server", "receive", 0, "abc")
    call("server", "receive", 0)
    call("server", "settimeout", 0.001)
    call("server", "receive", 100, "p")
    call("server", "receive")
    call("server", "receive", "*a", "p")
    call("client", "send", "more\r")
    call("server", "receive", "*l", "p")
    call("client", "send", "all")
    call("client", "close")
    call("server", "receive", "*a", "p")
    call("server", "receive", "*a", "p")
    call("server", "receive", "*l", "p")
    call("server", "receive", 4, "p")
    call("server", "close")
    call("server", "receive")
    call("server", "receive", 1, "")
    call("server", "send", "x")
    call("server", "close")
  end,
  ["wrong arguments of receive"] = function(call)
    for _, pattern in ipairs { "*x", "x", "", -1, {}, true } do
      call("server", "receive", pattern)
    end
    call("server", "receive", "*l", {})
    call("server", "receive", 1, true)
    call("client", "send", "ok\n")
    call("server", "receive")
  end,
  ["sending"] = function(call)
    call("client", "send", "abcdef")
    call("client", "send", "abcdef", 2)
    call("client", "send", "abcdef", 2, 4)
    call("client", "send", "abcdef", -2)
    call("client", "send", "abcdef", -100, -5)
    call("client", "send", "abcdef", 5, 2)
    call("client", "send", "abcdef", 100)
    call("client", "send", "abcdef", 0, 100)
    call("client", "send", "abcdef", "2", "3")
    call("client", "send", "")
    call("client", "send", 12)
    call("client", "send", nil)
    call("client", "send", {})
    call("client", "send", "x", {})
    call("client", "send", "x", 1, "y")
    call("client", "shutdown", "send")
    call("client", "send", "x")
    call("client", "send", "xyz", 2)
    call("server", "receive", "*a")
    call("client", "shutdown", "nothing")
  end,
  ["time-outs"] = function(call)
    call("client", "gettimeout")
    call("client", "settimeout", 1)
    call("client", "settimeout", "2", "t")
    call("client", "gettimeout")
    call("client", "settimeout", nil, "r")
    call("client", "settimeout", 0)
    call("client", "gettimeout")
    call("client", "settimeout", 1, "x")
    call("client", "settimeout", {})
    call("client", "gettimeout")
    call("client", "receive")
    call("listener", "settimeout", 0)
    call("listener", "accept")
  end,
  ["classes and statistics"] = function(call, objects, module, log)
    for _, name in ipairs { "client", "server", "listener" } do
      log[#log + 1] = objects[name].class .. " " .. tostring(objects[name]):match "^[^:]*"
      local methods = {}
      for method in pairs(getmetatable(objects[name]).__index) do
        methods[#methods + 1] = method
      end
      table.sort(methods)
      log[#log + 1] = table.concat(methods, " ")
    end
    local tcp, udp = module.tcp4(), module.udp4()
    log[#log + 1] = tcp.class .. udp.class
    call(tcp, "bind", "127.0.0.1", 0)
    call(tcp, "listen")
    log[#log + 1] = tcp.class
    call(udp, "setpeername", "127.0.0.1", 9)
    log[#log + 1] = udp.class
    call(udp, "setpeername", "*")
    log[#log + 1] = udp.class
    call("client", "send", "abc\ndef")
    call("server", "receive")
    log[#log + 1] = table.concat({ objects.server:getstats() }, " ", 1, 2)
    call("server", "setstats", 10, 20)
    log[#log + 1] = table.concat({ objects.server:getstats() }, " ", 1, 2)
    call("listener", "receive")
    call("listener", "send", "x")
    call("client", "accept")
    call("client", "listen")
    call("client", "getoption", "nothing")
    call("client", "setoption", "tcp-nodelay", 5)
    call("client", "setoption", "tcp-nodelay", true)
    call("client", "getoption", "tcp-nodelay")
    call("client", "getfamily")
  end,
  ["connecting"] = function(call, _, module, _, port)
    local dead = module.bind("127.0.0.1", 0)
    local _, dead_port = dead:getsockname()
    dead:close()
    for _, make in ipairs { module.tcp, module.tcp4 } do
      local tcp = make()
      call(tcp, "connect", "127.0.0.1", dead_port)
      tcp = make()
      call(tcp, "connect", "127.0.0.1", port)
      call(tcp, "connect", "127.0.0.1", port)
      tcp:close()
      call(make(), "connect", nil, 80)
      call(make(), "connect", "127.0.0.1", nil)
      call(make(), "connect", "127.0.0.1", {})
      call(make(), "connect", "name.invalid", 80)
      call(make(), "connect", "localhost", tostring(port))
    end
    call(module.tcp6(), "connect", "127.0.0.1", port)
  end,
  ["the module's functions"] = function(_, _, module, log, port)
    add(log, "connect", pcall(function()
      local tcp, err = module.connect("127.0.0.1", port, "127.0.0.1", 0)
      return tcp and tcp.class, err
    end))
    add(log, "connect", pcall(module.connect, "name.invalid", port))
    add(log, "connect6", pcall(module.connect6, "::1", 1))
    add(log, "bind", pcall(module.bind, "name.invalid", 0))
    add(log, "bind", pcall(module.bind, "192.0.2.1", 0))
    add(log, "getaddrinfo", pcall(function()
      local found, err = module.dns.getaddrinfo "127.0.0.1"
      return #found, found[1].family, found[1].addr, err
    end))
    add(log, "getaddrinfo", pcall(module.dns.getaddrinfo, "name.invalid"))
    add(log, "toip", pcall(function() return (module.dns.toip "127.0.0.1") end))
    add(log, "localhost", pcall(function()
      local lines = {}
      for i, found in ipairs(module.dns.getaddrinfo "localhost") do
        lines[i] = found.family .. " " .. found.addr
      end
      return table.concat(lines, ",")
    end))
  end,
  ["datagrams"] = function(call, _, module)
    local udp, other = module.udp4(), module.udp4()
    call(udp, "setsockname", "127.0.0.1", 0)
    local _, port = udp:getsockname()
    call(other, "sendto", "text", "127.0.0.1", port)
    call(udp, "receive")
    call(other, "setpeername", "127.0.0.1", port)
    call(other, "send", "")
    call(udp, "receive")
    call(other, "send", "longer")
    call(udp, "receive", 3)
    call(other, "sendto", "x", "127.0.0.1", port)
    call(udp, "settimeout", 0.001)
    call(udp, "receive")
    call(udp, "receivefrom")
    call(udp, "send", "x")
    call(udp, "receive", "x")
    call(udp, "close")
    call(udp, "receive")
    call(other, "close")
  end,
}

local function run(scenario, module)
  local log, call, objects, _, port = new_calls(module)
  scenario(call, objects, module, log, port)
  for _, object in pairs(objects) do
    object:close()
  end
  return log
end

describe("luasocket and coropanic.socket, in a task and outside, return the same for", function()
  for name, scenario in pairs(scenarios) do
    it(name, function()
      local expected = run(scenario, luasocket)
      assert.same(expected, run(scenario, socket))
      assert.same(expected, co.run(run, scenario, socket))
      assert.same(expected, co.run(co.coroutine.wrap(run), scenario, socket))
    end)
  end
end)
