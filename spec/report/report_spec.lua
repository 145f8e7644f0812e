-- coropanic.report: tasks and panics of a process, and the drawing of how an error travelled.

local cjson = require "cjson"
local co = require "coropanic"
local mermaid = require "coropanic.report.mermaid"
local panics = require "contract.panics"
local report = require "coropanic.report"

--- The lines of a flowchart without the definitions of classes, tasks numbered from 1 by appearance.
local function drawn(text)
  local ranks, n = {}, 0
  local function rank(id)
    if not ranks[id] then
      n = n + 1
      ranks[id] = n
    end
    return ranks[id]
  end
  text = text:gsub("  classDef [^\n]*\n", ""):gsub("task (%d+)", function(id) return "task " .. rank(id) end)
  return (text:gsub("%f[%w]t(%d+)", function(id) return "t" .. rank(id) end))
end

--- A grammar of what we draw: every line is one of these.
local FORMS = {
  "^flowchart TD$",
  '^  [%w_]+%["[^"`<>|\\]*"%]$',
  '^  [%w_]+%["[^"`<>|\\]*"%]:::%l+$',
  "^  [%w_]+ [=.%-]+> [%w_]+$",
  '^  [%w_]+ [=.%-]+>|"[^"`<>|\\]*"| [%w_]+$',
  "^  classDef %l+ [%w:,#%-]+$",
}

local function assert_well_formed(text)
  for line in text:gmatch "([^\n]*)\n" do
    local fits = false
    local bare = line:gsub("<br/>", " ")
    for _, form in ipairs(FORMS) do fits = fits or bare:find(form) ~= nil end
    assert.is_true(fits, line)
  end
end

describe("report.topology", function()
  it("draws who spawned the task, and who learns of its panic", function()
    assert.equal([[
flowchart TD
  t1["task 1 #quot;order 7#quot;<br/>panic: out of stock"]:::panicked
  t2["task 2 #quot;main#quot;"]:::waiting
  t2 --> t1
  t1 ==>|"join"| t2
]], drawn(report.topology(panics["a string"]())))
  end)

  it("draws the way from task to task of a panic that is raised again", function()
    assert.equal([[
flowchart TD
  t1["task 1 #quot;main#quot;<br/>panic: below"]:::panicked
  t2["task 2 #quot;child#quot;<br/>panic: below"]:::panicked
  t1 --> t2
  t2 ==>|"await"| t1
]], drawn(report.topology(panics["awaited"]())))
  end)

  it("draws what was replaced, what came second, and who waits for whom", function()
    local chain = drawn(report.topology(panics["a chain"]()))
    assert.matches('  t1_replaced1 ==>|"replaced"| t1\n', chain, 1, true)
    assert.matches('t1_replaced2["panic: second"]:::panicked', chain, 1, true)
    local siblings = drawn(report.topology(panics["siblings in a scope"]()))
    assert.matches('  t3["task 3<br/>panic: while it was cancelled"]:::panicked\n', siblings, 1, true)
    assert.matches('  t1 --> t3\n', siblings, 1, true)
    assert.matches('  t3 ==>|"suppressed"| t1\n', siblings, 1, true)
    local cycle = drawn(report.topology(panics["a cycle of tasks"]()))
    assert.matches('  t1 -.->|"waits for"| t2\n', cycle, 1, true)
    assert.matches('  t2 -.->|"waits for"| t1\n', cycle, 1, true)
    local asleep = report.topology(panics["everybody asleep"]())
    assert.matches("waiting on receive of channel", asleep, 1, true)
    assert.matches("outside tasks", asleep, 1, true)
  end)

  it("takes what to_table has made, and JSON has carried", function()
    local record = panics["awaited"]()
    assert.equal(report.topology(record), report.topology(cjson.decode(cjson.encode(record:to_table()))))
  end)

  it("is well-formed for all kinds of panics, and for names of any text", function()
    for _, make in pairs(panics) do assert_well_formed(report.topology(make())) end
    co.run(function()
      local names = { 'a"b', "end", "[x](y)", "#35;", "a|b", "`md`", "a\nb", "\\n", "<b>", "\xff\xfe" }
      for _, name in ipairs(names) do
        co.spawn_with({ name = name, daemon = true }, co.sleep, math.huge)
      end
      co.yield()
      assert_well_formed(report.topology())
    end)
  end)

  it("draws all tasks", function()
    co.run(function()
      local reader = co.spawn_with({ name = "reader", daemon = true }, co.sleep, math.huge)
      co.spawn_with({ name = "waiter", daemon = true }, reader.join, reader)
      co.spawn_with({ name = "awaiter", daemon = true }, reader.await, reader)
      co.yield()
      assert.equal([[
flowchart TD
  t1["task 1 #quot;main#quot;<br/>running"]
  t2["task 2 #quot;reader#quot;<br/>waiting on sleep"]:::waiting
  t3["task 3 #quot;waiter#quot;<br/>waiting on task 2 #quot;reader#quot;"]:::waiting
  t4["task 4 #quot;awaiter#quot;<br/>waiting on task 2 #quot;reader#quot;"]:::waiting
  t1 --> t2
  t1 --> t3
  t3 -.->|"join"| t2
  t1 --> t4
  t4 -.->|"await"| t2
]], drawn(report.topology()))
    end)
  end)

  it("is bounded, and says what it leaves out", function()
    co.run(function()
      for _ = 1, mermaid.MAX_NODES + 4 do co.spawn_with({ daemon = true }, co.sleep, math.huge) end
      co.yield()
      local text = report.topology()
      assert.matches('omitted["... 5 left out ..."]', text, 1, true)
      assert_well_formed(text)
    end)
    assert.equal(("x"):rep(mermaid.MAX_LABEL - 1) .. "...", mermaid.escape(("x"):rep(200)))
    assert.equal(("\u{e9}"):rep(mermaid.MAX_LABEL - 1) .. "...", mermaid.escape(("\u{e9}"):rep(200)))
  end)

  it("says what it can not draw", function()
    for _, what in ipairs { 5, {}, "x", io.stdout } do
      assert.has_error(function() report.topology(what) end,
        "bad argument #1 to 'topology' (record, or what its to_table returns, expected)")
    end
  end)
end)

describe("report.install", function()
  local heard, before

  before_each(function()
    heard = {}
    before = co.on_panic(function(record) heard[#heard + 1] = record.message end)
  end)

  after_each(function() co.on_panic(before) end)

  local function panic(message)
    co.run(function()
      co.spawn(co.panic, message)
      co.yield()
    end)
  end

  it("keeps the last panics, and lets who heard of them hear on", function()
    local uninstall = report.install { keep = 2 }
    for i = 1, 3 do panic("no " .. i) end
    uninstall()
    panic "unseen"
    local dump, text = report.dump(), report.dump "text"
    assert.same({ "no 1", "no 2", "no 3", "unseen" }, heard)
    assert.equal("no 2", dump.panics[1].message)
    assert.equal("no 3", dump.panics[2].message)
    assert.equal("coropanic/1", dump.panics[2].contract)
    assert.equal(2, #dump.panics)
    assert.is_true(dump.panics_omitted >= 1)
    -- As people read them, and as they are drawn.
    assert.matches("\npanic: no 2\n\ntask %d+ panicked, trace %x+, span %x+\n", text)
    assert.matches("%[\"task %d+<br/>panic: no 2\"%]:::panicked\n", dump.topology)
    assert.matches("\n```mermaid\n" .. dump.topology .. "```\n", text, 1, true)
  end)

  it("keeps a panic once, also where it is installed twice", function()
    local uninstall, uninstall_too = report.install { keep = 3 }, report.install { keep = 3 }
    for i = 1, 2 do panic("twice " .. i) end
    uninstall_too()
    uninstall()
    local dump = report.dump()
    assert.equal("twice 1", dump.panics[2].message)
    assert.equal("twice 2", dump.panics[3].message)
  end)

  it("says what is wrong with its options", function()
    assert.has_error(function() report.install(5) end,
      "bad argument #1 to 'install' (table expected, got number)")
    assert.has_error(function() report.install { kept = 1 } end,
      "bad argument #1 to 'install' (unknown option 'kept')")
    assert.has_error(function() report.install { keep = 0 } end,
      "bad argument #1 to 'install' (option 'keep': integer from 1 expected, got 0)")
  end)
end)

describe("report.dump", function()
  local function with_tasks(use)
    co.run(function()
      local channel = co.chan()
      local reader = co.spawn_with({ name = "reader", daemon = true }, function() channel:recv() end)
      co.spawn_with({ name = "waiter", daemon = true }, function()
        co.spawn_with({ name = "below", daemon = true }, co.select, nil, channel, channel)
        reader:join()
      end)
      for _ = 1, 3 do co.yield() end
      use()
    end)
  end

  it("has the tasks as a table", function()
    with_tasks(function()
      local dump = report.dump()
      assert.equal(report.CONTRACT, dump.contract)
      assert.equal(4, #dump.tasks)
      local main, reader, waiter, below = table.unpack(dump.tasks)
      assert.equal("running", main.status)
      assert.is_nil(main.waiting_on)
      assert.equal("channel (unbuffered)", reader.waiting_on)
      assert.equal("receive", reader.operation)
      assert.equal("join", waiter.operation)
      assert.is_nil(main.operation)
      assert.equal(main.id, reader.parent)
      assert.is_true(reader.daemon)
      assert.equal(reader.id, waiter.waits_for)
      assert.equal("a select of 2 channels", below.waiting_on)
      assert.equal(waiter.id, below.parent)
      assert.matches("report_spec.lua:%d+$", reader.where)
      assert.equal(co.current().trace_id, below.trace_id)
    end)
  end)

  it("has them as an outline of text", function()
    with_tasks(function()
      local text = report.dump "text"
      assert.matches("^4 tasks\ntask %d+ \"main\" running at ", text)
      local reader = '\n  task %d+ "reader" %(daemon%) waiting %(receive%) on channel %(unbuffered%) at '
      local below = '\n    task %d+ "below" %(daemon%) waiting %(select%) on a select of 2 channels at '
      assert.matches(reader, text)
      assert.matches(below, text)
    end)
  end)

  it("writes no control characters of others", function()
    co.run(function()
      co.spawn_with({ name = "a\27[2Jb", daemon = true }, co.sleep, math.huge)
      co.yield()
      assert.matches([["a\x1B[2Jb"]], report.dump "text", 1, true)
    end)
  end)

  it("has them as JSON", function()
    with_tasks(function()
      local dump = cjson.decode(report.dump "json")
      assert.equal("reader", dump.tasks[2].name)
      assert.equal(4, dump.stats.live)
    end)
    assert.is_nil(cjson.decode(report.dump "json").tasks)
  end)

  it("is UTF-8 in JSON, whatever tasks are called", function()
    co.run(function()
      co.spawn_with({ name = "a\xffb", daemon = true }, co.sleep, math.huge)
      co.yield()
      local json = report.dump "json"
      assert.truthy(utf8.len(json))
      local dump = cjson.decode(json)
      assert.equal("a\u{FFFD}b", dump.tasks[2].name)
      assert.equal(dump.topology, report.topology())
    end)
  end)

  it("knows three forms", function()
    assert.has_error(function() report.dump "xml" end,
      [[bad argument #1 to 'dump' ("table", "text" or "json" expected)]])
  end)
end)
