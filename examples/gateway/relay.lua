--- Calls others, under the trace of the request that asks for it. The calls wait in a queue for a task that
--- lives as long as the server; a supervisor restarts it if it fails, and the queue is still there.
---
--- What the W3C's validation harness for Trace Context sends is a list of such calls:
--- https://github.com/w3c/trace-context/tree/main/test

local cjson = require "cjson.safe"
local co = require "coropanic"
local gateway_http = require "http"
local http = require "socket.http"
local json = require "dkjson" -- unlike cjson it keeps what an empty table was: a list, or an object
local ltn12 = require "ltn12"
local socket = require "coropanic.socket"

local MAX_CALLS = 16   -- of a request
local MAX_AT_ONCE = 64 -- of all

local relay = {}

local function refuse(message, ...)
  co.panic { code = "BODY_INVALID", message = message:format(...) }
end

--- The value that a body stands for, nil if it is not JSON. cjson looks first: it is stricter, and sees to it
--- that nothing is nested too deeply for who comes after it.
local function decode(body) return cjson.decode(body) ~= nil and json.decode(body, 1, json.null) or nil end

local function is_a(kind, value) return type(value) == "table" and getmetatable(value).__jsontype == kind end

local encode

local function each(list, write)
  local parts = {}
  for i = 1, #list do parts[i] = write(list[i]) end
  return table.concat(parts, ",")
end

--- dkjson would take an object with a number "n" for a list of so many items, and give numbers 14 digits.
---@return string
function encode(value)
  if is_a("array", value) then return "[" .. each(value, encode) .. "]" end
  if is_a("object", value) then
    local names = {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names)
    local function field(name) return json.quotestring(name) .. ":" .. encode(value[name]) end
    return "{" .. each(names, field) .. "}"
  end
  if math.type(value) == "float" and value - value == 0 then return ("%.17g"):format(value) end
  return json.encode(value)
end

--- The url to ask for: without the fragment, which is the client's own (RFC 9110, section 4.2.5), and with
--- the scheme as luasocket knows it.
---@return string?  # nil: there is none that we can ask for
local function target_of(url)
  local rest = type(url) == "string" and url:match "^[hH][tT][tT][pP]://([!-\"$-~]+)"
  local is_printable = rest and not url:find "[^!-~]"
  return is_printable and "http://" .. rest or nil
end

---@class Job
---@field target string
---@field body string
---@field headers table    # with the request's trace
---@field outcome table    # a channel for it
---@field task table?      # while it runs
---@field is_over boolean? # nobody waits for it

local queue = co.chan(MAX_AT_ONCE)

--- Posts a JSON text. A task of its own, so the call has a span of its own.
---@return integer|string status  # or why there is none
local function call(target, body)
  local headers = co.trace.inject { ["content-type"] = "application/json", ["content-length"] = #body }
  local ok, status = http.request {
    url = target, method = "POST", headers = headers,
    source = ltn12.source.string(body), sink = ltn12.sink.null(),
    create = socket.tcp, -- luasocket's module, with sockets that park the task
  }
  return ok and status or tostring(status)
end

local function finish(job) job.outcome:try_send(job.status or "the call was interrupted") end

local function work(job, slots)
  co.defer(slots.release, slots)
  co.defer(finish, job)
  if not job.is_over then job.status = call(job.target, job.body) end
end

--- Makes the calls of the queue until it is cancelled: a child of the server's supervisor.
function relay.serve()
  local slots = co.semaphore(MAX_AT_ONCE)
  co.scope(function(scope)
    for job in queue:iter() do
      slots:acquire()
      job.task = co.trace.continue(job.headers, scope.spawn, scope, work, job, slots)
    end
  end)
end

local function forget(job)
  job.is_over = true
  if job.task then job.task:cancel "its request has ended" end
end

--- Has a call made, and waits for its outcome.
---@return integer|string status
local ask = co.func(function(target, body)
  local job = { target = target, body = body, headers = co.trace.inject {}, outcome = co.chan(1) }
  co.defer(forget, job)
  queue:send(job)
  local status = job.outcome:recv()
  return status
end)

--- What is to be posted where.
---@param body string  # of the request
---@return { url: string, target: string, arguments: string }[]
local function read_calls(body)
  local calls = decode(body)
  if not is_a("array", calls) then
    refuse("the body is to be a JSON array of {url, arguments}")
  elseif #calls > MAX_CALLS then
    refuse("more than %d calls at a time", MAX_CALLS)
  end
  for i, item in ipairs(calls) do
    local target = is_a("object", item) and target_of(item.url)
    if not target then refuse("item %d has no url that begins with http://", i) end
    local arguments = item.arguments == nil and "[]" or encode(item.arguments)
    calls[i] = { url = item.url, target = target, arguments = arguments }
  end
  return calls
end

--- Makes all the calls of a JSON array of {url, arguments} at once, and returns when all have been answered.
--- The arguments are posted with the values that they have, [] if there are none.
---@param body string
---@return { url: string, status: integer|string }[]
function relay.forward(body)
  local answers = gateway_http.list {}
  co.scope(function(scope)
    for i, item in ipairs(read_calls(body)) do
      answers[i] = { url = item.url }
      scope:spawn(function() answers[i].status = ask(item.target, item.arguments) end)
    end
  end)
  return answers
end

return relay
