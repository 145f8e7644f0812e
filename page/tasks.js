// The tree of tasks.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { duration, html, number } from "./html.js";
import { listed, rows, shown } from "./model.js";

const COLOUR = { running: "green", ready: "blue", panicked: "red", cancelled: "red" };

/** How much of its life the task ran, and was ready without running. */
function Meter({ task, age }) {
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const text = `ran ${percent(task.busy)} of ${age}, was ready and did not run ${percent(task.delayed)}`;
  return html`<span class="bar" role="img" aria-label=${text} title=${text}>
    <i class="busy" style=${`width:${100 * task.busy}%`}></i><i class="delayed" style=${`width:${100 * task.delayed}%`}></i></span>`;
}

function Row({ row, selected, marks, age, pick }) {
  const { task } = row;
  const object = task.waiting_on && task.waiting_on !== task.operation ? ` on ${task.waiting_on}` : "";
  const waits = task.operation ? task.operation + object : "";
  const how = task.source ? `cancelled by ${task.source}${task.lost ? ", nobody looked" : ""}` : "";
  const place = task.where && task.where !== "?" ? task.where : task.spawned_at;
  return html`<div class=${"row" + (selected ? " selected" : "")} role="option" id=${`task-${task.id}`} aria-selected=${selected}
    data-ids=${row.ids.join(" ")} style=${`padding-left:${14 + 14 * Math.min(row.depth, 12)}px`}
    onClick=${() => pick(task.id)}>
    <div class="line">
      <span class=${"name" + (task.lost ? " lost" : "")}>${task.name}</span>
      ${row.count > 1 && html`<span class="chip">×${number(row.count)}</span>`}
      <span class=${"chip " + (COLOUR[task.status] ?? "")}>${task.status}</span>
      ${task.daemon && html`<span class="chip">daemon</span>`}
      ${marks.map((mark) => html`<span class=${"chip " + (mark === "leak" ? "amber" : "red")}>${mark}</span>`)}
      <span class="waits">${waits || how}</span>
    </div>
    ${age && html`<span class="meter">
      ${task.busy !== undefined && html`<${Meter} task=${task} age=${age} />`}<span class="age">${age}</span></span>`}
    ${place && html`<div class="below">${place}</div>`}
  </div>`;
}

const AROUND = 20; // rows above and below those that are seen, which are kept up to date too

/** The index of the first row that ends below `y`, a height in the list. */
function rowAt(list, y) {
  let low = 0;
  let high = list.children.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { offsetTop, offsetHeight } = list.children[middle];
    if (offsetTop + offsetHeight <= y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Which rows of the list are seen: the index of the first and of the last one. Anew when somebody scrolls. */
function useSeen(pane, list) {
  const [, again] = useState(0);
  useEffect(() => {
    const scrolled = () => again((n) => n + 1);
    pane.current.addEventListener("scroll", scrolled, { passive: true });
    return () => pane.current?.removeEventListener("scroll", scrolled);
  }, []);
  if (!list.current) return [0, Infinity];
  const { scrollTop, clientHeight } = pane.current;
  return [rowAt(list.current, scrollTop) - AROUND, rowAt(list.current, scrollTop + clientHeight) + AROUND];
}

/**
 * Rows as elements. A row in which nothing has changed stays the same element, which preact passes over; and one
 * that nobody sees stays as it was, until it is seen or it is about other tasks.
 */
function useRows(list, now, selected, marks, pick, [first, last]) {
  const kept = useRef(new Map());
  const next = new Map();
  const out = list.map((row, i) => {
    const { task } = row;
    const chosen = row.ids.includes(selected);
    const mark = marks.get(task.id) ?? [];
    const age = task.born === undefined ? "" : duration(Math.max(0, Math.floor(now - task.born)));
    const key = [chosen, row.depth, mark, row.ids].join(" ");
    const before = kept.current.get(task.id);
    const stays = before && before.key === key && (i < first || i > last || before.task === task && before.age === age);
    const entry = stays ? before
      : { task, key, age, element: html`<${Row} key=${task.id} row=${row} marks=${mark} age=${age} pick=${pick} selected=${chosen} />` };
    next.set(task.id, entry);
    return entry.element;
  });
  kept.current = next;
  return out;
}

export function Tasks({ state, selected, marks, pick, only, showAll, text, setText }) {
  const list = useMemo(() => (only ? listed(shown(state), only, text) : rows(shown(state), marks, text)), [state.tasks, state.ended, marks, text, only]);
  const chosen = list.find((row) => row.ids.includes(selected));
  const move = (event) => {
    if (event.key === "Escape") { setText(""); showAll(); }
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (!by || event.target.tagName === "INPUT" && Math.abs(by) !== 1) return;
    event.preventDefault();
    const next = list[Math.max(0, Math.min(list.length - 1, list.indexOf(chosen) + by))];
    if (next) pick(next.task.id);
  };
  const pane = useRef(null);
  const box = useRef(null);
  const seen = useSeen(pane, box);
  return html`<section id="tasks" ref=${pane} onKeyDown=${move}>
    <h2>Tasks <input type="search" placeholder="name, trace id or file  ( / )" aria-label="search" value=${text}
      onInput=${(event) => setText(event.target.value)} />
      ${only && html`<button id="only" onClick=${showAll}>only: ${only.text} ✕</button>`}</h2>
    <div role="listbox" ref=${box} tabindex="0" aria-label="tasks" aria-activedescendant=${chosen && `task-${chosen.task.id}`}>${useRows(list, state.now, selected, marks, pick, seen)}</div>
    ${list.length === 0 && html`<div class="note">No task is like this.</div>`}
    ${state.omitted > 0 && html`<div class="note" id="omitted">${number(state.omitted)} more tasks are not listed. All, in groups:
      ${state.groups.slice(0, 20).map((group) => html`<div>×${number(group.count)} ${group.status} ${group.operation ?? ""} spawned at ${group.spawned_at}</div>`)}
    </div>`}
  </section>`;
}
