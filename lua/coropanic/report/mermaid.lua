--- Graphs as Mermaid flowcharts, which GitHub renders: https://mermaid.js.org/syntax/flowchart.html

local text_of = require "coropanic.text"

local mermaid = {}

mermaid.MAX_NODES = 100
mermaid.MAX_LINES = 8 -- of a label
mermaid.MAX_LABEL = 80 -- characters of one line of a label

-- Mermaid draws nothing that is larger (its maxTextSize and maxEdges, unless they are set otherwise).
mermaid.MAX_BYTES = 50000
mermaid.MAX_EDGES = 500

local NODE_BYTES = 35000 -- of MAX_BYTES, for boxes: the rest is for arrows
local TAIL_BYTES = 500 -- for what ends the text: how much is left out, and the classes

-- What has a meaning in a label, or in HTML, as the entity that stands for it. "%%" begins a directive, also
-- inside quotes; words that begin statements of style cost the label's last entity its semicolon.
local ENTITIES = {
  ["#"] = "#35;", ['"'] = "#quot;", ["<"] = "#lt;", [">"] = "#gt;", ["&"] = "#amp;", ["`"] = "#96;",
  ["\\"] = "#92;", ["|"] = "#124;", ["%"] = "#37;",
}
local WORDS = { style = "st#121;le", classDef = "class#68;ef" }

--- Text as a part of a label: bounded, on one line, and as it is read.
---@param text string
function mermaid.escape(text)
  text = text_of.valid(text):gsub("%c+", " "):gsub("\xc2[\x80-\x9f]", " ")
  text = text_of.cut(text, mermaid.MAX_LABEL)
  text = text:gsub("%$%$+", function(run) return ("$ "):rep(#run - 1) .. "$" end) -- two begin a formula
  return (text:gsub('[#"<>&`\\|%%]', ENTITIES):gsub("style", WORDS):gsub("classDef", WORDS))
end

local ARROWS = { spawned = "-->", waits = "-.->", panic = "==>" }

---@class coropanic.report.graph
---@field nodes { id: string, lines: string[], class: string? }[]
---@field edges { from: string, to: string, kind: "spawned" | "waits" | "panic", label: string? }[]

--- The nodes, first those that a panic has touched: where not all have room, these are what matters.
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
  return table.move(others, 1, #others, #first + 1, first)
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

--- Adds a line for each item while there is room; returns how many items had none.
local function add_each(lines, items, draw, limits)
  for i, item in ipairs(items) do
    local line = draw(item)
    if i > limits.count or lines.bytes + #line + 1 > limits.bytes then return #items - i + 1 end
    lines.bytes = lines.bytes + #line + 1
    lines[#lines + 1] = line
  end
  return 0
end

--- The text of a flowchart. What has no room is left out, and its number is said.
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
