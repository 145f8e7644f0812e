--- docs/lint.md has the examples of spec/lint/corpus, which lint is held against.

local corpus = require "spec.lint.corpus"
local lint = require "coropanic.lint"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("docs/lint.md", function()
  local document = read "docs/lint.md"

  --- The text under the heading of a rule.
  local function section(id)
    local _, first = document:find("\n### " .. id .. "\n", 1, true)
    assert(first, id .. " has no heading")
    return document:sub(first, (document:find("\n##+ ", first) or 0) - 1)
  end

  for _, rule in ipairs(lint.rules) do
    it(("shows for %s the bad example and the good one, with what they print"):format(rule.id), function()
      local bad, good
      for _, example in ipairs(corpus.examples()) do
        local kind = example.rule == rule.id and example.path:match "/(%a+)%.lua$"
        local block = ("```lua\n%s```\n\n```text\n%s```\n"):format(example.code, example.prints)
        if kind == "bad" then bad = block elseif kind == "good" then good = block end
      end
      local text = section(rule.id)
      local first = text:find(bad, 1, true)
      assert.is_truthy(first, "the bad example is another one")
      assert.is_truthy(text:find(good, first, true), "the good example is another one")
    end)

    it("lists " .. rule.id, function()
      assert.is_truthy(document:find(("\n| [%s](#%s) | "):format(rule.id, rule.id:lower()), 1, true))
    end)
  end
end)
