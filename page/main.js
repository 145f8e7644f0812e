import { h, render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import htm from "htm";
import dagre from "@dagrejs/dagre";
import { apply, graph, rows, shown } from "./model.js";

const html = htm.bind(h);
const token = new URLSearchParams(location.search).get("token");
const link = (path) => path + (token ? (path.includes("?") ? "&" : "?") + "token=" + encodeURIComponent(token) : "");
const COLOUR = { running: "green", ready: "blue", panicked: "red", cancelled: "red" };

function useServer() {
  const [state, setState] = useState(null);
  const [live, setLive] = useState(false);
  useEffect(() => {
    const source = new EventSource(link("state?since=0"));
    source.addEventListener("state", (event) => setState(JSON.parse(event.data)));
    source.addEventListener("change", (event) => setState((before) => apply(before, JSON.parse(event.data))));
    source.onopen = () => setLive(true);
    source.onerror = () => setLive(false);
    return () => source.close();
  }, []);
  return [state, live];
}

const Figure = ({ name, value }) => html`<span class="figure"><small>${name}</small>${value}</span>`;
const number = (value) => value.toLocaleString("en-US");

function Header({ state, live, pick }) {
  const { stats, series } = state;
  const first = series[0];
  const last = series[series.length - 1];
  const rate = last.at > first.at ? (last.switches - first.switches) / (last.at - first.at) : 0;
  return html`<header>
    <h1>${state.title}</h1>
    <${Figure} name="tasks" value=${number(state.live)} />
    <${Figure} name="ready" value=${number(stats.ready)} />
    <${Figure} name="switches/s" value=${number(Math.round(rate))} />
    <${Figure} name="panics / unhandled" value=${`${number(stats.panics)} / ${number(stats.unhandled)}`} />
    <${Figure} name="memory" value=${`${number(Math.round(stats.memory_kb))} KB`} />
    <span class="warnings">
      ${state.warnings.map(
        (warning) => html`<button key=${warning.kind} class=${warning.kind === "leak" ? "amber" : "red"}
          onClick=${() => pick(warning.tasks[0])}>${warning.text}</button>`,
      )}
      <span class=${"chip " + (live ? "green" : "amber")}>${live ? "live" : "connecting"}</span>
    </span>
  </header>`;
}

function Row({ row, selected, marks, pick }) {
  const { task } = row;
  const waits = task.operation ? `${task.operation}${task.waiting_on ? " on " + task.waiting_on : ""}` : "";
  const how = task.source ? `cancelled by ${task.source}${task.lost ? ", nobody looked" : ""}` : "";
  return html`<div class=${"row" + (selected ? " selected" : "")} role="option" aria-selected=${selected}
    data-ids=${row.ids.join(" ")} style=${`padding-left:${14 + 14 * Math.min(row.depth, 12)}px`}
    onClick=${() => pick(task.id)}>
    <div class="line">
      <span class=${"name" + (task.lost ? " lost" : "")}>${task.name}</span>
      ${row.count > 1 && html`<span class="chip">×${number(row.count)}</span>`}
      <span class=${"chip " + (COLOUR[task.status] ?? "")}>${task.status}</span>
      ${task.daemon && html`<span class="chip">daemon</span>`}
      ${(marks.get(task.id) ?? []).map((mark) => html`<span class=${"chip " + (mark === "leak" ? "amber" : "red")}>${mark}</span>`)}
    </div>
    <div class="below">${[waits || how, task.where ?? task.spawned_at].filter(Boolean).join(" at ")}</div>
  </div>`;
}

function Tasks({ state, selected, marks, pick }) {
  const [text, setText] = useState("");
  const list = useMemo(() => rows(shown(state), marks, text), [state, marks, text]);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = list.findIndex((row) => row.ids.includes(selected));
    const next = list[Math.max(0, Math.min(list.length - 1, at + step))];
    if (next) pick(next.task.id);
  };
  return html`<section id="tasks" onKeyDown=${move}>
    <h2>Tasks <input type="search" placeholder="name, trace id or file" aria-label="search" value=${text}
      onInput=${(event) => setText(event.target.value)} /></h2>
    <div role="listbox" tabindex="0" aria-label="tasks">
      ${list.map((row) => html`<${Row} key=${row.task.id} row=${row} marks=${marks} pick=${pick}
        selected=${row.ids.includes(selected)} />`)}
    </div>
    ${state.omitted > 0 && html`<div class="note" id="omitted">${number(state.omitted)} more tasks are not listed. All, in groups:
      ${state.groups.slice(0, 20).map((group) => html`<div>×${number(group.count)} ${group.status} ${group.operation ?? ""} spawned at ${group.spawned_at}</div>`)}
    </div>`}
  </section>`;
}

const short = (text) => (text.length > 28 ? text.slice(0, 27) + "…" : text);
const labelOf = (id, task) => short(task ? task.name : id);

function layout(drawn) {
  const g = new dagre.graphlib.Graph({ multigraph: true });
  g.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 46, marginx: 8, marginy: 8 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const [id, task] of drawn.nodes) g.setNode(id, { width: labelOf(id, task).length * 6.9 + 18, height: 22 });
  for (const edge of drawn.edges) g.setEdge(edge.from, edge.to, { kind: edge.kind }, edge.kind);
  dagre.layout(g);
  return g;
}

function Graph({ state, selected, marks, pick }) {
  const drawn = useMemo(() => graph(state), [state]);
  const g = useMemo(() => layout(drawn), [drawn]);
  const has = (id, mark) => (marks.get(Number(id.slice(1))) ?? []).includes(mark);
  const { width, height } = g.graph();
  const classOf = (id, task) =>
    [has(id, "cycle") && "node-cycle", task?.lost && "node-lost", task?.status === "panicked" && "node-panicked",
      id === `t${selected}` && "node-selected"].filter(Boolean).join(" ");
  return html`<section id="graph">
    <h2>Who waits for whom, and how panics travelled</h2>
    <div class="key"><span style="color:var(--blue)">━▶ panic</span><span style="color:var(--red)">┅▶ cancelled</span>
      <span>┄▶ waits for</span>${drawn.omitted > 0 && html`<span>${drawn.omitted} arrows left out</span>`}</div>
    ${drawn.nodes.size === 0 ? html`<div class="note">No task waits for another one.</div>` : html`
    <svg viewBox=${`0 0 ${width} ${height}`} style=${`max-width:${Math.round(width * 1.3)}px`} role="img">
      <defs>${["dim", "blue", "red"].map((c) => html`<marker id=${"to-" + c} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"
        markerHeight="7" orient="auto" markerUnits="userSpaceOnUse"><path d="M0,0L8,4L0,8z" style=${`fill:var(--${c})`} /></marker>`)}</defs>
      ${g.edges().map((e) => {
        const { points, kind } = g.edge(e);
        const cycle = (kind === "blocked" || kind === "waits") && has(e.v, "cycle") && has(e.w, "cycle");
        const colour = kind === "panic" ? "blue" : kind === "cancelled" || cycle ? "red" : "dim";
        return html`<path class=${`edge-${kind}${cycle ? " edge-cycle" : ""}`} data-edge=${`${e.v} ${kind} ${e.w}`}
          d=${"M" + points.map((p) => `${p.x},${p.y}`).join("L")} marker-end=${`url(#to-${colour})`} />`;
      })}
      ${g.nodes().map((id) => {
        const n = g.node(id);
        const task = drawn.nodes.get(id);
        return html`<g class=${classOf(id, task)} onClick=${() => task && pick(task.id)}>
          <rect x=${n.x - n.width / 2} y=${n.y - 11} width=${n.width} height="22" rx="4" />
          <text x=${n.x} y=${n.y + 4} text-anchor="middle">${labelOf(id, task)}</text></g>`;
      })}
    </svg>`}
  </section>`;
}

function Detail({ id, version }) {
  const [told, setTold] = useState(null);
  useEffect(() => {
    let current = true;
    if (id === null) return undefined;
    fetch(link(`task/${id}`))
      .then((response) => response.json())
      .then((body) => current && setTold(body))
      .catch(() => current && setTold({ panics: [] }));
    return () => { current = false; };
  }, [id, version]);
  if (id === null || !told) return html`<section id="detail"><h2>Choose a task</h2></section>`;
  const task = told.task ?? told.ended ?? { name: "" };
  return html`<section id="detail"><h2>task ${id} "${task.name}" ${task.status ?? "is not kept any more"}</h2>
    <pre>${[
      task.trace_id && `trace ${task.trace_id}`,
      told.ended && `ended ${told.ended.status}${told.ended.source ? " by " + told.ended.source : ""}${told.ended.claimed ? "" : ", and nobody looked"}`,
      told.stack,
      ...told.panics.map((panic) => (panic.recovered ? "recovered " : "") + panic.report),
    ].filter(Boolean).join("\n\n")}</pre></section>`;
}

function App() {
  const [state, live] = useServer();
  const [selected, pick] = useState(null);
  const list = useRef(null);
  const marks = useMemo(() => {
    const found = new Map();
    for (const warning of state?.warnings ?? []) {
      if (warning.kind === "lost") continue;
      for (const id of warning.tasks) found.set(id, [...(found.get(id) ?? []), warning.kind]);
    }
    return found;
  }, [state]);
  useEffect(() => list.current?.querySelector(".row.selected")?.scrollIntoView({ block: "nearest" }), [selected]);
  if (!state) return html`<header><h1>Trace Explorer</h1><span class="chip amber">connecting</span></header>`;
  return html`<${Header} state=${state} live=${live} pick=${pick} />
    <div ref=${list} style="display:contents"><${Tasks} state=${state} selected=${selected} marks=${marks} pick=${pick} /></div>
    <div id="right"><${Graph} state=${state} selected=${selected} marks=${marks} pick=${pick} />
      <${Detail} id=${selected} version=${state.version} /></div>`;
}

render(html`<${App} />`, document.getElementById("app"));
