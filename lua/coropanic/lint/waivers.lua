--- Comments that silence rules: `-- coropanic: ignore C103, C105: two signals only`. Behind code a waiver is
--- for its line; alone on a line it is for the next line that is no comment.

local waivers = {}

--- Reads the ids behind `ignore`. Returns them as a set, or nil and what is wrong.
local function read_ids(text, known)
  local ids, count = {}, 0
  local list = text:match "^[^:]*"
  for word in list:gmatch "[^%s,]+" do
    if not known[word] then
      return nil, ("waiver: no rule is called '%s' (a reason follows a colon: ignore C103: why)"):format(word)
    end
    ids[word], count = true, count + 1
  end
  if count == 0 then return nil, "waiver: the rules are missing, as in `coropanic: ignore C103`" end
  return ids
end

--- The line that a waiver in this line is for.
local function target_of(line, tree, is_comment)
  if tree.is_code[line] then return line end
  line = line + 1
  while is_comment[line] do line = line + 1 end
  return line
end

--- Reads the waivers of a file.
---@param tree table  # of parser.parse
---@param known table<string, true>  # ids of rules
---@return table<integer, table<string, true>> waived  # by line, the ids
---@return { line: integer, message: string }[] problems
function waivers.read(tree, known)
  local is_comment = {}
  for _, comment in ipairs(tree.comments) do
    if not tree.is_code[comment.line] then is_comment[comment.line] = true end
  end
  local waived, problems = {}, {}
  for _, comment in ipairs(tree.comments) do
    local text = comment.text:match "^%-%-+%s*coropanic:%s*ignore%f[^%w](.*)$"
    if text then
      local ids, problem = read_ids(text, known)
      if ids then
        local line = target_of(comment.line, tree, is_comment)
        waived[line] = waived[line] or {}
        for id in pairs(ids) do waived[line][id] = true end
      else
        problems[#problems + 1] = { line = comment.line, message = problem }
      end
    end
  end
  return waived, problems
end

return waivers
