--- What lint writes as SARIF, held against what the schema of SARIF 2.1.0 says of these objects.

local dkjson = require "dkjson"
local lint = require "coropanic.lint"

--- Of each object that lint writes: the properties that the schema knows, with their types; those in
--- `required` must be there. None of these objects takes others.
local LEVELS = { "none", "note", "warning", "error" }

local SCHEMA = {
  log = { version = "string", ["$schema"] = "uri", runs = "run[]", required = { "version", "runs" } },
  run = {
    tool = "tool", columnKind = { "utf16CodeUnits", "unicodeCodePoints" }, results = "result[]",
    invocations = "invocation[]", required = { "tool" },
  },
  tool = { driver = "toolComponent", required = { "driver" } },
  toolComponent = {
    name = "string", informationUri = "uri", rules = "reportingDescriptor[]", required = { "name" },
  },
  reportingDescriptor = {
    id = "string", name = "string", shortDescription = "message", helpUri = "uri",
    defaultConfiguration = "reportingConfiguration", required = { "id" },
  },
  reportingConfiguration = { level = LEVELS, required = {} },
  result = {
    ruleId = "string", ruleIndex = "index", level = LEVELS, message = "message", locations = "location[]",
    required = { "message" },
  },
  message = { text = "string", required = { "text" } },
  location = { physicalLocation = "physicalLocation", required = {} },
  physicalLocation = {
    artifactLocation = "artifactLocation", region = "region", required = { "artifactLocation" },
  },
  artifactLocation = { uri = "uri", required = {} },
  region = { startLine = "position", startColumn = "position", required = {} },
  invocation = {
    executionSuccessful = "boolean", toolExecutionNotifications = "notification[]",
    required = { "executionSuccessful" },
  },
  notification = {
    level = LEVELS, message = "message", locations = "location[]", required = { "message" },
  },
}

local CHECKS = {
  string = function(value) return type(value) == "string" end,
  boolean = function(value) return type(value) == "boolean" end,
  uri = function(value)
    return type(value) == "string" and not value:find "[^%w%-._~:/?#%[%]@!$&'()*+,;=%%]"
  end,
  index = function(value) return math.type(value) == "integer" and value >= 0 end,
  position = function(value) return math.type(value) == "integer" and value >= 1 end,
}

local check

local function check_object(where, value, of)
  assert(type(value) == "table", where .. ": an object expected")
  for name, part in pairs(value) do
    assert(name ~= "required" and of[name], ("%s: unknown property %s"):format(where, name))
    check(("%s.%s"):format(where, name), part, of[name])
  end
  for _, name in ipairs(of.required) do
    assert(value[name] ~= nil, ("%s: %s is missing"):format(where, name))
  end
end

function check(where, value, kind)
  if type(kind) == "table" then
    for _, word in ipairs(kind) do
      if word == value then return end
    end
    error(("%s: %s is none of %s"):format(where, tostring(value), table.concat(kind, ", ")))
  end
  local item = kind:match "^(.*)%[%]$"
  if item then
    assert(getmetatable(value).__jsontype == "array", where .. ": a list expected")
    for index, part in ipairs(value) do check(("%s[%d]"):format(where, index), part, item) end
  elseif SCHEMA[kind] then
    check_object(where, value, SCHEMA[kind])
  else
    assert(CHECKS[kind](value), ("%s: %s expected, got %s"):format(where, kind, tostring(value)))
  end
end

local function sarif_of(report)
  local log = assert(dkjson.decode(lint.format(report, "sarif")))
  check("log", log, "log")
  assert.equal("2.1.0", log.version)
  return log.runs[1]
end

describe("SARIF", function()
  it("of a report without findings is valid, and lists the rules", function()
    local run = sarif_of(lint.check("", "x.lua"))
    assert.equal("coropanic lint", run.tool.driver.name)
    assert.equal(#lint.rules, #run.tool.driver.rules)
    for index, rule in ipairs(lint.rules) do
      local described = run.tool.driver.rules[index]
      assert.same({ rule.id, rule.name, rule.summary }, {
        described.id, described.name, described.shortDescription.text,
      })
      assert.equal("#" .. rule.id:lower(), described.helpUri:match "#.*")
    end
    assert.same({}, setmetatable(run.results, nil))
    assert.is_true(run.invocations[1].executionSuccessful)
  end)

  it("has a result for each finding, which names its rule and place", function()
    local source = 'local co = require "coropanic"\nwhile 1 do co.defer(print) end\n'
    local report = lint.check(source, "./a b/%ü.lua")
    local run = sarif_of(report)
    assert.equal(1, #run.results)
    local result = run.results[1]
    assert.equal("C103", result.ruleId)
    assert.equal("C103", run.tool.driver.rules[result.ruleIndex + 1].id)
    assert.equal(report.findings[1].message, result.message.text)
    local place = result.locations[1].physicalLocation
    assert.equal("a%20b/%25%C3%BC.lua", place.artifactLocation.uri)
    assert.same({ 2, 12 }, { place.region.startLine, place.region.startColumn })
  end)

  it("has a notification for each problem", function()
    local report = lint.check("local = 1", "/x.lua")
    report.problems[2] = { file = "y.lua", message = "No such file or directory" }
    local run = sarif_of(report)
    local invocation = run.invocations[1]
    assert.is_false(invocation.executionSuccessful)
    assert.equal(2, #invocation.toolExecutionNotifications)
    local place = invocation.toolExecutionNotifications[1].locations[1].physicalLocation
    assert.equal("file:///x.lua", place.artifactLocation.uri)
    assert.same({ 1, 7 }, { place.region.startLine, place.region.startColumn })
    assert.is_nil(invocation.toolExecutionNotifications[2].locations[1].physicalLocation.region)
  end)
end)
