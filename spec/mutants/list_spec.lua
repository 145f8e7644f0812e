local list = require "spec.mutants.list"
local mutate = require "spec.mutants.mutate"

describe("the mutants", function()
  --- The names of those of which this does not hold.
  local function all_but(holds)
    local names = {}
    for _, mutant in ipairs(list) do
      if not holds(mutant) then names[#names + 1] = mutant.name end
    end
    return names
  end

  it("have names of their own", function()
    local seen = {}
    assert.same({}, all_but(function(mutant)
      local is_new = not seen[mutant.name]
      seen[mutant.name] = true
      return is_new
    end))
  end)

  it("each apply to the source once", function() assert.same({}, all_but(mutate)) end)

  it("are each a Lua module, or part of a C source: of a header, one that includes it", function()
    assert.same({}, all_but(function(mutant)
      return mutant.file:find "^lua/.*%.lua$" or (mutant.unit or mutant.file):find "%.c$"
    end))
  end)

  it("each name specs that exist", function()
    assert.same({}, all_but(function(mutant)
      local count = 0
      for spec in mutant.specs:gmatch "%S+" do
        local file <close> = io.open(spec)
        if not file then return false end
        count = count + 1
      end
      return count > 0
    end))
  end)
end)
