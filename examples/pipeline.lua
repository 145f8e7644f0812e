--- A pipeline: stages work side by side, each on what the one before has sent. Channels of bounded length
--- hold back a stage that is too quick. If a stage panics, the others are cancelled, and the caller gets the
--- panic.

local co = require "coropanic"

local PENDING = 4 -- values between two stages

--- Adds a stage: `workers` tasks call `fn(value)` for each value of `input`. What it returns goes to the
--- output of the stage, unless it is nil. With more than one worker, values may overtake each other.
---@return coropanic.chan output
local function stage(scope, name, workers, input, fn)
  local output, left = co.chan(PENDING), workers
  local function work()
    co.defer(function()
      left = left - 1
      if left == 0 then
        output:close() -- the next stage ends, too
      end
    end)
    for value in input:iter() do
      local result = fn(value)
      if result ~= nil then
        output:send(result)
      end
    end
  end
  for i = 1, workers do
    scope:spawn_with({ name = ("%s %d"):format(name, i) }, work)
  end
  return output
end

--- Sends what an iterator gives.
---@return coropanic.chan output
local function source(scope, name, next_value, state, first)
  local output = co.chan(PENDING)
  scope:spawn_with({ name = name }, function()
    co.defer(output.close, output)
    for value in next_value, state, first do
      output:send(value)
    end
  end)
  return output
end

-- An example -----------------------------------------------------------------------------------------------

local function parse(line)
  local host, code, bytes = line:match "^(%S+) (%d+) (%d+)$"
  if not host then
    co.panic { code = "MALFORMED", message = "malformed line: " .. line }
  end
  return { host = host, code = tonumber(code), bytes = tonumber(bytes) }
end

local function is_answered(request)
  return request.code < 500 and request or nil
end

local function locate(request)
  co.sleep(0.1) -- asks a data base
  request.country = request.host:match "%.(%l+)$"
  return request
end

--- Bytes by country.
local function sum_up(lines)
  local sums = {}
  co.scope(function(scope)
    local raw = source(scope, "lines", lines:gmatch "[^\n]+")
    local requests = stage(scope, "filter", 1, stage(scope, "parse", 1, raw, parse), is_answered)
    for request in stage(scope, "locate", 3, requests, locate):iter() do
      sums[request.country] = (sums[request.country] or 0) + request.bytes
    end
  end)
  return sums
end

local LOG = [[
one.example.fr 200 1200
two.example.pt 200 300
one.example.fr 503 0
six.example.fr 404 100
ten.example.nl 200 7000
]]

-- With the virtual clock the example needs no time. A real program calls co.run.
co.run_with({ clock = "virtual" }, function()
  local sums = sum_up(LOG)
  print("fr:", sums.fr, "pt:", sums.pt, "nl:", sums.nl)
  print(("%.1f seconds"):format(co.now()))

  local ok, record = co.pcall(sum_up, LOG .. "what is this\n" .. LOG)
  print(ok, record.error_code, record.value.message)
  print("in the stage", record.cause.task.name)
  print("tasks that are left:", #co.tasks() - 1)
end)
