--- Graphs as Mermaid flowcharts, which GitHub renders: https://mermaid.js.org/syntax/flowchart.html

local mermaid = {}

mermaid.MAX_NODES = 100
mermaid.MAX_LABEL = 80 -- characters of one line of a label

-- What has a meaning in a label, or in HTML, as the entity that stands for it.
local ENTITIES = {
  ["#"] = "#35;", ['"'] = "#quot;", ["<"] = "#lt;", [">"] = "#gt;", ["&"] = "#amp;", ["`"] = "#96;",
  ["\\"] = "#92;", ["|"] = "#124;",
}

--- Text as a part of a label: bounded, on one line, and as it is read.
---@param text string
function mermaid.escape(text)
  text = text:gsub("%c+", " ")
  if utf8.len(text) and utf8.len(text) > mermaid.MAX_LABEL then
    text = text:sub(1, utf8.offset(text, mermaid.MAX_LABEL) - 1) .. "..."
  elseif not utf8.len(text) then
    text = text:gsub("[\x80-\xff]", "?"):sub(1, mermaid.MAX_LABEL)
  end
  return (text:gsub('[#"<>&`\\|]', ENTITIES))
end

local ARROWS = { spawned = "-->", waits = "-.->", panic = "==>" }

---@class coropanic.report.graph
---@field nodes { id: string, lines: string[], class: string? }[]
---@field edges { from: string, to: string, kind: "spawned" | "waits" | "panic", label: string? }[]

--- The text of a flowchart. Beyond MAX_NODES nodes are left out, and their number is said.
---@param graph coropanic.report.graph
---@return string
function mermaid.flowchart(graph)
  local lines, shown = { "flowchart TD" }, {}
  for i, node in ipairs(graph.nodes) do
    if i > mermaid.MAX_NODES then break end
    shown[node.id] = true
    local label = {}
    for k, line in ipairs(node.lines) do label[k] = mermaid.escape(line) end
    local class = node.class and ":::" .. node.class or ""
    lines[#lines + 1] = ('  %s["%s"]%s'):format(node.id, table.concat(label, "<br/>"), class)
  end
  if #graph.nodes > mermaid.MAX_NODES then
    lines[#lines + 1] = ('  omitted["... %d left out ..."]'):format(#graph.nodes - mermaid.MAX_NODES)
  end
  for _, edge in ipairs(graph.edges) do
    if shown[edge.from] and shown[edge.to] then
      local label = edge.label and ('|"%s"|'):format(mermaid.escape(edge.label)) or ""
      lines[#lines + 1] = ("  %s %s%s %s"):format(edge.from, ARROWS[edge.kind], label, edge.to)
    end
  end
  lines[#lines + 1] = "  classDef panicked fill:#fdd,stroke:#c00,color:#000"
  lines[#lines + 1] = "  classDef waiting fill:#eef,stroke:#66a,color:#000"
  return table.concat(lines, "\n") .. "\n"
end

return mermaid
