--- The one file that knows luacheck: its parser makes the tree of a Lua source.
---
--- The parser is no public part of luacheck. So the versions that are known to have it are checked here, and
--- spec/lint/parser_spec.lua checks what is expected of it.
---
--- The tree is luacheck's, in the manner of Metalua: a node is a table with `tag`, `line` and `offset`, and
--- has its parts in its array. Here each node also gets
---   parent     the node that it is a part of
---   attribute  of an `Id` that a `local` declares: "const" or "close"
--- and the parts that luacheck leaves without a tag become a `Block` or a `List`.

local parser = {}

--- The versions that this file was written for: from the first to before the second.
parser.VERSIONS = { { 1, 1 }, { 2, 0 } }

--- What to say where luacheck is missing.
parser.MISSING = "luacheck 1.1 or later, before 2, is needed: install Debian's package lua-check,"
  .. " or luarocks' rock luacheck"

--- Debian has luacheck where Lua 5.1 looks for modules; its parser runs in 5.4 too.
local ELSEWHERE = ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"

--- The module of luacheck; nil and why not.
local function require_part(name)
  local before = package.path
  package.path = before .. ELSEWHERE
  local ok, result = pcall(require, name)
  package.path = before
  if ok then return result end
  return nil, result
end

--- Whether a version, as "1.1.0", is one that is known.
---@param version string
---@return boolean
function parser.knows(version)
  local major, minor = version:match "^(%d+)%.(%d+)"
  if not major then return false end
  local function at_least(bound)
    if tonumber(major) ~= bound[1] then return tonumber(major) > bound[1] end
    return tonumber(minor) >= bound[2]
  end
  return at_least(parser.VERSIONS[1]) and not at_least(parser.VERSIONS[2])
end

local parts -- of luacheck, once they are loaded

--- Loads luacheck. Returns whether that was possible, or nil and what to install.
---@return true?
---@return string? problem
function parser.load()
  if parts then return true end
  local luacheck = require_part "luacheck"
  local decoder, parse = require_part "luacheck.decoder", require_part "luacheck.parser"
  if not luacheck or not decoder or not parse then return nil, parser.MISSING end
  local version = tostring(luacheck._VERSION)
  if not parser.knows(version) then return nil, ("%s (found luacheck %s)"):format(parser.MISSING, version) end
  parts = { decode = decoder.decode, parse = parse.parse }
  return true
end

--- The place behind the blanks and comments that begin at `place`.
local function skip_blanks(source, place)
  while true do
    place = source:match("^%s*()", place)
    local level = source:match("^%-%-%[(=*)%[", place)
    local _, last
    if level then
      _, last = source:find("]" .. level .. "]", place, true)
    elseif source:find("^%-%-", place) then
      _, last = source:find("[^\r\n]*", place)
    end
    if not last then return place end
    place = last + 1
  end
end

--- luacheck reads the attribute of a local variable and forgets it.
local function attribute_of(id, source)
  local place = skip_blanks(source, id.end_offset + 1)
  if source:sub(place, place) ~= "<" then return nil end
  return source:match("^[%a_][%w_]*", skip_blanks(source, place + 1))
end

--- Where parts without a tag are blocks. All others are lists of expressions or names.
local STATEMENT_PARTS = {
  Function = { [2] = true }, While = { [2] = true }, Repeat = { [1] = true }, Forin = { [3] = true },
}

local function is_block(parent, index)
  local blocks = STATEMENT_PARTS[parent.tag]
  if blocks then return blocks[index] end
  if parent.tag == "Fornum" then return index == #parent end
  return parent.tag == "If" and (index % 2 == 0 or index == #parent)
end

--- Adds what the top of this file promises.
local function complete(node, source)
  for index = 1, #node do
    local part = node[index]
    if type(part) == "table" then
      part.parent = node
      if not part.tag then part.tag = is_block(node, index) and "Block" or "List" end
      complete(part, source)
    end
  end
  if node.tag == "Local" then
    for _, id in ipairs(node[1]) do id.attribute = attribute_of(id, source) end
  end
end

--- What luacheck reads: without the mark of UTF-8 and a first line for the system, which Lua skips too.
--- Bytes beyond ASCII, which only texts and comments have, are made `?`, so that places are bytes.
local function readable(source)
  local mark = source:match "^\239\187\191" or ""
  local text = source:sub(#mark + 1):gsub("^#[^\r\n]*", function(line) return (" "):rep(#line) end)
  return (" "):rep(#mark) .. text:gsub("[\128-\255]", "?")
end

--- Makes the tree of a source.
---@param source string
---@return table? tree  # `main`: a Function node; `comments`: { line, text }; by line: `is_code`, and in
---`lines` its offset
---@return table? problem  # `line`, `offset`, `message`
function parser.parse(source)
  assert(parser.load())
  local lines = {}
  local ok, block, comments, is_code = pcall(parts.parse, parts.decode(readable(source)), lines)
  if not ok then
    if type(block) ~= "table" then error(block, 0) end -- as "stack overflow", which lint.lua explains
    local failure = block
    return nil, { line = failure.line, offset = failure.offset, message = failure.msg, lines = lines }
  end
  block.tag = "Block"
  local main = { tag = "Function", line = 1, offset = 1, is_main = true, { tag = "List" }, block }
  complete(main, source)
  local texts = {}
  for i, comment in ipairs(comments) do
    texts[i] = { line = comment.line, text = source:sub(comment.offset, comment.end_offset) }
  end
  return { main = main, comments = texts, is_code = is_code, lines = lines }
end

return parser
