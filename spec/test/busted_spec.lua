-- busted itself runs the fixture, in a process of its own: what it prints is what users see.
local helpers = require "spec.helpers"
local test = require "coropanic.test"

local FIXTURE = "spec/test/fixtures/busted_tests.lua"

--- Runs busted with a fixture.
local function run_busted(environment)
  return helpers.run_script([[
    arg = {
      [0] = "busted", "--ignore-lua", "--output=plainTerminal",
      "--pattern=busted_tests", "spec/test/fixtures",
    }
    require "busted.runner" { standalone = false }
  ]], { environment = environment })
end

--- What busted's output says of a test: `Failure`, `Error` or `Pending`, the position, and the text.
local function said_of(output, name)
  local start = output:find("\nfixture " .. name .. "\n", 1, true)
  assert(start, name .. " is not in:\n" .. output)
  local kind, position = output:sub(1, start - 1):match "(%a+) %-> ([^\n]+)$"
  local text = output:sub(start + #name + 10)
  local stop = text:find "\n\n%u%l+ %-> "
  return kind, position, text:sub(1, stop and stop - 1)
end

local function at(line)
  return ("%s:%d: "):format(FIXTURE, line)
end

local function assert_starts(head, text)
  assert.equal(head, text:sub(1, #head))
end

describe("busted", function()
  local result

  setup(function() result = run_busted() end)

  it("counts tests of ours as its own", function()
    helpers.assert_contains("\n2 successes / 4 failures / 5 errors / 1 pending", result.stdout)
    assert.equal(1, result.status)
  end)

  it("runs before_each and after_each around each, and finally", function()
    local _, count = result.stdout:gsub("after_each\n", "")
    assert.equal(12, count)
    helpers.assert_contains("after_each\nfinally\n", result.stdout)
  end)

  for name, lines in pairs {
    ["fails in the body"] = { 17, 19 },
    ["fails in a task"] = { 22, 24 },
    ["fails in a task that nobody joins"] = { 28, 29 },
    ["fails under some seed"] = { 49, 58 },
  } do
    it("shows its own assertion that " .. name .. " as a failure, where it stands", function()
      local kind, position, text = said_of(result.stdout, name)
      assert.equal("Failure", kind)
      assert.equal(("%s @ %d"):format(FIXTURE, lines[1]), position)
      assert_starts(at(lines[2]) .. "Expected objects to be ", text)
      helpers.assert_contains("\nPassed in:\n", text)
    end)
  end

  it("says under which seed, and how to run that again", function()
    local _, _, text = said_of(result.stdout, "fails under some seed")
    local seed = tonumber(text:match "\nseed (%d+) %(rerun with COROPANIC_SEED=%1%)")
    assert.is_true(seed >= 1 and seed <= 100)
  end)

  it("shows the report of another error, with the tasks that it went through", function()
    local kind, position, text = said_of(result.stdout, "raises an error in a task")
    assert.equal("Error", kind)
    assert.equal(FIXTURE .. " @ 32", position)
    local head = text:match "^[^\n]*"
    assert_starts(at(35) .. "attempt to index ", head)
    helpers.assert_contains("local 'nothing'", head) -- each Lua has words of its own
    helpers.assert_contains('"worker" panicked', text)
  end)

  it("shows tasks that are left over", function()
    local kind, _, text = said_of(result.stdout, "leaves a task")
    assert.equal("Error", kind)
    assert_starts(at(39) .. "1 task is left over", text)
    assert.is_truthy(text:find(('"forgotten" waiting on sleep at %s:41, spawned at %s:40')
      :format(FIXTURE, FIXTURE), 1, true), text)
  end)

  it("shows what waits in a deadlock", function()
    local kind, _, text = said_of(result.stdout, "waits for ever")
    assert.equal("Error", kind)
    assert_starts(at(45) .. "all tasks are asleep - deadlock!\n", text)
    helpers.assert_contains(('"main" waiting on await at %s:46'):format(FIXTURE), text)
  end)

  it("knows pending in a body, once for all seeds", function()
    local kind, _, text = said_of(result.stdout, "is pending")
    assert.equal("Pending", kind)
    assert_starts(at(61) .. "not yet", text)
    helpers.assert_lacks("seed", text)
  end)

  for name, line in pairs { ["defines a test inside"] = 70, ["defines a test of ours inside"] = 74 } do
    it("refuses a test that " .. name, function()
      local kind, _, text = said_of(result.stdout, name)
      assert.equal("Error", kind)
      assert_starts(at(line) .. "'it' not supported inside current context block", text)
    end)
  end

  it("fails in the same way under the seed of COROPANIC_SEED", function()
    local setting = result.stdout:match "rerun with (COROPANIC_SEED=%d+)"
    local _, _, text = said_of(result.stdout, "fails under some seed")
    local _, _, again = said_of(run_busted(setting).stdout, "fails under some seed")
    assert.equal(text, again)
  end)
end)

describe("the function that busted() returns", function()
  local defined

  --- Stands for busted's `it`.
  local function it_of_busted(name, fn)
    defined = { name = name, fn = fn }
    return "what it returns"
  end

  before_each(function() defined = nil end)

  it("uses the `it` that it was given, and returns what that returns", function()
    local ran
    local co_it = test.busted(it_of_busted)
    assert.equal("what it returns", co_it("name", function() ran = true end))
    assert.equal("name", defined.name)
    assert.is_nil(ran)
    defined.fn()
    assert.is_true(ran)
  end)

  it("takes options between the name and the body", function()
    local runs = 0
    test.busted(it_of_busted)("name", { seeds = 7 }, function() runs = runs + 1 end)
    defined.fn()
    assert.equal(7, runs)
  end)

  it("refuses bad arguments where it is called", function()
    local co_it = test.busted(it_of_busted)
    for message, arguments in pairs {
      ["bad argument #1 to 'it' (string expected, got number)"] = { 1, print },
      ["bad argument #2 to 'it' (function expected, got nil)"] = { "name" },
      ["bad argument #2 to 'it' (unknown option 'sedes')"] = { "name", { sedes = 1 }, print },
      ["bad argument #3 to 'it' (function expected, got nil)"] = { "name", {} },
    } do
      local _, err = pcall(function() co_it(table.unpack(arguments, 1, 3)) end)
      assert.equal("spec/test/busted_spec.lua", err:match "^(.-):%d+: ")
      assert.equal(message, err:match ":%d+: (.*)")
    end
    assert.is_nil(defined)
  end)

  it("says so where there is no `it`", function()
    local result = helpers.run_script [[
      local co_it = require("coropanic.test").busted()
      print(pcall(co_it, "name", function() end))
    ]]
    helpers.assert_contains("'it' is not defined here", result.stdout)
  end)
end)
