-- A script of lighttpd's mod_magnet: makes the answer to a request by tasks, under the trace of the request.
-- lighttpd has one thread and can not suspend a script, so a request holds up the others.

local co = require "coropanic"
local request = lighty.r

-- print writes to the error log of the server. A panic that nobody joins goes there, too.
co.on_panic(function(record) print(tostring(record)) end)

local function ask(name, seconds)
  co.sleep(seconds)
  return name .. " after " .. seconds
end

local paths = {}

--- Three back ends are asked at the same time.
paths["/fan-out"] = function()
  local answers = {}
  co.scope(function(scope)
    for i, name in ipairs { "stock", "price", "offers" } do
      scope:spawn(function() answers[i] = ask(name, 0.001 * i) end)
    end
  end)
  return table.concat(answers, "; ")
end

paths["/trace"] = function()
  return co.spawn(function() return co.trace.inject().traceparent end):await()
end

paths["/panic"] = function()
  co.scope(function(scope)
    scope:spawn_with({ name = "price" }, function() error("no price", 0) end)
  end)
end

paths["/lost"] = function()
  co.spawn_with({ name = "audit" }, error, "no ledger", 0)
  return "ok"
end

local path = request.req_attr["uri.path"]
local headers = { traceparent = request.req_header["traceparent"] }
local ok, answer = co.trace.continue(headers, pcall, co.run_with, { name = "GET " .. path }, paths[path])
if ok then
  request.resp_body.set(answer .. "\n")
  return 200
end
print(tostring(answer))
request.resp_body.set("trace " .. answer.trace_id .. "\n")
return 500
