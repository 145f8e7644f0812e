--- The examples of spec/lint/corpus: a folder for each rule, with files bad*.lua and good*.lua. A file ends
--- with a comment that has what the program prints. A line with a finding ends with `--> RULE`.

local corpus = {}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The findings that the source announces, as "line rule".
local function announced(source)
  local found, number = {}, 0
  for line in source:gmatch "([^\n]*)\n" do
    number = number + 1
    local rule = line:match "%-%-> (C%d+)$"
    if rule then found[#found + 1] = ("%d %s"):format(number, rule) end
  end
  return found
end

--- All examples, by path.
---@return { path: string, rule: string, is_bad: boolean, source: string, code: string, prints: string,
---  findings: string[] }[]
function corpus.examples()
  local examples = {}
  for path in io.popen("ls spec/lint/corpus/*/*.lua"):lines() do
    local rule, kind = path:match "/(C%d+)/(%a+)[^/]*$"
    local source = read(path)
    local code, prints = source:match "^(.*)%-%-%[%[ prints\n(.*)%]%]\n$"
    assert(code, path .. ": the comment with what it prints is missing")
    examples[#examples + 1] = {
      path = path, rule = rule, is_bad = kind == "bad", source = source, code = code, prints = prints,
      findings = announced(source),
    }
  end
  return examples
end

return corpus
