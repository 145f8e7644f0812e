// Who waits for whom, and how panics and cancellations travelled.
import dagre from "@dagrejs/dagre";
import { useMemo, useRef } from "preact/hooks";
import { html } from "./html.js";
import { graph } from "./model.js";

/** The graph is not drawn smaller than so, unless its pane is too narrow. */
const LEAST = 0.7;

const short = (text) => (text.length > 28 ? text.slice(0, 27) + "…" : text);
const labelOf = (id, task) => short(task ? task.name : id.replace(/^t/, "task "));

function layout(drawn) {
  const g = new dagre.graphlib.Graph({ multigraph: true });
  g.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 46, marginx: 8, marginy: 8 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const [id, task] of drawn.nodes) g.setNode(id, { width: labelOf(id, task).length * 6.9 + 18, height: 22 });
  for (const edge of drawn.edges) g.setEdge(edge.from, edge.to, { kind: edge.kind }, edge.kind);
  dagre.layout(g);
  return g;
}

/** The laid out graph. The layout is made again only when a node or an arrow is another one. */
function useLayout(drawn) {
  const kept = useRef({ key: null, g: null });
  const key = [...drawn.nodes].map(([id, task]) => id + labelOf(id, task)).join("\n") + "\n\n"
    + drawn.edges.map((edge) => `${edge.from} ${edge.kind} ${edge.to}`).join("\n");
  if (kept.current.key !== key) kept.current = { key, g: layout(drawn) };
  return kept.current.g;
}

function Edge({ g, e, has }) {
  const { points, kind } = g.edge(e);
  const cycle = (kind === "blocked" || kind === "waits") && has(e.v, "cycle") && has(e.w, "cycle");
  const colour = kind === "panic" ? "blue" : kind === "cancelled" || cycle ? "red" : "dim";
  return html`<path class=${`edge-${kind}${cycle ? " edge-cycle" : ""}`} data-edge=${`${e.v} ${kind} ${e.w}`}
    d=${"M" + points.map((p) => `${p.x},${p.y}`).join("L")} marker-end=${`url(#to-${colour})`} />`;
}

function Node({ g, id, task, selected, has, pick }) {
  const n = g.node(id);
  const choose = (event) => {
    if (event.key && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pick(task.id);
  };
  const classes = [has(id, "cycle") && "node-cycle", task?.lost && "node-lost", task?.status === "panicked" && "node-panicked",
    id === `t${selected}` && "node-selected"].filter(Boolean).join(" ");
  const role = task ? { role: "button", tabindex: 0, onClick: choose, onKeyDown: choose } : {};
  return html`<g class=${classes} ...${role}><title>${task ? `task ${task.id} "${task.name}" ${task.status}` : labelOf(id)}</title>
    <rect x=${n.x - n.width / 2} y=${n.y - 11} width=${n.width} height="22" rx="4" />
    <text x=${n.x} y=${n.y + 4} text-anchor="middle">${labelOf(id, task)}</text></g>`;
}

export function Graph({ state, selected, marks, pick }) {
  const drawn = useMemo(() => graph(state, selected), [state.edges, state.tasks, state.ended, selected]);
  const g = useLayout(drawn);
  const has = (id, mark) => (marks.get(Number(id.slice(1))) ?? []).includes(mark);
  const { width, height } = g.graph();
  return html`<section id="graph">
    <h2>Who waits for whom, and how panics travelled</h2>
    <div class="key"><span style="color:var(--blue)">━▶ panic</span><span style="color:var(--red)">┅▶ cancelled</span>
      <span>┄▶ waits for</span>${drawn.omitted > 0 && html`<span>${drawn.omitted} arrows left out</span>`}</div>
    ${drawn.nodes.size === 0 ? html`<div class="note">No task waits for another one.</div>` : html`
    <svg viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="xMinYMin"
      style=${`max-width:${Math.round(width * 1.3)}px;max-height:${Math.round(height * 1.3)}px;min-height:${Math.round(height * LEAST)}px`} role="group" aria-label="graph">
      <defs>${["dim", "blue", "red"].map((c) => html`<marker id=${"to-" + c} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"
        markerHeight="7" orient="auto" markerUnits="userSpaceOnUse"><path d="M0,0L8,4L0,8z" style=${`fill:var(--${c})`} /></marker>`)}</defs>
      ${g.edges().map((e) => html`<${Edge} g=${g} e=${e} has=${has} />`)}
      ${g.nodes().map((id) => html`<${Node} key=${id} g=${g} id=${id} task=${drawn.nodes.get(id)} selected=${selected} has=${has} pick=${pick} />`)}
    </svg>`}
  </section>`;
}
