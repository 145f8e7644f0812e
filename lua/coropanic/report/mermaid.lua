--- Draws graphs as Mermaid flowcharts, which GitHub renders: https://mermaid.js.org/syntax/flowchart.html

local portable = require "coropanic.portable"
local text_of = require "coropanic.text"

local mermaid = {}

mermaid.MAX_NODES = 100
mermaid.MAX_LINES = 8 -- of a label
mermaid.MAX_LABEL = 80 -- characters of one line of a label

-- Mermaid draws nothing larger (its defaults of maxTextSize and maxEdges).
mermaid.MAX_BYTES = 50000
mermaid.MAX_EDGES = 500

local NODE_BYTES = 35000 -- the part of MAX_BYTES for boxes; the rest is for arrows
local TAIL_BYTES = 500 -- for the end of the text: the counts of items left out, and the classes

-- Characters with a meaning in a label or in HTML -> the entity for each. "%%" begins a directive, even
-- inside quotes. Words that begin statements of style cost the label's last entity its semicolon.
local ENTITIES = {
  ["#"] = "#35;", ['"'] = "#quot;", ["<"] = "#lt;", [">"] = "#gt;", ["&"] = "#amp;", ["`"] = "#96;",
  ["\\"] = "#92;", ["|"] = "#124;", ["%"] = "#37;",
}
local WORDS = { style = "st#121;le", classDef = "class#68;ef" }

--- Returns text as a part of a label: bounded, on one line, and escaped.
---@param text string
function mermaid.escape(text)
  text = text_of.valid(text):gsub("%c+", " "):gsub("\194[\128-\159]", " ")
  text = text_of.cut(text, mermaid.MAX_LABEL)
  -- two of them begin a formula
  text = text:gsub("%$%$+", function(run) return ("$ "):rep(#run - 1) .. "$" end)
  return (text:gsub('[#"<>&`\\|%%]', ENTITIES):gsub("style", WORDS):gsub("classDef", WORDS))
end

local ARROWS = { spawned = "-->", waits = "-.->", panic = "==>" }

---@class coropanic.report.graph
---@field nodes { id: string, lines: string[], class: string? }[]
---@field edges { from: string, to: string, kind: "spawned" | "waits" | "panic", label: string? }[]

--- Returns the nodes, those that a panic has touched first: if there is not room for all, these matter most.
local function by_importance(graph)
  local touched = {}
  for _, edge in ipairs(graph.edges) do
    if edge.kind == "panic" then touched[edge.from], touched[edge.to] = true, true end
  end
  local first, others = {}, {}
  for _, node in ipairs(graph.nodes) do
    local list = (touched[node.id] or node.class == "panicked") and first or others
    list[#list + 1] = node
  end
  return portable.move(others, 1, #others, #first + 1, first)
end

local function draw_node(node)
  local label = {}
  for i, line in ipairs(node.lines) do
    if i > mermaid.MAX_LINES then
      label[i] = "..."
      break
    end
    label[i] = mermaid.escape(line)
  end
  local class = node.class and ":::" .. node.class or ""
  return ('  %s["%s"]%s'):format(node.id, table.concat(label, "<br/>"), class)
end

local function draw_edge(edge)
  local label = edge.label and ('|"%s"|'):format(mermaid.escape(edge.label)) or ""
  return ("  %s %s%s %s"):format(edge.from, ARROWS[edge.kind], label, edge.to)
end

--- Adds a line for each item while there is room. Returns the number of items left out.
local function add_each(lines, items, draw, limits)
  for i, item in ipairs(items) do
    local line = draw(item)
    if i > limits.count or lines.bytes + #line + 1 > limits.bytes then return #items - i + 1 end
    lines.bytes = lines.bytes + #line + 1
    lines[#lines + 1] = line
  end
  return 0
end

--- Returns the text of a flowchart. If there is not room for all, the text tells how many items are left out.
---@param graph coropanic.report.graph
---@return string
function mermaid.flowchart(graph)
  local lines, nodes = { "flowchart TD", bytes = 0 }, by_importance(graph)
  local nodes_omitted = add_each(lines, nodes, draw_node, { count = mermaid.MAX_NODES, bytes = NODE_BYTES })
  local shown, edges = {}, {}
  for i = 1, #nodes - nodes_omitted do shown[nodes[i].id] = true end
  for _, edge in ipairs(graph.edges) do
    if shown[edge.from] and shown[edge.to] then edges[#edges + 1] = edge end
  end
  if nodes_omitted > 0 then
    lines[#lines + 1] = ('  omitted["... %d left out ..."]'):format(nodes_omitted)
  end
  local room = { count = mermaid.MAX_EDGES, bytes = mermaid.MAX_BYTES - TAIL_BYTES }
  local edges_omitted = add_each(lines, edges, draw_edge, room)
  if edges_omitted > 0 then
    lines[#lines + 1] = ('  omitted_arrows["... %d arrows left out ..."]'):format(edges_omitted)
  end
  lines[#lines + 1] = "  classDef panicked fill:#fdd,stroke:#c00,color:#000"
  lines[#lines + 1] = "  classDef waiting fill:#eef,stroke:#66a,color:#000"
  return table.concat(lines, "\n") .. "\n"
end

return mermaid
