--- The examples of lint's rules are run: a bad one shows what goes wrong, a good one that it need not.

local corpus = require "spec.lint.corpus"
local helpers = require "spec.helpers"

describe("the program", function()
  for _, example in ipairs(corpus.examples()) do
    it(example.path .. " prints what is said", function()
      local result = helpers.run_program(example.path)
      assert.equal(example.prints, result.stdout)
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
    end)
  end
end)
