--- What each rule finds, and what it leaves alone, in spec/lint/corpus. programs_spec.lua runs its programs.

local corpus = require "spec.lint.corpus"
local lint = require "coropanic.lint"

local examples = corpus.examples()

--- The findings as "line rule".
local function findings_of(report)
  local found = {}
  for i, finding in ipairs(report.findings) do found[i] = ("%d %s"):format(finding.line, finding.rule) end
  return found
end

describe("lint", function()
  for _, rule in ipairs(lint.rules) do
    describe(rule.id, function()
      for _, example in ipairs(examples) do
        if example.rule == rule.id then
          local what = example.is_bad and "finds the mistakes in " or "is silent in "
          it(what .. example.path, function()
            local report = lint.check(example.source, example.path)
            assert.same({}, report.problems)
            assert.same(example.findings, findings_of(report))
          end)
        end
      end

      it("has examples of both kinds, and bad ones that it finds", function()
        local bad, good = 0, 0
        for _, example in ipairs(examples) do
          if example.rule == rule.id then
            bad, good = bad + (example.is_bad and 1 or 0), good + (example.is_bad and 0 or 1)
            assert.equal(example.is_bad, #example.findings > 0, example.path)
            for _, finding in ipairs(example.findings) do assert.matches(rule.id .. "$", finding) end
          end
        end
        assert.is_true(bad > 0 and good > 0)
      end)

      it("says nothing when it is off", function()
        for _, example in ipairs(examples) do
          if example.rule == rule.id then
            local report = lint.check(example.source, example.path, { ignore = { rule.id } })
            assert.same({}, findings_of(report))
          end
        end
      end)
    end)
  end

  it("has examples of its rules only", function()
    local known = {}
    for _, rule in ipairs(lint.rules) do known[rule.id] = true end
    for _, example in ipairs(examples) do assert.is_true(known[example.rule], example.path) end
  end)
end)
