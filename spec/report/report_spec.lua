-- coropanic.report: tasks and panics of a process, and the drawing of how an error travelled.

local cjson = require "cjson"
local co = require "coropanic"
local helpers = require "spec.helpers"
local mermaid = require "coropanic.report.mermaid"
local panics = require "contract.panics"
local redact = require "coropanic.redact"
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
      local names = { 'a"b', "end", "[x](y)", "#35;", "a|b", "`md`", "a\nb", "\\n", "<b>", "\255\254" }
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
    for _, character in ipairs { "x", "\195\169" } do
      local most = character:rep(mermaid.MAX_LABEL)
      assert.equal(most, mermaid.escape(most))
      assert.equal(character:rep(mermaid.MAX_LABEL - 3) .. "...", mermaid.escape(most .. character))
    end
  end)

  it("is never larger than what Mermaid draws", function()
    -- As many boxes as there may be, each as large as it may be, and more arrows than there may be.
    local graph = { nodes = {}, edges = {} }
    for i = 1, mermaid.MAX_NODES do
      local lines = {}
      for k = 1, mermaid.MAX_LINES + 1 do lines[k] = ("<"):rep(200) end
      if i == 1 then lines = { "first" } end
      graph.nodes[i] = { id = "t" .. i, lines = lines }
      for k = 1, 10 do
        graph.edges[#graph.edges + 1] = { from = "t1", to = "t1", kind = "waits", label = ("<"):rep(k) }
      end
    end
    local text = mermaid.flowchart(graph)
    assert.is_true(#text <= mermaid.MAX_BYTES)
    assert.matches('omitted["... ', text, 1, true)
    assert.matches("... %d+ arrows left out ...", text)
    assert.is_true(select(2, text:gsub("[=.%-]+>", "")) <= mermaid.MAX_EDGES)
    assert_well_formed(text)
  end)

  it("shows the panics, when not all tasks have room", function()
    local before = co.on_panic(function() end)
    local uninstall = report.install()
    co.run(function() co.spawn_with({ name = "broken" }, co.panic, "seen among many") end)
    co.run(function()
      for _ = 1, mermaid.MAX_NODES + 4 do co.spawn_with({ daemon = true }, co.sleep, math.huge) end
      co.yield()
      assert.matches("seen among many", report.topology(), 1, true)
    end)
    uninstall()
    co.on_panic(before)
  end)

  it("has no words of Mermaid in its labels", function()
    for text, escaped in pairs {
      ["%%{init: {}}%%"] = "#37;#37;{init: {}}#37;#37;",
      ["style x"] = "st#121;le x",
      ["classDef x"] = "class#68;ef x",
      ["$$\\x$$$"] = "$ $#92;x$ $ $",
      ["a\194\155b\255"] = "a b\239\191\189",
    } do
      assert.equal(escaped, mermaid.escape(text))
    end
  end)

  it("draws no arrow from who was parked on something else", function()
    local record
    co.run_with({ clock = "virtual" }, function()
      local t = co.spawn(function()
        co.sleep(0)
        co.panic "late"
      end)
      co.sleep(0.001)
      record = select(2, t:join())
    end)
    local text = drawn(report.topology(record))
    assert.matches('t2["task 2 #quot;main#quot;<br/>waiting on sleep"]:::waiting', text, 1, true)
    assert.not_matches("-.->", text, 1, true)
  end)

  it("draws each panic once, in a box of its own", function()
    local function record_of(seq, message, more)
      local record = { contract = "coropanic/1", kind = "panic", message = message, seq = seq }
      for name, value in pairs(more or {}) do record[name] = value end
      return record
    end
    local task = { id = 1, name = "a" }
    local first = record_of(1, "first", { task = task })
    local second = record_of(2, "second", { task = task, chain = { first }, cause = record_of(3, "outside") })
    local third = record_of(4, "third", { task = task, chain = { first, second }, cause = second })
    third.cause.cause.cause = record_of(5, "also outside")
    assert.equal([[
flowchart TD
  t1["task 1 #quot;a#quot;<br/>panic: third<br/>panic: second"]:::panicked
  outside["outside tasks<br/>panic: outside"]:::panicked
  outside_2["outside tasks<br/>panic: also outside"]:::panicked
  t1_replaced1["panic: first"]:::panicked
  t1_replaced2["panic: second"]:::panicked
  outside_2 ==>|"raised again"| outside
  outside ==>|"raised again"| t1
  t1_replaced1 ==>|"replaced"| t1
  t1 ==>|"raised again"| t1
  t1_replaced2 ==>|"replaced"| t1
]], drawn(report.topology(third)))
  end)

  it("knows the name of a task that was a number at first", function()
    local text = report.topology { contract = "coropanic/1", kind = "panic", message = "x", suppressed = {
      { kind = "panic", message = "y", task = { id = 7, name = "second", parent = 8 } },
      { kind = "panic", message = "z", task = { id = 8, name = "first" } },
    } }
    assert.matches('t8["task 8 #quot;first#quot;<br/>panic: z"]', text, 1, true)
  end)

  it("draws what a hook of coropanic.redact has left", function()
    local function record_with(name, value)
      local record = panics["siblings in a scope"]():to_table()
      record[name] = value
      return record
    end
    for _, name in ipairs {
      "message", "type", "task", "cause", "chain", "suppressed", "suspension_points", "parked", "cycle",
    } do
      for _, value in ipairs { false, "gone", 5, {}, { {} }, { "gone" } } do
        assert_well_formed(report.topology(record_with(name, value)))
      end
    end
    local circle = record_with("cause", nil)
    circle.cause = circle
    assert_well_formed(report.topology(circle))
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

  it("keeps panics that a function given to co.run_with is told of", function()
    local told
    local uninstall = report.install { keep = 1 }
    co.run_with({ unhandled = function(record) told = record.message end }, co.spawn, co.panic, "told")
    uninstall()
    assert.equal("told", told)
    assert.equal("told", report.dump().panics[1].message)
  end)

  it("may be uninstalled in any order, whatever else was installed meanwhile", function()
    local first = report.install { keep = 9 }
    local function later(record) heard[#heard + 1] = "later " .. record.message end
    co.on_panic(later)
    first()
    panic "after"
    assert.equal(later, co.on_panic(later))
    assert.same({ "later after" }, heard)
    assert.are_not.equal("after", report.dump().panics[#report.dump().panics].message)
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

  it("keeps at most what the last install says, at once", function()
    local uninstall = report.install { keep = 3 }
    for i = 1, 3 do panic("kept " .. i) end
    local omitted = report.dump().panics_omitted
    local uninstall_too = report.install { keep = 1 }
    local dump = report.dump()
    uninstall_too()
    uninstall()
    assert.equal(1, #dump.panics)
    assert.equal("kept 3", dump.panics[1].message)
    assert.equal(omitted + 2, dump.panics_omitted)
  end)

  it("keeps what it has heard, whatever is done with a dump", function()
    local uninstall = report.install()
    panic { code = "E_MINE" }
    uninstall()
    local dump = report.dump()
    local last = dump.panics[#dump.panics]
    assert.equal("E_MINE", last.value.code)
    last.value.code, last.message = nil, nil
    dump = report.dump()
    assert.equal("E_MINE", dump.panics[#dump.panics].value.code)
    assert.equal("E_MINE", dump.panics[#dump.panics].message)
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
      co.spawn_with({ name = "a\27[2Jb\194\1552J", daemon = true }, co.sleep, math.huge)
      co.yield()
      assert.matches([["a\x1B[2Jb\xC2\x9B2J"]], report.dump "text", 1, true)
    end)
  end)

  it("writes none of what a hook of coropanic.redact has left, either", function()
    local hook = redact.set(function(one) one.message = "a\27[2J\nb" end)
    local before = co.on_panic(function() end)
    local uninstall = report.install()
    co.run(function()
      co.spawn_with({ name = "c\27" }, co.panic, "x")
      co.yield()
    end)
    uninstall()
    co.on_panic(before)
    redact.set(hook)
    local text = report.dump "text"
    assert.matches("a\\x1B[2J\nb", text, 1, true)
    assert.matches([["c\x1B"]], text, 1, true)
    assert.not_matches("\27", text, 1, true)
  end)

  it("cuts the names of tasks", function()
    co.run(function()
      local long = co.spawn_with({ name = ("\195\169"):rep(1000), daemon = true }, co.sleep, math.huge)
      co.spawn_with({ daemon = true }, long.join, long)
      co.yield()
      local dump = report.dump()
      assert.equal(("\195\169"):rep(197) .. "...", dump.tasks[2].name)
      assert.equal(200, utf8.len(dump.tasks[3].waiting_on))
    end)
  end)

  it("says where the task is that asks for it", function()
    co.run(function()
      local here = helpers.here(1)
      assert.matches(here:match "[^/]*$" .. "$", report.dump().tasks[1].where)
    end)
  end)

  it("does not mind how the program has set up lua-cjson", function()
    cjson.encode_number_precision(3)
    local json = report.dump "json"
    cjson.encode_number_precision(14)
    assert.is_true(math.abs(os.time() - cjson.decode(json).time) < 1000)
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
      co.spawn_with({ name = "a\255b", daemon = true }, co.sleep, math.huge)
      co.yield()
      local json = report.dump "json"
      assert.truthy(utf8.len(json))
      local dump = cjson.decode(json)
      assert.equal("a\239\191\189b", dump.tasks[2].name)
      assert.equal(dump.topology, report.topology())
    end)
  end)

  it("knows three forms", function()
    assert.has_error(function() report.dump "xml" end,
      [[bad argument #1 to 'dump' ("table", "text" or "json" expected)]])
  end)
end)
