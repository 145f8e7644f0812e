-- The signatures and tables of README.md and docs/ are what lua/coropanic/meta.lua declares.

local api = require "contract.meta.api"
local documented = require "contract.meta.documented"

describe("the documents", function()
  -- What objects are called in the signatures of their methods; a semaphore is called as a scope is.
  local RECEIVERS = {
    task = "task", ctx = "context", s = "scope", record = "record", ch = "channel", m = "mutex",
    c = "condition", census = "census", rw = "rwmutex", wg = "waitgroup", o = "once", e = "event",
    l = "task_local", profile = "profile", recorder = "recorder", lanes = "lanes",
    order = "order", forecast = "forecast",
  }

  local LIBRARIES = {
    co = "coropanic", ["co.trace"] = "coropanic.trace", ["co.context"] = "coropanic.contextlib",
    ["co.profile"] = "coropanic.profilelib",
  }

  --- The class and the name of the function that a signature is of; nil: it is none of the module's.
  local function subject(signature)
    local owner, name = signature.callee:match "^(.*)[.:]([%a_]+)$"
    local receiver = RECEIVERS[owner]
    if owner == "s" and signature.heading == "Semaphore" then receiver = "semaphore" end
    return receiver and "coropanic." .. receiver or LIBRARIES[owner], name
  end

  --- Adds how many arguments there may be: "2", or "2..." with any number behind them.
  local function add_counts(counts, least, most, vararg)
    for count = least, most do counts[vararg and count .. "..." or tostring(count)] = true end
  end

  local function counts_of_list(counts, list)
    local vararg = #list > 0 and list[#list].name == "..."
    local most = vararg and #list - 1 or #list
    local least = most
    while least > 0 and list[least].optional do least = least - 1 end
    add_counts(counts, least, most, vararg)
  end

  it("give each function the parameters that are declared", function()
    local said = {}
    for _, signature in ipairs(documented.signatures()) do
      local class, name = subject(signature)
      if class then
        local fn = api.classes[class].functions[name]
        assert.is_truthy(fn, ("%s: %s is not declared"):format(signature.page, signature.callee))
        local parameters = signature.parameters
        said[fn.name] = said[fn.name] or {}
        add_counts(said[fn.name], parameters.least, parameters.most, parameters.vararg)
      end
    end
    api.each_function(function(fn)
      local counts = {}
      counts_of_list(counts, fn.params)
      for _, overload in ipairs(fn.overloads) do counts_of_list(counts, overload.arguments) end
      assert.same(counts, said[fn.name], fn.name)
    end)
  end)

  it("name each field that is declared", function()
    local words = documented.words()
    for class_name, class in pairs(api.classes) do
      for name in pairs(class.fields) do
        assert.is_truthy(name == "[]" or words[name], ("%s.%s"):format(class_name, name))
      end
    end
  end)

  it("list the kinds of records that are declared", function()
    local kinds = {}
    for _, kind in ipairs(api.aliases["coropanic.record.kind"].type) do kinds[kind.value] = true end
    local names = documented.names("docs/panic-record.md", "Fields", "| kind | |")
    assert.same(api.sorted_keys(names), api.sorted_keys(kinds))
  end)

  it("list the kinds of events that are declared", function()
    local kinds = {}
    for _, kind in ipairs(api.aliases["coropanic.event.kind"].type) do kinds[kind.value] = true end
    local header = "| kind of event | object | extra | when |"
    local names = documented.names("docs/running.md", "Observers", header)
    assert.same(api.sorted_keys(names), api.sorted_keys(kinds))
  end)

  it("list the fields and options that are declared", function()
    local TABLES = {
      { "docs/running.md", "Running a program", "| option | type | |", "run.options" },
      { "docs/running.md", "Spawning", "| option | type | |", "spawn.options" },
      { "docs/running.md", "A task", "| field | type | |", "task" },
      { "docs/running.md", "Looking in", "| field of `co.stats()` | counts |", "stats" },
      { "docs/panic-record.md", "Fields", "| field | type | |", "record" },
      { "docs/spans.md", "The table", "| field | |", "span" },
      { "docs/trace-ids.md", '`"snowflake"`', "| option | | default |", "trace.snowflake.options" },
    }
    for _, of in ipairs(TABLES) do
      local page, heading, header, class = table.unpack(of)
      local names = documented.names(page, heading, header)
      local declared = api.sorted_keys(api.classes["coropanic." .. class].fields)
      assert.same(declared, api.sorted_keys(names), page .. ", " .. heading)
    end
  end)
end)
