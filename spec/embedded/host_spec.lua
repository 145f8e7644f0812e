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
