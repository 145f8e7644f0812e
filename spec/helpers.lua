--- What the specs share: runs that keep what they reported, and scripts run as processes of their own.

local assert = require "luassert"
local co = require "coropanic"
local test = require "coropanic.test"

local helpers = {}

--- coropanic.test's `it`. With options a test runs twice: in the usual order, and with them.
---@param it function  # busted's
function helpers.co_it(it)
  local co_it = test.busted(it)
  return function(name, options, body)
    if body == nil then return co_it(name, options) end
    co_it(name, body)
    return co_it(name .. " (seeds)", options, body)
  end
end

--- A number as all Luas write it: some know integers, and write other numbers with a fraction.
local function number_text(value) return ("%.14g"):format(value) end

--- A list of lines, and a function that adds its arguments to it as one line. Numbers are written as in Luas
--- that have no integers: "1", not "1.0".
---@return string[] lines, fun(...) say
function helpers.log()
  local lines = {}
  return lines, function(...)
    local words = table.pack(...)
    for i = 1, words.n do
      local word = words[i]
      words[i] = type(word) == "number" and number_text(word) or tostring(word)
    end
    lines[#lines + 1] = table.concat(words, " ")
  end
end

--- Whole numbers from 1 to n, in a sequence that is the same for the same seed in every Lua. (The minimal
--- standard generator of Park and Miller, whose products a double holds exactly.)
---@param seed integer  # from 1 to 2^31 - 2
---@return fun(n: integer): integer
function helpers.random(seed)
  local state = seed
  local function next_number(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
  for _ = 1, 3 do next_number(1) end -- the first numbers of neighbouring seeds are alike
  return next_number
end

--- The number of seeds for a test under so many: a tenth of them in the guest, which runs in several Luas.
function helpers.seeds(count)
  return package.loaded["coropanic.guest"] and count / 10 or count
end

--- Lets every other task run until all of them wait.
function helpers.settle() co.sleep(0.001) end

--- Steps until no task is left, as a host that has nothing else to do.
function helpers.step_all()
  while #co.tasks() > 0 do
    co.step(0.01)
  end
end

--- Runs `fn` as the main task under the virtual clock and returns its results.
function helpers.run(fn, ...)
  return co.run_with({ clock = "virtual" }, fn, ...)
end

--- The same for runs in which tasks panic that nobody joins.
---@return { record: any, task: any }[] reports  # what the handler was given, in order
function helpers.run_reporting(fn, ...)
  local reports = {}
  local function unhandled(record, task)
    reports[#reports + 1] = { record = record, task = task }
  end
  co.run_with({ clock = "virtual", unhandled = unhandled }, fn, ...)
  return reports
end

--- The record of the panic that ends `fn(...)`.
function helpers.record_of(fn, ...)
  local ok, record = co.pcall(fn, ...)
  if ok then
    error("the function returned instead of panicking", 2)
  end
  return record
end

--- The record that a run of `fn` under the virtual clock raises.
function helpers.record_of_run(fn, ...)
  local ok, record = pcall(helpers.run, fn, ...)
  if ok then
    error("the run returned instead of raising a record", 2)
  end
  return record
end

--- The text of an error: a plain one's, or a record's.
function helpers.message_of(err)
  return type(err) == "string" and err or err.message
end

--- `file.lua:12`: where this is called, or `lines` further down.
function helpers.here(lines)
  local info = debug.getinfo(2, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline + (lines or 0))
end

--- Fails unless `part` is in `text`, literally.
function helpers.assert_contains(part, text)
  assert(text:find(part, 1, true), ("%q is not in:\n%s"):format(part, text))
end

--- Fails if `part` is in `text`.
function helpers.assert_lacks(part, text)
  assert(not text:find(part, 1, true), ("%q is in:\n%s"):format(part, text))
end

--- Calls the function, which must raise an error whose message has the part.
function helpers.assert_error(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "it raised no error")
  helpers.assert_contains(part, helpers.message_of(err))
end


--- Functions of Lua's coroutine library as they were before the module was loaded: what code that has kept
--- them may still do to a task's coroutine.
helpers.unguarded = {}
for _, name in ipairs { "resume", "close", "running" } do
  local guarded = coroutine[name] or print
  for index = 1, math.huge do
    local upvalue, value = debug.getupvalue(guarded, index)
    if upvalue == nil then break end
    local is_original = upvalue == "" or upvalue == name
    if type(value) == "function" and is_original then helpers.unguarded[name] = value end
  end
  helpers.unguarded[name] = helpers.unguarded[name] or coroutine[name]
end

--- The lines of a text, without their ends.
function helpers.lines_of(text)
  local lines = {}
  for line in (text:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

--- Ends what a spec has left behind in the loop that it drove by hand.
function helpers.end_all_tasks()
  for _ = 1, 1000 do
    local tasks = co.tasks()
    if #tasks == 0 then
      return
    end
    for _, task in ipairs(tasks) do
      task:cancel "end of the spec"
    end
    co.step(0)
  end
  error "tasks are left that can not be cancelled"
end

-- Scripts as processes ------------------------------------------------------------------------------------

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read_and_remove(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  os.remove(path)
  return text
end

--- A program that hangs is ended, and has status 124.
local PATIENCE_SECONDS = 120

--- Runs a Lua program with the modules that this process sees.
---@param path string
---@param options? { arguments?: string[], terminal?: boolean, environment?: string }  # `terminal`: a pseudo
---terminal; `environment`: `NAME=value ...`
---@return { stdout: string, stderr: string, status: integer }
function helpers.run_program(path, options)
  options = options or {}
  local interpreter = ("%s %s"):format(os.getenv "TEST_WRAPPER" or "", os.getenv "LUA" or "lua5.4")
  local command = ("timeout %d %s %s"):format(PATIENCE_SECONDS, interpreter, quote(path))
  for _, argument in ipairs(options.arguments or {}) do
    command = command .. " " .. quote(argument)
  end
  if options.terminal then
    command = "script --quiet --return --command " .. quote(command) .. " /dev/null"
  end
  local errors = os.tmpname()
  local paths = ("env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 LUA_PATH=%s LUA_CPATH=%s %s"):format(
    quote("./spec/?.lua;" .. package.path), quote(package.cpath), options.environment or "")
  local pipe = assert(io.popen(("%s %s 2>%s </dev/null"):format(paths, command, errors)))
  local stdout = pipe:read "a"
  local _, how, status = pipe:close()
  return {
    stdout = stdout,
    stderr = read_and_remove(errors),
    status = how == "exit" and status or how .. " " .. status,
  }
end

--- Writes the text to a file, calls `fn` with its path, and removes it. Returns what `fn` returns.
local function with_file(source, fn)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(source))
  file:close()
  local result = fn(path)
  os.remove(path)
  return result
end

--- The same with the text of a program.
function helpers.run_script(source, options)
  return with_file(source, function(path) return helpers.run_program(path, options) end)
end

--- Runs the checkout's command `coropanic` with these arguments.
---@param arguments string[]
---@param options? table  # of run_program
function helpers.run_command(arguments, options)
  local all = { arguments = arguments }
  for name, value in pairs(options or {}) do all[name] = value end
  return helpers.run_program("bin/coropanic", all)
end

--- Runs `coropanic <before> FILE <after>`, where FILE has the text.
---@param before string[]
---@param source string
---@param after? string[]
---@return table result, string path  # of the file, which is removed
function helpers.run_command_on(before, source, after)
  local script
  local result = with_file(source, function(path)
    script = path .. ".lua" -- busted wants that
    assert(os.rename(path, script))
    local arguments = table.move(before, 1, #before, 1, {})
    table.insert(arguments, script)
    table.move(after or {}, 1, #(after or {}), #arguments + 1, arguments)
    local ran = helpers.run_command(arguments)
    assert(os.rename(script, path))
    return ran
  end)
  return result, script
end

--- The shortest name: the guest's parts may be known as the whole.
local function name_of_module(value)
  local shortest
  for name, module in pairs(package.loaded) do
    if module == value and (shortest == nil or #name < #shortest) then shortest = name end
  end
  return shortest
end

--- Runs a function in a process of its own, which fails if it raises. For what collects garbage again and
--- again: there the heap is small.
---@param fn fun()  # its upvalues are modules
---@return { stdout: string, stderr: string, status: integer }
function helpers.run_apart(fn)
  local lines = { ("local fn = (loadstring or load)(%q, '', 'b')"):format(string.dump(fn)) }
  for index = 1, math.huge do
    local name, value = debug.getupvalue(fn, index)
    if name == nil then break end
    if name == "_ENV" then
      lines[#lines + 1] = ("debug.setupvalue(fn, %d, _ENV)"):format(index)
    else
      local module = assert(name_of_module(value), "the function needs what is no module: " .. name)
      lines[#lines + 1] = ("debug.setupvalue(fn, %d, (require %q))"):format(index, module)
    end
  end
  lines[#lines + 1] = "fn()"
  local result = helpers.run_script(table.concat(lines, "\n"))
  assert(result.status == 0, result.stderr)
  return result
end

return helpers
