--- Prints the records of the mesh's demo as a table, and checks them.
---   check.lua RECORDS ANSWER TRACE    nginx's log, the gateway's answer, the trace id that the request had

local cjson = require "cjson"

--- What each service's crash becomes, and the function that crashes.
local EXPECTED = {
  orders = { code = "mesh.go.nil_dereference", place = "orders.go total" },
  users = { code = "mesh.python.LookupError", place = "users.py team_of" },
  cart = { code = "mesh.node.TypeError", place = "cart.js totalOf" },
  billing = { code = "mesh.jvm.IllegalStateException", place = "billing.java amountOf" },
}

local failures = {}
local function expect(what, expected, actual)
  if actual == expected then return end
  failures[#failures + 1] = ("%s: expected %s, got %s"):format(what, tostring(expected), tostring(actual))
end

--- The innermost frame that is the service's own.
local function place_of(record, module)
  for _, frame in ipairs(record.frames) do
    if frame.source:lower() == module then return frame.source:lower() .. " " .. frame.name:match "[^.]*$" end
  end
end

local records_path, answer_path, trace = arg[1], arg[2], arg[3]
local seen, parents = {}, {}
local row = "%-8s %-31s %-16s  %-32s  %s"
print(row:format("service", "error code", "hash", "trace id", "place"))
for line in io.lines(records_path) do
  local record = cjson.decode(line)
  local expected = EXPECTED[record.service] or {}
  local place = expected.place and place_of(record, expected.place:match "^%S+")
  print(row:format(record.service, record.error_code, record.stack_hash, record.trace_id, place))
  expect(record.service .. "'s code", expected.code, record.error_code)
  expect(record.service .. "'s place", expected.place, place)
  expect(record.service .. "'s trace id", trace, record.trace_id)
  expect(record.service .. " again", nil, seen[record.service])
  expect(record.service .. "'s caller again", nil, parents[record.span_id])
  seen[record.service], parents[record.span_id] = true, true
end
for service in pairs(EXPECTED) do expect(service .. " in the log", true, seen[service]) end

local file <close> = assert(io.open(answer_path))
local answer = file:read "a"
local statuses = select(2, answer:gsub('"status":500', ""))
expect("the relay's answers with status 500", 4, statuses)
for _, failure in ipairs(failures) do print("WRONG: " .. failure) end
if #failures > 0 then os.exit(1) end
print "\nThe gateway has sent one request to four services in four languages, and all have crashed:"
print "four records of one form, under the trace id that the client sent."
