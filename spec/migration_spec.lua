--- The migration pages: every line of their tables runs, on our side, and on the other library's side where
--- Debian has it. Both sides must print and return the same.
---
--- A page has a block `lua coropanic`, and one of the other library's name if its side runs, with the
--- variables that its lines use. A row is `| what | theirs | ours |`. A cell may state the value of its code
--- behind "→". "¹" marks code of theirs that needs a later release than Debian's.

local host = require "spec.hosts.host"

--- How each library runs a function to its end.
local RUN = {
  coropanic = [[
    package.path = package.path .. ";/usr/share/lua/5.3/?.lua" -- where Debian has redis-lua
    require "luv" -- it belongs to the main program
    local run = require "coropanic".run]],
  cqueues = [[
    local run = function(fn)
      local loop = require "cqueues".new()
      loop:wrap(fn)
      assert(loop:loop())
    end]],
  copas = [[
    package.path = package.path .. ";/usr/share/lua/5.2/?.lua" -- Debian has none for 5.4; it runs there
    local copas = require "copas"
    local run = function(fn)
      copas.setErrorHandler(function(message) error(message, 0) end)
      copas.addthread(fn)
      for _ = 1, 10 do
        copas.step(0.001) -- the loop of 1.1.7 never ends
      end
    end]],
  luv = [[
    local run = function(fn)
      fn()
      require "luv".run()
    end]],
}

--- Runs each code of a list as a function of its own, and prints a line for each: what it prints, or returns
--- if it prints nothing.
local PROGRAM = [[
local function texts(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, ", ")
end
io.stdout:setvbuf "no" -- so that one sees which code hangs
for i, code in ipairs(CODES) do
  local said, returned = {}, ""
  local function say(...) said[#said + 1] = texts(...) end
  local environment = setmetatable({ print = say }, { __index = _G })
  local fn = load(PRELUDE .. "\nreturn " .. code, code, "t", environment)
    or assert(load(PRELUDE .. "\n" .. code, code, "t", environment))
  local ok, err = pcall(run, function() returned = texts(fn()) end)
  local result = #said > 0 and table.concat(said, "; ") or returned
  io.write(i, "\t", ok and result or "error: " .. tostring(err):match "[^\n]*", "\n")
end
]]

--- Returns the output of each code.
local function outputs(library, prelude, codes)
  local path = os.tmpname()
  local quoted = {}
  for i, code in ipairs(codes) do
    quoted[i] = ("%q"):format(code)
  end
  host.write(path, table.concat({
    RUN[library],
    ("local PRELUDE = %q"):format(prelude),
    ("local CODES = { %s }"):format(table.concat(quoted, ",\n")),
    PROGRAM,
  }, "\n"))
  local output, status = host.run("timeout", "30", os.getenv "LUA" or "lua5.4", path)
  os.remove(path)
  assert(status == 0, output)
  local list = {}
  for index, text in output:gmatch "(%d+)\t([^\n]*)\n" do
    list[tonumber(index)] = text
  end
  assert(#list == #codes, output)
  return list
end

--- The code of a cell, and the value behind "→".
local function parse_cell(cell)
  local code, rest = cell:match "^%s*`([^`]+)`(.*)$"
  return code, rest and rest:match "→ `(.-)`", rest and rest:find("¹", 1, true) ~= nil
end

--- The rows of all tables of a page that have code of ours.
local function rows_of(text)
  local rows = {}
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local what, theirs, ours = line:match "^| ([^|]+) |([^|]+)|([^|]+)|$"
    if ours and ours:find "^ `" then
      local row = { line = number, what = what }
      row.theirs, row.their_value, row.is_newer = parse_cell(theirs)
      row.ours, row.our_value = parse_cell(ours)
      rows[#rows + 1] = row
    end
  end
  return rows
end

for page in io.popen("ls docs/migration/*.md"):lines() do
  describe(page, function()
    local text = host.read(page)
    local rows = rows_of(text)
    local ours, theirs, library = {}, {}, nil

    setup(function()
      local function run(name, prelude, wanted)
        local codes, indices = {}, {}
        for i, row in ipairs(rows) do
          local code = wanted(row)
          if code then
            codes[#codes + 1], indices[#indices + 1] = code, i
          end
        end
        local by_row = {}
        for i, output in ipairs(outputs(name, prelude, codes)) do
          by_row[indices[i]] = output
        end
        return by_row
      end
      for name, prelude in text:gmatch "\n```lua (%w+)\n(.-)\n```" do
        if name == "coropanic" then
          ours = run(name, prelude, function(row) return row.ours end)
        else
          library = name
          theirs = run(name, prelude, function(row) return not row.is_newer and row.theirs or nil end)
        end
      end
    end)

    it("has a table", function() assert.is_true(#rows >= 10) end)

    for i, row in ipairs(rows) do
      it(("line %d, %s"):format(row.line, row.what), function()
        assert.not_match("^error: ", ours[i])
        if row.our_value then
          assert.equal(row.our_value, ours[i])
        end
        if library and row.theirs and not row.is_newer then
          assert.equal(row.their_value or ours[i], theirs[i])
        end
      end)
    end
  end)
end
