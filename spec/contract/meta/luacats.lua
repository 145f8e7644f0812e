--- A strict reader of the subset of LuaCATS that lua/coropanic/meta.lua and its parts are written in: what it
--- does not know is an error, be that a misspelt tag. https://luals.github.io/wiki/annotations/

local luacats = {}

-- Types ---------------------------------------------------------------------------------------------------

--- The words and symbols of an annotation, up to its comment, which begins with "#".
---@return { kind: string, text: string }[]
local function tokens_of(text)
  local tokens, at = {}, 1
  local function take(kind, pattern)
    local found = text:match("^" .. pattern, at)
    if not found then return false end
    tokens[#tokens + 1] = { kind = kind, text = found }
    at = at + #found
    return true
  end
  while true do
    at = text:match("^%s*()", at)
    if at > #text or text:sub(at, at) == "#" then return tokens end
    local known = take("string", '"[^"]*"') or take("name", "[%a_][%w_.]*") or take("number", "%d+")
      or take("symbol", "%.%.%.") or take("symbol", "%[%]") or take("symbol", "[%[%](){}<>,:|?@=]")
    if not known then error("unreadable: " .. text:sub(at)) end
  end
end

local reader = {}
reader.__index = reader

local function reader_of(text) return setmetatable({ tokens = tokens_of(text), at = 1 }, reader) end

function reader:text()
  local token = self.tokens[self.at]
  return token and token.text
end

function reader:kind(ahead)
  local token = self.tokens[self.at + (ahead or 0)]
  return token and token.kind
end

function reader:take(text)
  if self:kind() == "string" or self:text() ~= text then return false end
  self.at = self.at + 1
  return true
end

function reader:expect(text)
  if not self:take(text) then error(("%q expected near %q"):format(text, self:text() or "the end")) end
end

function reader:name()
  if self:kind() ~= "name" then error(("a name expected near %q"):format(self:text() or "the end")) end
  self.at = self.at + 1
  return self.tokens[self.at - 1].text
end

--- Items up to a symbol, with commas between them.
function reader:list(closing, read)
  local items = {}
  if self:take(closing) then return items end
  repeat items[#items + 1] = read(self) until not self:take ","
  self:expect(closing)
  return items
end

--- `name?: type`, or `...`, of a function's type.
local function read_argument(self)
  local name = self:take "..." and "..." or self:name()
  local optional = self:take "?"
  return { name = name, optional = optional, type = self:take ":" and self:type() or { kind = "any" } }
end

--- `...`, or `name: type`, of the results of a function's type.
local function read_result(self)
  if self:take "..." then return { name = "...", type = { kind = "any" } } end
  local following = self.tokens[self.at + 1]
  local name = self:kind() == "name" and following and following.text == ":" and self:name() or nil
  if name then self:expect ":" end
  return { name = name, type = self:type() }
end

local function read_function(self)
  self:expect "("
  local fn = { kind = "function", arguments = self:list(")", read_argument), results = {} }
  if self:take ":" then
    repeat fn.results[#fn.results + 1] = read_result(self) until not self:take ","
  end
  return fn
end

--- `name: type` or `[type]: type`, of the type of a table.
local function read_entry(self)
  local entry = {}
  if self:take "[" then
    entry.key = self:type()
    self:expect "]"
  else
    entry.name = self:name()
    entry.optional = self:take "?"
  end
  self:expect ":"
  entry.type = self:type()
  return entry
end

function reader:primary()
  if self:take "(" then
    local inner = self:type()
    self:expect ")"
    return inner
  end
  if self:take "{" then return { kind = "table", entries = self:list("}", read_entry) } end
  local kind, text = self:kind(), self:text()
  if kind == "string" then
    self.at = self.at + 1
    return { kind = "literal", value = text:sub(2, -2) }
  end
  if kind == "number" then
    self.at = self.at + 1
    return { kind = "literal", value = math.tointeger(text) }
  end
  if self:take "async" then
    self:expect "fun"
    local fn = read_function(self)
    fn.is_async = true
    return fn
  end
  if self:take "fun" then return read_function(self) end
  local name = self:name()
  if name == "any" then return { kind = "any" } end
  local parameters = self:take "<" and self:list(">", reader.type) or nil
  return { kind = "name", name = name, parameters = parameters }
end

local function read_unit(self)
  local unit = self:primary()
  while true do
    if self:take "[]" then
      unit = { kind = "array", item = unit }
    elseif self:take "?" then
      unit = { kind = "union", unit, { kind = "name", name = "nil" } }
    else
      return unit
    end
  end
end

function reader:type()
  local first = read_unit(self)
  if not self:take "|" then return first end
  local union = { kind = "union", first }
  repeat union[#union + 1] = read_unit(self) until not self:take "|"
  return union
end

function reader:finish()
  if self:text() then error(("nothing more expected, but %q"):format(self:text())) end
end

-- Annotations ---------------------------------------------------------------------------------------------

--- What each tag says, put into the annotations of the block that it stands in.
local tags = {}

function tags.class(block, r)
  local class = { name = r:name(), fields = {}, order = {}, operators = {} }
  if r:take "<" then
    class.generics = {}
    for _, name in ipairs(r:list(">", reader.name)) do class.generics[name] = true end
  end
  if r:take ":" then class.parent = r:name() end
  block.class = class
end

function tags.field(block, r)
  assert(block.class, "a field outside a class")
  local field = {}
  if r:take "[" then
    field.key = r:type()
    r:expect "]"
  else
    field.name = r:name()
    field.optional = r:take "?"
  end
  field.type = r:type()
  local name = field.name or "[]"
  assert(not block.class.fields[name], "the same field again: " .. name)
  block.class.fields[name] = field
  table.insert(block.class.order, field)
end

function tags.operator(block, r)
  assert(block.class, "an operator outside a class")
  local name = r:name()
  if r:take "(" then r:list(")", reader.type) end
  r:expect ":"
  block.class.operators[name] = r:type()
end

function tags.alias(block, r)
  local alias = { name = r:name() }
  if r:text() then alias.type = r:type() end
  table.insert(block.aliases, alias)
end

function tags.param(block, r)
  local name = r:take "..." and "..." or r:name()
  local optional = r:take "?"
  table.insert(block.params, { name = name, optional = optional, type = r:type() })
end

tags["return"] = function(block, r)
  repeat
    local result = { type = r:type() }
    if r:text() == "..." or r:kind() == "name" then result.name = r:take "..." and "..." or r:name() end
    table.insert(block.returns, result)
  until not r:take ","
end

function tags.overload(block, r)
  table.insert(block.overloads, r:type())
end

function tags.generic(block, r)
  repeat
    block.generics[r:name()] = true
    if r:take ":" then r:type() end
  until not r:take ","
end

function tags.async(block) block.async = true end
function tags.nodiscard(block) block.nodiscard = true end

local function new_block()
  return { text = {}, aliases = {}, params = {}, returns = {}, overloads = {}, generics = {} }
end

--- One more value of an alias that is written over several lines.
local function add_value(block, text)
  local alias = assert(block.aliases[#block.aliases], "a value outside an alias")
  local r = reader_of(text)
  alias.type = alias.type or { kind = "union" }
  table.insert(alias.type, r:type())
  r:finish()
end

-- Files ---------------------------------------------------------------------------------------------------

local function add_class(found, block, variable)
  local class = block.class
  assert(not found.classes[class.name], "the same class again: " .. class.name)
  class.text, class.functions = block.text, {}
  found.classes[class.name] = class
  if variable then found.variables[variable] = class end
end

local function add_alias(found, alias)
  assert(alias.type, "an alias of nothing: " .. alias.name)
  assert(not found.aliases[alias.name], "the same alias again: " .. alias.name)
  found.aliases[alias.name] = alias
end

local function add_function(found, block, variable, separator, name, arguments)
  local class = assert(found.variables[variable], "no class: " .. variable)
  assert(not class.functions[name], "the same function again: " .. name)
  local names = {}
  for argument in arguments:gmatch "[^%s,]+" do names[#names + 1] = argument end
  class.functions[name] = {
    name = class.name .. separator .. name, is_method = separator == ":", arguments = names,
    text = block.text, params = block.params, returns = block.returns, overloads = block.overloads,
    generics = block.generics, async = block.async, nodiscard = block.nodiscard,
  }
end

--- Ends a block of annotations that belong to no line of code: classes of data, and aliases.
local function finish_block(found, block)
  if block.class then add_class(found, block) end
  for _, alias in ipairs(block.aliases) do add_alias(found, alias) end
  assert(#block.params == 0 and #block.returns == 0, "annotations of no function")
end

--- Puts what a line of code means into `found`; true: it ends the block of annotations before it.
local function read_code(found, block, line)
  local variable = line:match "^local (%a[%w_]*) = {}$"
  if variable then
    assert(block.class, "a table without a class")
    add_class(found, block, variable)
    return true
  end
  local owner, separator, name, arguments = line:match "^function (%a[%w_]*)([.:])([%a_][%w_]*)%((.-)%) end$"
  if owner then
    add_function(found, block, owner, separator, name, arguments)
    return true
  end
  if line:find "^error%b()$" then
    assert(not found.refusal, "two refusals")
    found.refusal = line
    return true
  end
  found.returned = assert(line:match "^return (%a[%w_]*)$", "unreadable code")
  return true
end

local function read_annotation(found, block, line)
  local value = line:match "^%-%-%-|%s*(.*)$"
  if value then return add_value(block, value) end
  local tag, rest = line:match "^%-%-%-@(%a+)%s*(.*)$"
  if not tag then
    table.insert(block.text, line:match "^%-%-%- ?(.*)$")
  elseif tag == "meta" then
    found.meta = rest
  else
    local r = reader_of(rest)
    assert(tags[tag], "unknown tag: " .. tag)(block, r)
    r:finish()
  end
end

--- Adds what a file declares to `found`, or to a new one.
---@param path string
---@return { classes: table<string, table>, aliases: table<string, table>, files: table<string, table> }
function luacats.read(path, found)
  found = found or { classes = {}, aliases = {}, files = {} }
  found.variables, found.meta, found.refusal, found.returned = {}, nil, nil, nil
  local block, number = new_block(), 0
  for line in io.lines(path) do
    number = number + 1
    local ok, err = pcall(function()
      if line:find "^%-%-%-" then return read_annotation(found, block, line) end
      if line == "" then
        finish_block(found, block)
      elseif line:find "^%-%- " then
        finish_block(found, block)
      else
        read_code(found, block, line)
      end
      block = new_block()
    end)
    if not ok then error(("%s:%d: %s"):format(path, number, tostring(err):gsub("^[^:]+:%d+: ", ""))) end
  end
  finish_block(found, block)
  found.files[path] = { meta = found.meta, refusal = found.refusal, returned = found.returned }
  return found
end

--- What the lines of a block of annotations say.
---@param lines string[]
---@return table block
function luacats.block(lines)
  local block = new_block()
  for _, line in ipairs(lines) do read_annotation({}, block, line) end
  return block
end

-- Looking at what was read --------------------------------------------------------------------------------

-- The types that need no declaration; coroutinelib is lua-language-server's name for Lua's library.
luacats.BUILTIN = {}
for name in ([[any nil boolean string number integer table thread userdata true false function
  coroutinelib]]):gmatch "%S+" do
  luacats.BUILTIN[name] = true
end

--- The fields of a class by name, with those of the classes that it is made of.
---@return table<string, table>
function luacats.fields_of(api, class)
  local fields = {}
  while class do
    for name, field in pairs(class.fields) do fields[name] = fields[name] or field end
    class = class.parent and api.classes[class.parent]
  end
  return fields
end

--- Calls `visit` with the name of each type in a type.
function luacats.each_name(t, visit)
  if t.kind == "name" then
    visit(t.name)
    for _, parameter in ipairs(t.parameters or {}) do luacats.each_name(parameter, visit) end
  elseif t.kind == "union" then
    for _, member in ipairs(t) do luacats.each_name(member, visit) end
  elseif t.kind == "array" then
    luacats.each_name(t.item, visit)
  elseif t.kind == "table" then
    for _, entry in ipairs(t.entries) do
      if entry.key then luacats.each_name(entry.key, visit) end
      luacats.each_name(entry.type, visit)
    end
  elseif t.kind == "function" then
    for _, argument in ipairs(t.arguments) do luacats.each_name(argument.type, visit) end
    for _, result in ipairs(t.results) do luacats.each_name(result.type, visit) end
  end
end

return luacats
