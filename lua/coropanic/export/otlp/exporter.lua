--- The exporter: queues of spans and logs that an observer fills, one of what metrics showed at a time, and a
--- daemon task that empties them.

local co = require "coropanic"
local model = require "coropanic.export.otlp.model"
local portable = require "coropanic.portable"
local redact = require "coropanic.redact"
local sender = require "coropanic.export.otlp.sender"
local values = require "coropanic.export.otlp.values"
local socket = require "socket"

co.cooperative()

local exporter = {}

local PATHS = { traces = "/v1/traces", logs = "/v1/logs", metrics = "/v1/metrics" }

--- A table with a value of its own for each signal.
local function for_signals(new)
  local of = {}
  for signal in pairs(PATHS) do of[signal] = new() end
  return of
end

local function zero() return 0 end

local function empty() return {} end

---@class coropanic.export.otlp.exporter
local Exporter = {}
Exporter.__index = Exporter

local function now_ns() return values.nanoseconds(socket.gettime()) end

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
  if #queue >= math.min(self.options.max_batch, self.options.max_queue) then self.wake:set() end
end

--- Queues a redacted span, with the record of the panic that passed through it, if any.
local function put_span(self, span, record)
  local with_events = self.options.span_events
  self:put("traces", model.span(span, with_events))
  if with_events then
    if record then self.told[record] = true end
    return
  end
  local last = #span.events
  for i, event in ipairs(span.events) do
    -- The record tells more than the exception made from it.
    local is_of_record = record and i == last and event.name == "exception"
    if not is_of_record then self:put("logs", model.event(span, event, now_ns())) end
  end
  if record then self:tell(record) end
end

--- Queues a span as observers get it, with the record of the panic that passed through it, if any.
---@param span coropanic.span
---@param record coropanic.record?
function Exporter:span(span, record)
  if type(span) ~= "table" then
    error(("bad argument #1 to 'span' (span expected, got %s)"):format(type(span)), 2)
  end
  put_span(self, redact.span(span, record), record)
end

--- Queues the redacted account of a panic.
local function put_panic(self, panic, report, record)
  self.told[record] = true
  self:put("logs", model.record(panic, report, now_ns()))
end

--- Queues a panic's record, even if it was queued before.
---@param record coropanic.record
function Exporter:record(record)
  if getmetatable(record) ~= "coropanic.record" then
    error(("bad argument #1 to 'record' (coropanic.record expected, got %s)"):format(type(record)), 2)
  end
  local panic, report = redact.account(record)
  if panic then put_panic(self, panic, report, record) end
end

--- The same, but only once for each record: a panic passes several spans, and may reach the panic handler.
function Exporter:tell(record)
  if not self.told[record] then self:record(record) end
end

--- Reads all metrics. What an earlier reading has left in the queue is dropped, because the newer points tell
--- more.
local function read_metrics(self)
  if not self.points or self.stopped then return end
  local list = self.points.read(now_ns())
  local left = #self.queues.metrics
  if left > 0 then
    self:count_dropped("superseded", left)
    self.finished.metrics = self.finished.metrics + left
  end
  self.queues.metrics = list
  self.accepted.metrics = self.accepted.metrics + #list
  self.next_reading = co.now() + self.options.metrics_period
end

--- Returns how many items the collector has rejected although it took the request.
local function rejected_of(response)
  local partial = response and response.partialSuccess
  if type(partial) ~= "table" then return 0 end
  local rejected = partial.rejectedSpans or partial.rejectedLogRecords or partial.rejectedDataPoints
  return portable.tointeger(tonumber(rejected)) or 0
end

--- Takes a batch out of a queue; it is then on its way, neither queued nor lost. Calls that need memory come
--- first.
local function take(self, signal)
  local queue = self.queues[signal]
  local count = math.min(#queue, self.options.max_batch)
  local batch = portable.move(queue, 1, count, 1, {})
  local rest = portable.move(queue, count + 1, #queue, 1, {})
  self.queues[signal] = rest
  self.on_the_way = self.on_the_way + count
  return batch, count
end

--- Sends a batch. Returns how many items the collector has taken, and why not the others.
local function deliver(self, signal, batch, count)
  local options = self.options
  local codec = options.codec
  local items = signal == "metrics" and self.points.metrics(batch) or batch
  local encoded, body = pcall(codec.encode, signal,
    model.request(signal, items, options.resource, options.scope))
  if not encoded then return 0, "not encoded" end
  local outcome, answer = sender.send(self.target, PATHS[signal], body, function()
    self.retries = self.retries + 1
  end)
  if outcome ~= "sent" then return 0, answer end
  local rejected = math.max(0, math.min(rejected_of(codec.decode(signal, answer)), count))
  return count - rejected, "rejected"
end

--- Sends one batch of a signal, and counts its items even if sending fails. Returns false if the queue was
--- empty.
local function send_batch(self, signal)
  if #self.queues[signal] == 0 then return false end
  co.call(function()
    local count, sent, why = 0, 0, "given up"
    co.defer(function()
      self.on_the_way = self.on_the_way - count
      self.finished[signal] = self.finished[signal] + count
      self.sent = self.sent + sent
      self:count_dropped(why, count - sent)
      self.progress:set()
    end)
    local batch
    batch, count = take(self, signal)
    local taken, reason = deliver(self, signal, batch, count)
    self:count_dropped(reason, 0) -- a new reason needs memory
    sent, why = taken, reason
  end)
  return true
end

--- Sends all that is queued.
local function drain(self)
  local more
  repeat
    more = false
    for signal in pairs(PATHS) do more = send_batch(self, signal) or more end
  until not more
end

--- Queues the panic of the run's main task. It is not unhandled, because co.run raises it.
local function tell_of_main(self)
  if self.root and self.root:status() == "panicked" then
    local _, record = self.root:join()
    self:tell(record)
  end
end

--- Returns the seconds that sending the rest may take: those of one attempt, but not beyond the deadline of
--- `shutdown`.
local function time_left(self)
  local timeout = self.options.timeout
  return self.deadline and math.max(math.min(self.deadline - co.now(), timeout), 0) or timeout
end

--- The daemon's function. It sends batches until the run or `shutdown` ends it, and then the rest. As a
--- service it ends after all other tasks, so that the items of their deferred calls are sent too.
local function run(self)
  co.defer(function()
    tell_of_main(self)
    read_metrics(self)
    self.stopped = true
    self.stop_listening()
    local left = time_left(self)
    if left > 0 then co.with_timeout(left, drain, self) end
    for _, queue in pairs(self.queues) do
      if #queue > 0 then self:count_dropped("given up", #queue) end
    end
    self.queues = for_signals(empty)
    self.finished = self.accepted
    self.progress:set()
  end)
  while true do
    local delay = self.options.schedule_delay
    if self.points then delay = math.min(delay, math.max(self.next_reading - co.now(), 0)) end
    self.wake:wait(delay)
    self.wake:clear()
    if self.points and co.now() >= self.next_reading then read_metrics(self) end
    drain(self)
  end
end

--- Call it in a task: reads the metrics, and waits until all items that are queued now are sent. Later items
--- may stay in the queue.
---@param timeout number?  # seconds, for ever if nil
---@return boolean  # false: the time was up before all items were sent or given up
function Exporter:flush(timeout)
  local deadline = timeout and co.now() + timeout
  read_metrics(self)
  local accepted = {}
  for signal, count in pairs(self.accepted) do accepted[signal] = count end
  local function is_done()
    for signal, count in pairs(accepted) do
      if self.finished[signal] < count then return false end
    end
    return true
  end
  while not is_done() do
    self.progress:clear()
    self.wake:set()
    local left = deadline and math.max(deadline - co.now(), 0)
    if not self.progress:wait(left) then return is_done() end
  end
  return true
end

--- Call it in a task: flushes, and ends the exporter. Items that come later, and those that could not be sent
--- in time, are dropped and counted.
---@param timeout number?
---@return boolean
function Exporter:shutdown(timeout)
  if timeout then
    local deadline = co.now() + timeout
    -- of several calls, the earliest deadline counts
    self.deadline = math.min(self.deadline or deadline, deadline)
  end
  local flushed = self:flush(timeout)
  self.task:cancel "shutdown"
  self.task:join()
  return flushed
end

---@return { queued: integer, sent: integer, retries: integer, dropped: table<string, integer> }
function Exporter:stats()
  local dropped = {}
  for why, count in pairs(self.dropped) do
    if count > 0 then dropped[why] = count end
  end
  local queued = self.on_the_way
  for _, queue in pairs(self.queues) do queued = queued + #queue end
  return { queued = queued, sent = self.sent, retries = self.retries, dropped = dropped }
end

local function listen(self)
  self.stop_listening = redact.observe({ "span_end", "unhandled" }, function(kind, object, extra, record)
    if kind == "span_end" then
      put_span(self, object, extra)
    elseif not self.told[record] then
      put_panic(self, object, extra, record)
    end
  end)
end

--- Returns the outermost ancestor of the running task: in a run the main task, if the chain is not too long.
local function root_task()
  local task = co.current()
  while task.parent do task = task.parent end
  return task
end

--- Call it in a task: begins to export.
---@param options table  # checked
---@return coropanic.export.otlp.exporter
function exporter.start(options)
  local self = setmetatable({
    options = options,
    target = sender.target(options),
    queues = for_signals(empty),
    points = options.metrics and require "coropanic.export.otlp.metrics" or nil,
    next_reading = co.now() + options.metrics_period,
    told = setmetatable({}, { __mode = "k" }), -- records that were exported
    root = root_task(),
    on_the_way = 0,
    sent = 0,
    retries = 0,
    dropped = { ["given up"] = 0 },
    wake = co.event(),
    progress = co.event(), -- some items are not queued any more
    accepted = for_signals(zero), -- the number ever queued
    finished = for_signals(zero), -- the number of these that were sent or dropped
  }, Exporter)
  listen(self)
  -- A service makes no spans, so the exporter does not export its own work.
  self.task = co.spawn_with({
    name = "otlp exporter",
    service = true,
    detached_trace = true,
    context = co.context.background(),
  }, run, self)
  co.yield() -- lets it begin: a task that has not begun ends with the run without a word
  return self
end

return exporter
