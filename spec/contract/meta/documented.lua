--- What the pages of docs/ and README.md say that there is: signatures of functions and tables of fields.

local documented = {}

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

--- The pages, and the headings and lines of each outside code blocks.
---@return { page: string, heading: string, line: string }[]
local function lines()
  local found = {}
  for path in io.popen("ls README.md docs/*.md"):lines() do
    local heading, in_block = "", false
    for line in read(path):gmatch "(.-)\n" do
      if line:find "^```" then in_block = not in_block end
      heading = not in_block and line:match "^#+ (.*)" or heading
      if not in_block then found[#found + 1] = { page = path, heading = heading, line = line } end
    end
  end
  return found
end

local LINES = lines()

--- The parameters of a signature, `[` and `]` around those that may be left out; nil: it is no signature, but
--- a call in a program.
---@return { least: integer, most: integer, vararg: boolean }?
local function parameters_of(text)
  local least, most, vararg, depth = 0, 0, false, 0
  for word in text:gsub("[%[%],]", " %0 "):gmatch "%S+" do
    if word == "[" then
      depth = depth + 1
    elseif word == "]" then
      depth = depth - 1
    elseif word == "..." then
      vararg = true
    elseif word:find "^%a[%w_]*$" and word ~= "nil" and word ~= "true" and word ~= "false" then
      most = most + 1
      least = least + (depth == 0 and 1 or 0)
    elseif word ~= "," then
      return nil
    end
  end
  return { least = least, most = most, vararg = vararg }
end

--- All signatures `callee(parameters)` in code spans, with where they stand.
---@return { callee: string, page: string, heading: string, parameters: table }[]
function documented.signatures()
  local found = {}
  for _, at in ipairs(LINES) do
    for span in at.line:gmatch "`([^`]+)`" do
      for callee, text in span:gmatch "%f[%a](%a[%w_.:]*)(%b())" do
        local parameters = parameters_of(text:sub(2, -2))
        if parameters then
          found[#found + 1] =
            { callee = callee, page = at.page, heading = at.heading, parameters = parameters }
        end
      end
    end
  end
  return found
end

--- The words in code spans.
---@return table<string, true>
function documented.words()
  local found = {}
  for _, at in ipairs(LINES) do
    for span in at.line:gmatch "`([^`]+)`" do
      for word in span:gmatch "[%a_][%w_]*" do found[word] = true end
    end
  end
  return found
end

--- The names in the first column of a table.
---@param page string
---@param heading string  # that the table is below
---@param header string  # its first line
---@return table<string, string>  # name -> the rest of its row
function documented.names(page, heading, header)
  local found, current = {}, nil
  for _, at in ipairs(LINES) do
    local is_row = at.page == page and at.heading == heading and at.line:find "^|"
    current = is_row and (current or at.line) or nil
    local first, rest = at.line:match "^| (`[^|]*`) |(.*)$"
    if current == header and first then
      for name in first:gmatch "`([%w_]+)`" do found[name] = rest end
    end
  end
  assert(next(found), ("%s, %s: no table that begins %s"):format(page, heading, header))
  return found
end

return documented
