-- Random programs write the same log with the C module and with the guest, event by event.

local helpers = require "spec.helpers"

local SEEDS = 50

local ENVIRONMENT = "env -u LUA_INIT -u LUA_PATH_5_4 -u LUA_CPATH_5_4 -u LUA_PATH_5_3 " ..
  ("LUA_PATH='./lua/?.lua;./lua/?/init.lua' LUA_CPATH='%s/?.so' "):format(os.getenv "BUILD" or "build")

--- The lines that the programs of all seeds write.
---@param interpreter string
---@param guest string  # for COROPANIC_GUEST
local function log_of(interpreter, guest)
  local command = "COROPANIC_GUEST=%s timeout 300 %s spec/guest/random_programs.lua 1 %d 2>&1"
  local pipe = assert(io.popen(ENVIRONMENT .. command:format(guest, interpreter, SEEDS)))
  local text = pipe:read "a"
  pipe:close()
  return helpers.lines_of(text)
end

describe("random programs", function()
  local expected

  setup(function() expected = log_of("lua5.4", "0") end)

  it("end, each", function()
    local ends = 0
    for _, line in ipairs(expected) do
      if line:find "^run " then ends = ends + 1 end
    end
    assert.equal(SEEDS, ends)
  end)

  for _, interpreter in ipairs { "luajit", "lua5.3", "lua5.4" } do
    it("write in " .. interpreter .. " what they write with the C module", function()
      local actual = log_of(interpreter, "1")
      for i, line in ipairs(expected) do assert.equal(line, actual[i], "line " .. i) end
      assert.equal(#expected, #actual)
    end)
  end
end)
