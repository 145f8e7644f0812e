-- luaunit itself runs the fixture, in a process of its own: what it prints is what users see.
local co = require "coropanic"
local helpers = require "spec.helpers"
local test = require "coropanic.test"

local FIXTURE = "spec/test/fixtures/luaunit_tests.lua"

describe("luaunit", function()
  local output

  setup(function() output = helpers.run_program(FIXTURE).stdout end)

  --- What is said of a test.
  local function said_of(name)
    local _, start = output:find(("%%d%%) TestClass.%s\n"):format(name))
    assert(start, name .. " is not in:\n" .. output)
    return (output:sub(start + 1):gsub("\nstack traceback:.*", ""))
  end

  it("counts tests of ours as its own, skipped and succeeding ones too", function()
    helpers.assert_contains("2 successes, 3 failures, 2 errors, 1 skipped", output)
  end)

  it("shows its own assertion in a task as a failure, where it stands", function()
    local text = said_of "test_fails_in_a_task"
    assert.equal(FIXTURE .. ":17: expected: 2, actual: 1", text:match "^[^\n]+")
  end)

  it("does not show its own mark, nor a text twice where it failed in the test itself", function()
    helpers.assert_lacks("LuaUnit test FAILURE", output)
    local text = said_of "test_fails_at_length"
    local _, times = text:gsub("first line", "")
    assert.equal(1, times)
  end)

  it("shows another error with its report", function()
    local text = said_of "test_raises_an_error"
    assert.equal(FIXTURE .. ":25: broken", text:match "^[^\n]+")
    helpers.assert_contains('"main" panicked', text)
  end)

  it("shows tasks that are left over", function()
    local text = said_of "test_leaves_a_task"
    helpers.assert_contains(FIXTURE .. ":20: 1 task is left over", text)
    helpers.assert_contains(('"forgotten" waiting on sleep, spawned at %s:21'):format(FIXTURE), text)
  end)

  it("says under which seed a test failed", function()
    local text = said_of "test_fails_under_a_seed"
    assert.equal(FIXTURE .. ":39: always", text:match "^[^\n]+")
    assert.equal("seed 1 (rerun with COROPANIC_SEED=1)", text:match "([^\n]+)$")
  end)
end)

describe("test.luaunit", function()
  it("wraps the methods whose names begin with test, and returns the class", function()
    local seen = {}
    local function look(self) seen[#seen + 1] = { self, co.current() ~= nil } end
    local class = { testA = look, TestB = look, setUp = look, helper = look, test_data = "text" }
    assert.equal(class, test.luaunit(class))
    for _, name in ipairs { "testA", "TestB", "setUp", "helper" } do
      class[name](class)
    end
    assert.same({ { class, true }, { class, true }, { class, false }, { class, false } }, seen)
    assert.equal("text", class.test_data)
  end)

  it("gives all of them its options, and leaves what wrap has made as it is", function()
    local runs = { a = 0, b = 0 }
    local class = {
      test_a = function() runs.a = runs.a + 1 end,
      test_b = test.wrap({ seeds = 2 }, function() runs.b = runs.b + 1 end),
    }
    test.luaunit(class, { seeds = 5 })
    class:test_a()
    class:test_b()
    assert.same({ a = 5, b = 2 }, runs)
  end)

  it("refuses what is no class, and options that it does not know", function()
    helpers.assert_contains("bad argument #1 to 'luaunit' (table expected, got nil)",
      helpers.message_of(select(2, pcall(test.luaunit))))
    helpers.assert_contains("bad argument #2 to 'luaunit' (unknown option 'x')",
      helpers.message_of(select(2, pcall(test.luaunit, {}, { x = 1 }))))
  end)
end)

describe("test.wrap", function()
  it("makes a function that runs its body as a task, with the arguments", function()
    local got
    test.wrap(function(...) got = table.pack(co.current().name, ...) end)(1, nil, 3)
    assert.same({ n = 4, "main", 1, nil, 3 }, got)
  end)

  it("takes a body without options, or options and a body", function()
    for message, arguments in pairs {
      ["bad argument #1 to 'wrap' (function expected, got nil)"] = {},
      ["bad argument #2 to 'wrap' (function expected, got nil)"] = { {} },
      ["bad argument #1 to 'wrap' (table expected, got number)"] = { 1, print },
    } do
      local ok, err = pcall(test.wrap, table.unpack(arguments, 1, 2))
      assert.is_false(ok)
      assert.equal(message, err)
    end
  end)
end)
