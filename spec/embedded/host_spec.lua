-- The example host, built against the static library, is a program of its own.

describe("a C host", function()
  it("drives tasks from its own loop with cp_spawn, cp_step and cp_timeout", function()
    local host = assert(os.getenv "BUILD", "make test sets BUILD") .. "/embed_host"
    local pipe = assert(io.popen(host .. " examples/embed/game.lua 2>&1"))
    local output = pipe:read "a"
    assert.is_true(pipe:close())
    for _, line in ipairs {
      "the orc takes step 1",
      "the orc takes step 2",
      "the orc goes home",
      "the elf drops the bow",
      "the elf returned: false\texamples/embed/game.lua:17: out of arrows\t#trace 32",
    } do
      assert.is_truthy(output:find(line, 1, true), line .. " is missing in:\n" .. output)
    end
  end)

  it("does its own work between two steps, also when a task yields for ever", function()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write [[
      local co = require "coropanic"
      local begin = frame()
      repeat co.yield() until frame() >= begin + 3
      print "three frames later"
    ]]
    file:close()
    local host = assert(os.getenv "BUILD", "make test sets BUILD") .. "/embed_host"
    local pipe = assert(io.popen(("timeout 60 %s %s 2>&1"):format(host, script)))
    local output = pipe:read "a"
    pipe:close()
    os.remove(script)
    assert.equal("three frames later\n", output)
  end)

  it("ends with the script's error when the script can not be loaded", function()
    local host = assert(os.getenv "BUILD", "make test sets BUILD") .. "/embed_host"
    local pipe = assert(io.popen(host .. " no/such/script.lua 2>&1"))
    local output = pipe:read "a"
    local ok, _, status = pipe:close()
    assert.is_nil(ok)
    assert.equal(1, status)
    assert.is_truthy(output:find("no/such/script.lua", 1, true))
  end)
end)
