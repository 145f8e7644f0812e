--- What the nginx of the specs serves.

local co = require "coropanic"
local nginx = require "coropanic.nginx"

local ngx = ngx

local handlers = { content = {} }
local content = handlers.content

local function count(name) ngx.shared.counts:incr(name, 1, 0) end

function handlers.serve(name) return nginx.serve(content[name]) end

function handlers.log()
  nginx.log()
  local after = ngx.ctx.after_log
  if after then after() end
end

-- Phases that can not suspend ----------------------------------------------------------------------------

function handlers.init()
  local ok, err = pcall(co.run, print)
  handlers.refused_in_init = tostring(err)
  local recovered = co.func(function()
    co.defer(function() co.set_results((co.recover())) end)
    error "in init"
  end)
  handlers.recovered_in_init = not ok and recovered()
  co.on_panic(function(r)
    count "handled"
    nginx.report(r)
  end)
end

function content.init() ngx.say(handlers.refused_in_init, "\n", handlers.recovered_in_init) end

function handlers.in_set()
  local recovered = co.func(function()
    co.defer(function() co.recover() end)
    co.panic "in set"
  end)
  recovered()
  return (select(2, pcall(co.run, print)))
end

-- Rewrite, access, content -------------------------------------------------------------------------------

--- Each phase runs two tasks, one of which suspends in nginx, the other one in us.
function handlers.in_phase()
  return nginx.serve(function()
    local a = co.spawn(function()
      ngx.sleep(0.001)
      return 1
    end)
    local b = co.spawn(function()
      co.sleep(0.001)
      return 2
    end)
    local phase = co.current().name
    local seen = ngx.ctx.seen or {}
    ngx.ctx.seen = seen
    seen[#seen + 1] = phase .. " " .. a:await() + b:await() .. " " .. nginx.traceparent():sub(4, 35)
    if ngx.var.failing == phase then error("panic in " .. phase) end
    if phase == "content" then ngx.say(table.concat(seen, "\n"), "\n", ngx.var.seen) end
  end)
end

-- Content ------------------------------------------------------------------------------------------------

function content.join()
  local sum = 0
  local tasks = {}
  for i = 1, 10 do
    tasks[i] = co.spawn(function()
      co.sleep(0.001)
      return i
    end)
  end
  for _, task in ipairs(tasks) do sum = sum + task:await() end
  co.defer(function() ngx.say "deferred" end)
  ngx.say(sum)
end

function content.panic() error("panic " .. ngx.var.arg_id) end

function content.table_panic() error { code = "E42" } end

function content.cut()
  ngx.say "begun"
  ngx.flush(true)
  error "panic after the headers"
end

--- The panic of a task that nobody joins; and one that is recovered.
function content.lost()
  co.spawn(function() co.panic("lost " .. ngx.var.arg_id) end)
  local ok, r = co.spawn(function() co.panic "joined" end):join()
  ngx.say(tostring(ok), " ", r.message)
end

function content.long() co.panic(("0123456789"):rep(600) .. " the end") end

function content.trace() ngx.say(ngx.var.http_traceparent, " ", co.current().trace_id) end

--- Subrequests of two tasks at once, each of which has a span of its own.
function content.subrequests()
  local tasks = {}
  for i = 1, 2 do
    tasks[i] = co.spawn(function()
      local mine = nginx.traceparent()
      local seen = ngx.location.capture("/content/trace").body:match "^%S+"
      return mine == seen and mine or mine .. " became " .. seen
    end)
  end
  ngx.say(tasks[1]:await(), "\n", tasks[2]:await())
end

--- A cosocket, which parks its task alone.
function content.cosocket()
  local order = {}
  local asking = co.spawn(function()
    local socket = ngx.socket.tcp()
    assert(socket:connect("127.0.0.1", ngx.var.server_port))
    assert(socket:send "GET /content/slow HTTP/1.0\r\nHost: x\r\n\r\n")
    local body = assert(socket:receive "*a"):match "\r\n\r\n(.*)\n"
    socket:close()
    order[#order + 1] = body
  end)
  co.spawn(function()
    co.sleep(0.001)
    order[#order + 1] = "meanwhile"
  end):await()
  asking:await()
  ngx.say(table.concat(order, ", "))
end

function content.slow()
  co.sleep(0.2)
  ngx.say "answered"
end

--- In a timer: the trace of the request that has set it.
function content.timer()
  local id = ngx.var.arg_id
  assert(ngx.timer.at(0, function(premature, word)
    nginx.serve(function()
      co.defer(count, "timer deferred")
      co.sleep(0.001)
      co.panic("timer " .. id .. " " .. word .. " " .. tostring(premature))
    end)
  end, "given"))
  ngx.say "set"
end

-- Ends that nginx makes ----------------------------------------------------------------------------------

local function deferring(name)
  co.defer(count, name)
  co.defer(function()
    if ngx.get_phase() ~= "log" then co.sleep(0.001) end
    count(name)
  end)
end

local function two_tasks(name)
  deferring(name)
  co.spawn(function()
    deferring(name)
    co.sleep(10)
  end)
  co.spawn(function()
    deferring(name)
    ngx.sleep(10)
  end)
  co.sleep(0.001)
end

function content.exit()
  two_tasks "exit"
  ngx.say "before"
  ngx.exit(ngx.OK)
end

function content.exit_in_task()
  two_tasks "exit_in_task"
  co.spawn(function()
    ngx.say "before"
    ngx.exit(ngx.OK)
  end)
  co.sleep(10)
end

function content.redirect()
  two_tasks "redirect"
  ngx.redirect "/content/join"
end

--- The number of its values, then the errors of calls without arguments, which name the place of the call.
function content.receiveuntil()
  local socket = ngx.socket.tcp()
  assert(socket:connect("127.0.0.1", tonumber(ngx.var.server_port)))
  ngx.say(select("#", socket:receiveuntil "end"))
  ngx.say(select(2, pcall(function() socket:receiveuntil() end)))
  ngx.say(select(2, pcall(function() ngx.sleep() end)))
end

function content.births() ngx.say(require("coropanic.host.nginx").births) end

--- The redirect takes ngx.ctx away while a task has not begun.
function content.exec_unborn()
  co.spawn(function() end)
  ngx.exec "/content/births"
end

function content.exec()
  two_tasks "exec"
  ngx.exec "/content/join"
end

function content.kill()
  local thread
  local task = co.spawn(function()
    thread = coroutine.running()
    deferring "kill"
    ngx.sleep(10)
  end)
  co.sleep(0.001)
  local killed = ngx.thread.kill(thread)
  local ok, r = task:join()
  ngx.say(tostring(killed), " ", tostring(ok), " ", r.message, " ", task:status())
end

function content.abort()
  ngx.ctx.after_log = function() count "aborted" end
  two_tasks "abort"
  count "begun"
  ngx.sleep(10)
end

--- Frames outside tasks, which nginx ends too.
function content.frames()
  co.call(function()
    co.defer(count, "frames")
    co.defer(count, "frames")
    ngx.exit(204)
  end)
end

--- Tasks that nobody joins: they end before the main task, or at once when the driver lets them begin.
function content.forget()
  co.spawn(count, "forgotten")
  co.sleep(0.001)
  co.spawn(count, "forgotten")
  co.spawn(count, "forgotten")
end

--- A deferred call that has to be woken, in a task whose light thread was lost in a wait.
function content.woken()
  co.spawn(function()
    co.defer(function()
      co.await(function(resume) ngx.ctx.resume = resume end)
      count "woken"
    end)
    co.sleep(10)
  end)
  co.spawn(function()
    co.defer(function()
      while not ngx.ctx.resume do co.sleep(0.001) end
      ngx.ctx.resume()
    end)
    co.sleep(10)
  end)
  co.sleep(0.001)
  ngx.exit(204)
end

-- What suspends ------------------------------------------------------------------------------------------

--- Sends the request, and reads a part of the answer, in several ways.
local function ask(read)
  local socket = ngx.socket.tcp()
  assert(socket:connect("127.0.0.1", ngx.var.server_port))
  assert(socket:send "GET /content/slow HTTP/1.0\r\nHost: x\r\n\r\n")
  read(socket)
  socket:close()
end

local WAYS = {
  sleep = function() ngx.sleep(0.02) end,
  yield = function() coroutine.yield() end,
  capture = function() ngx.location.capture "/content/slow" end,
  capture_multi = function() ngx.location.capture_multi { { "/content/slow" } } end,
  wait = function() ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.02) end)) end,
  semaphore = function() require("ngx.semaphore").new(0):wait(0.02) end,
  receive = function() ask(function(socket) socket:receive "*l" end) end,
  receiveuntil = function() ask(function(socket) socket:receiveuntil "answered" () end) end,
  receiveany = function() ask(function(socket) socket:receiveany(10) end) end,
  udp = function()
    local socket = ngx.socket.udp()
    socket:setpeername("127.0.0.1", ngx.var.server_port)
    socket:settimeout(20)
    socket:receive()
    socket:close()
  end,
}

--- Whether a new task begins while its spawner suspends in nginx alone.
function content.begins()
  for way, suspend in pairs(WAYS) do
    local begun = false
    co.spawn(function() begun = true end)
    local before = begun
    suspend()
    ngx.say(way, " ", tostring(before), " ", tostring(begun), " ", co.current().name)
  end
end

--- The same in a coroutine inside it, whose yield suspends none of nginx.
function content.generator()
  local begun = false
  co.spawn(function() begun = true end)
  local values = {}
  for value in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do
    values[#values + 1] = value
  end
  ngx.say(table.concat(values, " "), " ", tostring(begun))
end

-- Load ---------------------------------------------------------------------------------------------------

local function count_deferred()
  count "load deferred"
  co.defer(count, "load run")
end

local function asleep(seconds)
  return co.spawn(function()
    count_deferred()
    co.sleep(seconds)
  end)
end

--- What requests of a load do besides; their number chooses.
local KINDS = {
  [0] = function(n) co.panic("load main " .. n) end,
  function(n) co.spawn(co.panic, "load lost " .. n) end,
  function()
    co.call(function()
      co.defer(function() co.recover() end)
      error "recovered"
    end)
  end,
  function()
    asleep(10)
    ngx.exit(204)
  end,
  function()
    local thread
    local task = co.spawn(function()
      thread = coroutine.running()
      count_deferred()
      ngx.sleep(10)
    end)
    co.sleep(0.001)
    ngx.thread.kill(thread)
    task:join()
  end,
  function()
    local task = asleep(10)
    co.sleep(0.001)
    task:cancel "enough"
    task:join()
  end,
  function() ngx.location.capture "/content/trace" end,
  function(n) co.spawn(function() co.panic("joined " .. n) end):join() end,
}

function content.load()
  count_deferred()
  local n = tonumber(ngx.var.arg_n)
  local task = co.spawn(function()
    count_deferred()
    co.sleep(0.001)
    return "ok"
  end)
  KINDS[n % 8](n)
  local text = task:await()
  ngx.header.content_length = #text
  ngx.print(text)
end

--- Sleeps until its client goes away. nginx does not notice one that has gone before the handler began.
function content.load_abort()
  count_deferred()
  asleep(1)
  co.sleep(0.001)
  ngx.sleep(1)
end

--- What the worker keeps, without the code that LuaJIT has compiled: that grows for some 20,000 requests.
function content.heap()
  require("jit").flush()
  collectgarbage()
  collectgarbage()
  ngx.say(ngx.worker.id(), " ", collectgarbage "count")
end

function content.count() ngx.say(ngx.shared.counts:get(ngx.unescape_uri(ngx.var.arg_name)) or 0) end

--- Ids made by this worker.
function content.ids()
  local ids = {}
  for i = 1, 50 do
    ids[i] = co.spawn_with({ detached_trace = true }, function() return co.current().trace_id end):await()
  end
  ngx.say(ngx.worker.id(), " ", table.concat(ids, " "))
end

-- Bad input ----------------------------------------------------------------------------------------------

function content.refused()
  local _, bad_argument = pcall(nginx.serve)
  local _, nested = pcall(nginx.serve, print)
  ngx.say(bad_argument, "\n", nested)
end

return handlers
