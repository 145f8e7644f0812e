--- The state as text for people: what /report.txt answers.

local panics = require "coropanic.debug.panics"
local slices = require "coropanic.debug.slices"
local text_of = require "coropanic.text"

local clean = text_of.printable

local text = {}

local function line_of(row)
  local doing = row.status
  if row.operation then doing = ("waiting (%s) on %s"):format(row.operation, row.waiting_on or "?") end
  local daemon = row.daemon and " (daemon)" or ""
  return ('task %d "%s"%s %s at %s, trace %s'):format(row.id, clean(row.name), daemon, clean(doing),
    clean(row.where), row.trace_id)
end

--- Adds the tasks as an outline, each below its spawner.
local function add_outline(lines, made, pause)
  local children, known = {}, {}
  for _, row in ipairs(made.rows) do known[row.id] = true end
  for _, row in ipairs(made.rows) do
    local parent = known[row.parent] and row.parent or 0
    children[parent] = children[parent] or {}
    table.insert(children[parent], row)
  end
  -- Chains of spawners may be long, so this does not call itself.
  local open = { { rows = children[0] or {}, at = 0 } }
  while #open > 0 do
    local top = open[#open]
    top.at = top.at + 1
    local row = top.rows[top.at]
    if row then
      lines[#lines + 1] = ("  "):rep(math.min(#open - 1, 40)) .. line_of(row)
      pause()
      open[#open + 1] = { rows = children[row.id] or {}, at = 0 }
    else
      open[#open] = nil
    end
  end
end

local function add_groups(lines, made)
  if made.omitted <= 0 then return end
  lines[#lines + 1] = ("... %d tasks left out; of all, the largest groups are"):format(made.omitted)
  for i = 1, math.min(20, #made.groups) do
    local group = made.groups[i]
    lines[#lines + 1] = ("  %d %s%s, spawned at %s"):format(group.count, group.status,
      group.operation and " on " .. group.operation or "", clean(text_of.valid(group.spawned_at)))
  end
end

local function add_ended(lines, made)
  lines[#lines + 1] = "\nended, the last ones"
  for _, one in ipairs(made.ended) do
    local how = one.source and (" by " .. one.source) or ""
    if one.lost then how = how .. ", and nobody looked" end
    lines[#lines + 1] = ('task %d "%s" %s%s, spawned at %s'):format(one.id, clean(one.name), one.status, how,
      clean(text_of.valid(one.spawned_at)))
  end
end

local function add_child(lines, child)
  local panicked = child.last_panic and ", has panicked in trace " .. child.last_panic or ""
  local task = child.task and (" as task %d"):format(child.task) or ""
  lines[#lines + 1] = ("  child %s is %s%s, %s, %d restarts%s"):format(clean(child.id), child.status, task,
    child.restart, child.restarts, panicked)
end

local function add_policies(lines, made)
  if #made.policies == 0 then return end
  lines[#lines + 1] = "\npolicies"
  for i, policy in ipairs(made.policies) do
    local figures = {}
    for name, value in pairs(made.figures[i]) do figures[#figures + 1] = ("%s %.14g"):format(name, value) end
    table.sort(figures)
    local state = policy.state and (" is %s"):format(policy.state) or ""
    local by = policy.opened_by and (" because of trace %s"):format(policy.opened_by) or ""
    lines[#lines + 1] = ('%s "%s"%s%s: %s'):format(policy.kind, clean(policy.name), state, by,
      table.concat(figures, ", "))
    for _, child in ipairs(policy.children or {}) do add_child(lines, child) end
  end
  if made.policies_omitted > 0 then
    lines[#lines + 1] = ("... %d policies left out"):format(made.policies_omitted)
  end
end

---@param made coropanic.debug.state
---@return string
function text.report(made)
  local pause = slices.new()
  local lines = { ("%d task%s"):format(made.live, made.live == 1 and "" or "s") }
  for _, warning in ipairs(made.warnings) do
    lines[#lines + 1] = ("warning: %s: tasks %s"):format(warning.text, table.concat(warning.tasks, " ", 1,
      math.min(#warning.tasks, 20)))
    if warning.detail then lines[#lines + 1] = "  " .. clean(warning.detail) end
  end
  add_outline(lines, made, pause)
  add_groups(lines, made)
  add_ended(lines, made)
  add_policies(lines, made)
  local all, lost = panics.all()
  lines[#lines + 1] = ("\n%d panic%s"):format(#all + lost, #all + lost == 1 and "" or "s")
  for _, one in ipairs(all) do
    local report = one.report:gsub("[^\n\t]+", function(part) return clean(text_of.valid(part)) end)
    lines[#lines + 1] = "\n" .. (one.recovered and "recovered " or "") .. report
  end
  return table.concat(lines, "\n") .. "\n"
end

return text
