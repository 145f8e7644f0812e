--- `require "coropanic.lint"`: finds mistakes in the use of coropanic before the program runs. The command
--- `coropanic lint` is this module. It needs luacheck's parser (lint/parser.lua), and not the runtime.

local api = require "coropanic.lint.api"
local config = require "coropanic.lint.config"
local effects = require "coropanic.lint.effects"
local files = require "coropanic.lint.files"
local names = require "coropanic.lint.names"
local parser = require "coropanic.lint.parser"
local raising = require "coropanic.lint.raising"
local roles = require "coropanic.lint.roles"
local tree = require "coropanic.lint.tree"
local values = require "coropanic.lint.values"
local waivers = require "coropanic.lint.waivers"

local lint = {}

--- The rules, in the order of their ids: `id`, `name`, `summary`.
lint.rules = require "coropanic.lint.rules"

local known = {}
for _, rule in ipairs(lint.rules) do known[rule.id] = true end

---@class coropanic.lint.finding
---@field file string
---@field line integer
---@field column integer  # in characters, from 1
---@field rule string  # "C101"
---@field message string

---@class coropanic.lint.problem  # why a file could not be looked at
---@field file string
---@field line? integer
---@field column? integer
---@field message string

---@class coropanic.lint.report
---@field findings coropanic.lint.finding[]  # by file and place
---@field problems coropanic.lint.problem[]
---@field files integer  # how many were looked at

---@class coropanic.lint.options  # what .coropanic-lint.lua returns
---@field ignore? string[]  # rules that are off
---@field exclude? string[]  # files and folders that are not looked at
---@field files? table<string, { ignore: string[] }>  # by file or folder

--- The column of a place, in characters if the line is UTF-8.
local function column_of(source, lines, place)
  local start = lines[place.line] or 1
  local before = source:sub(start, place.offset - 1)
  return (utf8.len(before) or #before) + 1
end

--- What rules see of a source: its tree, and what is known of it.
local function analyse(parsed)
  local of = values.new(names.resolve(parsed.main))
  -- `calls`: also those that pcall, co.spawn and the like make of their argument
  local file = { main = parsed.main, values = of, effects = effects.new(of), api = api, calls = {} }
  file.raises = raising(of)
  local foreign = {}
  tree.each(parsed.main, function(node)
    if node.tag ~= "Call" and node.tag ~= "Invoke" then return end
    local call = of:call(node)
    while call do
      file.calls[#file.calls + 1] = call
      if call.path == "co.instrument" then file.is_instrumented = true end
      call = of:applied_call(call)
    end
  end)
  --- Whether the function is the body of a coroutine of Lua's own library.
  function file.is_foreign(fn)
    if foreign[fn] == nil then
      local is_body = roles.is_given_to(of, fn, "coroutine.wrap", 1)
        or roles.is_given_to(of, fn, "coroutine.create", 1)
      foreign[fn] = is_body and not file.is_instrumented
    end
    return foreign[fn]
  end
  return file
end

local function by_place(a, b)
  if a.line ~= b.line then return a.line < b.line end
  if a.column ~= b.column then return a.column < b.column end
  return a.rule < b.rule
end

--- Applies the rules. Returns the findings that are not waived, and what is wrong with waivers.
local function inspect(parsed, source, name, settings)
  local waived, problems = waivers.read(parsed, known)
  local file, findings = analyse(parsed), {}
  for _, rule in ipairs(lint.rules) do
    if not config.ignores(settings, name, rule.id) then
      local seen = {} -- what a rule finds on several ways is one finding
      rule.check(file, function(node, message)
        if seen[node] or (waived[node.line] and waived[node.line][rule.id]) then return end
        seen[node] = true
        findings[#findings + 1] = {
          file = name, line = node.line, column = column_of(source, parsed.lines, node), rule = rule.id,
          message = message,
        }
      end)
    end
  end
  table.sort(findings, by_place)
  return findings, problems
end

--- Parses the source and applies the rules.
local function look_at(source, name, settings)
  local parsed, failure = parser.parse(source)
  if parsed then return inspect(parsed, source, name, settings) end
  failure.column = column_of(source, failure.lines, failure)
  return {}, { failure }
end

--- Machines write expressions that Lua compiles without recursion, and that are deeper than its stack.
local TOO_DEEP = "expressions are nested too deep"

local function check_source(source, name, settings, report)
  report.files = report.files + 1
  local ok, findings, problems = pcall(look_at, source, name, settings)
  if not ok then
    if not tostring(findings):find "stack overflow" then error(findings, 0) end
    findings, problems = {}, { { message = TOO_DEEP } }
  end
  table.move(findings, 1, #findings, #report.findings + 1, report.findings)
  for _, problem in ipairs(problems) do
    report.problems[#report.problems + 1] = {
      file = name, line = problem.line, column = problem.column, message = problem.message,
    }
  end
end

local function check_options(given)
  if type(given or {}) ~= "table" then error("options: a table expected, got " .. type(given), 3) end
  local settings, problem = config.read(given or {}, known)
  if not settings then error("options: " .. problem, 3) end
  return settings
end

local function load_parser()
  local ok, problem = parser.load()
  if not ok then error(problem, 3) end
end

--- Looks at the text of a Lua file. Raises an error if luacheck is missing.
---@param source string
---@param name? string  # of the file, for the findings
---@param options? coropanic.lint.options
---@return coropanic.lint.report
function lint.check(source, name, options)
  if type(source) ~= "string" then error("source: a string expected, got " .. type(source), 2) end
  local settings = check_options(options)
  load_parser()
  local report = { findings = {}, problems = {}, files = 0 }
  check_source(source, name or "?", settings, report)
  return report
end

--- Looks at files, and at the Lua files in folders. Raises an error if luacheck is missing.
---@param paths string[]
---@param options? coropanic.lint.options
---@return coropanic.lint.report
function lint.paths(paths, options)
  if type(paths) ~= "table" then error("paths: a list expected, got " .. type(paths), 2) end
  local settings = check_options(options)
  load_parser()
  local report = { findings = {}, problems = {}, files = 0 }
  for _, path in ipairs(files.list(paths)) do
    if not config.excludes(settings, path) then
      local source, problem = files.read(path)
      if source then
        check_source(source, path, settings, report)
      else
        report.problems[#report.problems + 1] = { file = path, message = problem }
      end
    end
  end
  return report
end

--- Reads `.coropanic-lint.lua`, or the file of another name. A file that is missing has no settings.
---@param path? string
---@return coropanic.lint.options? options
---@return string? problem
function lint.load_config(path)
  return config.load(path or config.PATH, known)
end

--- Writes a report in the format "text", "json" or "sarif".
---@param report coropanic.lint.report
---@param format string
---@return string
function lint.format(report, format)
  if not lint.FORMATS[format] then
    error(("format: text, json or sarif expected, got %s"):format(tostring(format)), 2)
  end
  return require("coropanic.lint.formats." .. format)(report, lint.rules)
end

--- The names of the formats.
lint.FORMATS = { text = true, json = true, sarif = true }

return lint
