--- Runs random programs until the time, or the number, is over, and makes failing ones small.
---
---   lua5.4 spec/fuzz/drive.lua HOST [seconds=60] [programs=N] [first=SEED] [keep=DIRECTORY]
---
--- Ends with a line `fuzz: N programs, N failed`. A failing program is written to DIRECTORY (build/fuzz); run
--- it again with `HOST plain FILE`, or `HOST limit FILE`.

local generate = require "spec.fuzz.generate"

local BATCH = 250 -- programs of one process
local MOST_MINIMISED = 5 -- kinds of failure: further ones are named alone
local MINIMISING_SECONDS = 60

local host = arg[1]
local options = { seconds = 60, programs = math.huge, first = os.time(), keep = "build/fuzz" }
for i = 2, #arg do
  local name, value = arg[i]:match "^(%w+)=(.+)$"
  assert(name and options[name], "unknown option " .. arg[i])
  options[name] = tonumber(value) or value
end

os.execute("mkdir -p " .. options.keep)
local output, state = options.keep .. "/output", options.keep .. "/state"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- What a failure is called by; figures and addresses are no part of its name.
local SIGNS = {
  "fuzz: [^\n]*", "Assertion `[^\n]*", "ERROR: AddressSanitizer: %S+", "[^\n]*runtime error: [^\n]*",
}

--- Runs the host. Returns nil, or the name of what went wrong.
local function run(...)
  local command = table.concat({ host, ... }, " ")
  local ok, how, code = os.execute(("%s >%s 2>&1 </dev/null"):format(command, output))
  if ok then return nil end
  local text = read(output)
  for _, sign in ipairs(SIGNS) do
    local found = text:match(sign)
    if found then
      local top = text:match "#%d+ %S+ in (%S+) [^\n]*csrc/" or ""
      return (found:gsub("%d+", "N") .. " " .. top)
    end
  end
  return ("ended by %s %d"):format(how, code)
end

--- Tries every tree that is `tree` without one statement, or with a node's body in the node's place, keeps
--- the first for which `fails` is true, and begins again, until there is none or the time is over.
local function minimise(tree, fails)
  local deadline = os.time() + MINIMISING_SECONDS
  local changed

  local function visit(list)
    local i = 1
    while i <= #list and os.time() < deadline do
      local statement = table.remove(list, i)
      if fails() then
        changed = true
      else
        local body = type(statement) == "table" and statement.body
        if body then
          table.move(list, i, #list, i + #body)
          table.move(body, 1, #body, i, list)
          if fails() then
            changed = true
            goto continue
          end
          for _ = 1, #body do table.remove(list, i) end
        end
        table.insert(list, i, statement)
        if body then visit(body) end
        if body and statement.second then visit(statement.second) end
        i = i + 1
      end
      ::continue::
    end
  end

  repeat
    changed = false
    visit(tree)
  until not changed or os.time() >= deadline
end

local known, minimised = {}, 0

local function report(seed, mode, name)
  print(("fuzz: seed %d, %s: %s"):format(seed, mode, name))
  if known[name] or minimised >= MOST_MINIMISED then return end
  known[name] = true
  minimised = minimised + 1
  local tree = generate.tree(seed, mode)
  local path = ("%s/%s-%d.lua"):format(options.keep, mode, seed)
  local function fails()
    write(path, generate.render(tree))
    return run(mode, path) == name
  end
  if not fails() then
    print "  only after the programs before it"
    return
  end
  minimise(tree, fails)
  write(path, generate.render(tree))
  print(("  %s %s %s\n%s"):format(host, mode, path, read(path)))
end

local seed, failed, run_so_far = options.first, 0, 0
local deadline = os.time() + options.seconds

while run_so_far < options.programs and os.time() < deadline do
  for _, mode in ipairs { "plain", "limit" } do
    local first, last = seed, seed + math.tointeger(math.min(BATCH, options.programs - run_so_far)) - 1
    while first <= last do
      local name = run(mode, state, first, last)
      if not name then break end
      first = math.tointeger(tonumber((read(state):match "%d+")))
      failed = failed + 1
      report(first, mode, name)
      first = first + 1
    end
    run_so_far = run_so_far + last - seed + 1
    seed = last + 1
  end
end

print(("fuzz: %d programs, %d failed"):format(run_so_far, failed))
os.exit(failed == 0)
