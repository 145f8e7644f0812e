--- The examples: docs/examples.md shows each, and what it prints.

local host = require "spec.hosts.host"
local server_process = require "spec.server_process"

local MIN_LINES, MAX_LINES = 25, 150

--- What runs as a server has a spec of its own here.
local SERVERS = { ["examples/echo.lua"] = true, ["examples/prosody/mod_offers.lua"] = true }

--- The examples that docs/examples.md shows, in order, each with the text and the output that it shows.
---@return { path: string, text: string, output: string }[]
local function shown()
  local list = {}
  local document = host.read "docs/examples.md"
  for path, text, rest in document:gmatch "\n```lua (%S+)\n(.-\n)```\n()" do
    list[#list + 1] = { path = path, text = text, output = document:match("^%s*```text\n(.-)```\n", rest) }
  end
  return list
end

--- The arguments of the example: a site for the crawler.
local function with_arguments(path, run)
  if path ~= "examples/crawler.lua" then
    return run()
  end
  local lua = os.getenv "LUA" or "lua5.4"
  local port, stop = server_process.start(lua, function(free_port)
    return { "spec/examples/site.lua", tostring(free_port) }
  end, host.environment())
  local output, status = run(("http://127.0.0.1:%d/"):format(port))
  stop()
  return output, status
end

describe("docs/examples.md", function()
  it("shows every example", function()
    local paths = {}
    for _, example in ipairs(shown()) do
      paths[#paths + 1] = example.path
    end
    table.sort(paths)
    local expected = {}
    for path in io.popen("ls examples/*.lua examples/prosody/*.lua"):lines() do
      expected[#expected + 1] = path
    end
    table.sort(expected)
    assert.same(expected, paths)
  end)

  for _, example in ipairs(shown()) do
    it("shows " .. example.path .. " as it is, in a length that one reads", function()
      assert.equal(host.read(example.path), example.text)
      local lines = select(2, example.text:gsub("\n", ""))
      assert.is_true(lines >= MIN_LINES and lines <= MAX_LINES, lines .. " lines")
    end)

    if not SERVERS[example.path] then
      it("says what " .. example.path .. " prints", function()
        local output, status = with_arguments(example.path, function(...)
          return host.run("env", "PAGE_SECONDS=0.5", os.getenv "LUA" or "lua5.4", "-e",
            "io.stdout:setvbuf 'no'", example.path, ...)
        end)
        assert.equal(0, status, output)
        assert.equal(example.output, (output:gsub("%f[%x]%x+%f[%X]", function(id)
          return (#id == 32 or #id == 16) and "ID" or nil
        end)))
      end)
    end
  end
end)
