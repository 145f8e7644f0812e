--- Sends spans and panics to a collector by OTLP over HTTP, in JSON. A daemon task does it, in batches, from
--- a bounded queue; the loop is never blocked, and what is lost is counted.

local cjson = require "cjson.safe"
local co = require "coropanic"
local model = require "coropanic.export.otlp.model"
local sender = require "coropanic.export.otlp.sender"

local otlp = {}

local PATHS = { traces = "/v1/traces", logs = "/v1/logs" }

-- Option -> its type and what it is when it is not given.
local OPTIONS = {
  endpoint = { "string", "http://127.0.0.1:4318" },
  headers = { "table", {} },
  resource = { "table", {} }, -- attributes: ["service.name"] = ...
  scope = { "table", { name = "coropanic" } },
  span_events = { "boolean", false }, -- events in their spans, instead of logs of their own
  max_queue = { "number", 2048 }, -- spans, and as many logs
  max_batch = { "number", 512 },
  schedule_delay = { "number", 5 }, -- seconds between two batches, if none is full
  timeout = { "number", 10 }, -- seconds for one attempt
  max_elapsed = { "number", 60 }, -- seconds in which a batch is tried again
}

local function refuse(message, ...) error("bad argument #1 to 'start' (" .. message:format(...) .. ")", 4) end

local function check_options(given)
  if type(given) ~= "table" then refuse("table expected, got %s", type(given)) end
  local options = { content_type = "application/json" }
  for name, value in pairs(given) do
    local option = OPTIONS[name]
    if not option then refuse("unknown option '%s'", tostring(name)) end
    if type(value) ~= option[1] then
      refuse("option '%s': %s expected, got %s", name, option[1], type(value))
    end
  end
  for name, option in pairs(OPTIONS) do
    local value = given[name]
    if value == nil then value = option[2] end
    if option[1] == "number" and (value <= 0 or value ~= value) then
      refuse("option '%s': number above 0 expected, got %s", name, value)
    end
    options[name] = value
  end
  if not options.endpoint:find "^http://[^/]+" then
    refuse "option 'endpoint': http://host:port expected"
  end
  options.endpoint = options.endpoint:gsub("/+$", "")
  return options
end

local Exporter = {}
Exporter.__index = Exporter

local function now_ns() return os.time() * 1000000000 end

function Exporter:count_dropped(why, count) self.dropped[why] = (self.dropped[why] or 0) + count end

--- Queues an item, or counts it as dropped.
function Exporter:put(signal, item)
  local queue = self.queues[signal]
  if self.stopped or #queue >= self.options.max_queue then
    self:count_dropped(self.stopped and "stopped" or "queue full", 1)
    return
  end
  queue[#queue + 1] = item
  self.accepted[signal] = self.accepted[signal] + 1
  if #queue >= self.options.max_batch then self.wake:set() end
end

--- Queues a span as co.trace.on_span gives it.
function Exporter:span(span)
  local with_events = self.options.span_events
  self:put("traces", model.span(span, with_events))
  if with_events then return end
  for _, event in ipairs(span.events) do
    -- An exception that has passed is the status of its span; if nobody recovers it, it comes as a record.
    if event.name ~= "exception" then self:put("logs", model.event(span, event, now_ns())) end
  end
end

--- Queues a panic's record.
function Exporter:record(record)
  self:put("logs", model.record(record:to_table(), tostring(record), now_ns()))
end

--- How many items of the request the collector has not taken, although it took the request.
local function rejected_of(answer)
  local decoded = cjson.decode(answer)
  local partial = type(decoded) == "table" and decoded.partialSuccess
  if type(partial) ~= "table" then return 0 end
  return math.tointeger(tonumber(partial.rejectedSpans or partial.rejectedLogRecords)) or 0
end

--- Sends one batch of a signal. False: there was nothing.
function Exporter:send_batch(signal)
  local queue, options = self.queues[signal], self.options
  local count = math.min(#queue, options.max_batch)
  if count == 0 then return false end
  local batch = table.move(queue, 1, count, 1, {})
  -- What is on its way is neither queued nor lost yet.
  self.queues[signal] = table.move(queue, count + 1, #queue, 1, {})
  self.on_the_way = self.on_the_way + count
  co.call(function()
    local done = false
    co.defer(function()
      self.on_the_way = self.on_the_way - count
      self.finished[signal] = self.finished[signal] + count
      self.progress:set()
      if not done then self:count_dropped("given up", count) end
    end)
    local body = cjson.encode(model.request(signal, batch, options.resource, options.scope))
    local outcome, answer = sender.send(options, PATHS[signal], body, function()
      self.retries = self.retries + 1
    end)
    done = true
    if outcome == "sent" then
      local rejected = rejected_of(answer)
      self.sent = self.sent + count - rejected
      if rejected > 0 then self:count_dropped("rejected", rejected) end
    else
      self:count_dropped(answer, count)
    end
  end)
  return true
end

--- Sends all that is queued.
function Exporter:drain()
  local more
  repeat
    more = false
    for signal in pairs(PATHS) do more = self:send_batch(signal) or more end
  until not more
end

--- What the daemon does until the run ends; then what is left is sent, within the time of one attempt.
local function run(self)
  co.defer(function()
    self.stopped = true
    self.restore()
    co.with_timeout(self.options.timeout, self.drain, self)
    for _, queue in pairs(self.queues) do
      if #queue > 0 then self:count_dropped("given up", #queue) end
    end
    self.queues = { traces = {}, logs = {} }
    self.finished = self.accepted
    self.progress:set()
  end)
  while true do
    self.wake:wait(self.options.schedule_delay)
    self.wake:clear()
    self:drain()
  end
end

--- Sends what is queued now; what comes meanwhile may stay. In a task.
---@param timeout number?  # seconds, for ever if nil
---@return boolean  # false: the time was up before all was sent or given up
function Exporter:flush(timeout)
  local deadline = timeout and co.now() + timeout
  local traces, logs = self.accepted.traces, self.accepted.logs
  local function is_done() return self.finished.traces >= traces and self.finished.logs >= logs end
  while not is_done() do
    self.progress:clear()
    self.wake:set()
    local left = deadline and math.max(deadline - co.now(), 0)
    if not self.progress:wait(left) then return is_done() end
  end
  return true
end

--- Flushes, and ends the exporter: what comes later is dropped, and counted. In a task.
function Exporter:shutdown(timeout)
  local flushed = self:flush(timeout)
  self.task:cancel "shutdown"
  self.task:join()
  return flushed
end

---@return { queued: integer, sent: integer, retries: integer, dropped: table<string, integer> }
function Exporter:stats()
  local dropped = {}
  for why, count in pairs(self.dropped) do dropped[why] = count end
  local queued = #self.queues.traces + #self.queues.logs + self.on_the_way
  return { queued = queued, sent = self.sent, retries = self.retries, dropped = dropped }
end

--- Puts `hook` in with `set`; returns a function that puts back what was there, unless somebody has put
--- another one over it since: that one stays, and goes on calling ours.
local function hook_in(set, make)
  local hook
  local before
  hook = make(function(...)
    if before then return before(...) end
    return false
  end)
  before = set(hook)
  return function()
    local current = set(before)
    if current ~= hook then set(current) end
  end
end

function Exporter:listen()
  local leave_spans = hook_in(co.trace.on_span, function(pass_on)
    return function(span)
      self:span(span)
      pass_on(span)
    end
  end)
  local leave_panics = hook_in(co.on_panic, function(pass_on)
    return function(record, task)
      self:record(record)
      -- Nobody else listens: the report is written as without us.
      if pass_on(record, task) == false then io.stderr:write(tostring(record), "\n") end
    end
  end)
  function self.restore()
    leave_spans()
    leave_panics()
  end
end

--- Begins to export what ends or panics from now on, until the run ends. In a task.
---@param options table?
function otlp.start(options)
  options = check_options(options or {})
  if not co.current() then error("otlp.start outside a task: a task sends what is exported", 2) end
  local self = setmetatable({
    options = options,
    queues = { traces = {}, logs = {} },
    on_the_way = 0,
    sent = 0,
    retries = 0,
    dropped = {},
    wake = co.event(),
    progress = co.event(), -- some items are not queued any more
    accepted = { traces = 0, logs = 0 }, -- how many were ever queued
    finished = { traces = 0, logs = 0 }, -- how many of them were sent, or dropped
  }, Exporter)
  self:listen()
  -- Its own trace, not sampled: what the exporter does is not exported.
  self.task = co.trace.continue({ traceparent = ("00-%032x-%016x-00"):format(1, 1) }, co.spawn_with, {
    name = "otlp exporter",
    daemon = true,
    context = co.context.background(),
  }, run, self)
  co.yield() -- it begins: a task that has not is ended with the run without a word
  return self
end

return otlp
