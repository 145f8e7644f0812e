// The lanes: what each task did in the last seconds, from the recorder's ring.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { colours, duration, html, number, onScheme } from "./html.js";
import { draw } from "./lanes_canvas.js";
import { AXIS, inSpanTime, LANE, laneAt, moved, nameOf, spanAt, stylesOf, timeAt, within, zoomed } from "./lanes_model.js";
import { link } from "./server.js";

const EACH = 1000; // milliseconds between two looks
const CLICK = 4; // pixels: a shorter brush is a click
const LEFT = 190; // pixels of the names

/** The lanes of the last seconds; they stand still while `held`. The server forgets names of ended tasks first. */
function useLanes(seconds, held, names) {
  const [told, setTold] = useState(null);
  useEffect(() => {
    if (held) return undefined;
    const control = new AbortController();
    let timer;
    const look = () => {
      if (document.hidden) { timer = setTimeout(look, EACH); return; }
      fetch(link(`lanes?seconds=${seconds}`), { signal: control.signal })
        .then((response) => response.json())
        .then((answer) => setTold(inSpanTime(answer)))
        .catch(() => {}) // Aborted, or the server is gone: the header says so.
        .finally(() => { if (!control.signal.aborted) timer = setTimeout(look, EACH); });
    };
    look();
    return () => { control.abort(); clearTimeout(timer); };
  }, [seconds, held]);
  const named = (lane) => ({ ...lane, name: names.get(lane.id) ?? lane.name });
  return useMemo(() => told && { ...told, lanes: told.lanes.map(named) }, [told]);
}

/** The size of an element, also when it changes. */
function useSize(place) {
  const [size, setSize] = useState(null);
  useLayoutEffect(() => {
    const look = () => setSize({ width: place.current.clientWidth, height: place.current.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(place.current);
    look();
    return () => observer.disconnect();
  }, []);
  return size;
}

function describe(told, hover) {
  if (!hover) return "";
  const { lane, span } = hover;
  if (!span) return `${lane.name} (task ${lane.id})`;
  const [start, size, kind] = span;
  return `${lane.name} (task ${lane.id}): ${nameOf(kind)} for ${duration(size / 1e6)}, ${duration((told.to - start) / 1e6)} ago`;
}

/** What the mouse does: a drag zooms, a click chooses the task, a double click shows the whole again. */
function pointing({ told, view, area, place, brush, setBrush, setHover, setView, pick }) {
  const xy = (event) => {
    const box = place.current.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const clamp = (x) => Math.max(area.left, Math.min(area.width, x));
  return {
    onPointerDown: (event) => {
      const [x] = xy(event);
      if (event.button !== 0 || x > area.width) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      setBrush([clamp(x), clamp(x)]);
    },
    onPointerMove: (event) => {
      const [x, y] = xy(event);
      if (brush) setBrush([brush[0], clamp(x)]);
      const lane = laneAt(told.lanes, y, place.current.scrollTop);
      const slack = ((view.to - view.from) / (area.width - area.left)) * 2;
      setHover(lane ? { lane, span: x > area.left ? spanAt(lane, timeAt(view, area, x), slack) : undefined } : null);
    },
    onPointerUp: (event) => {
      if (!brush) return;
      const [from, to] = [Math.min(...brush), Math.max(...brush)];
      setBrush(null);
      if (to - from > CLICK) return setView(within(told, { from: timeAt(view, area, from), to: timeAt(view, area, to) }));
      const lane = laneAt(told.lanes, xy(event)[1], place.current.scrollTop);
      if (lane) pick(lane.id);
    },
    onPointerCancel: () => setBrush(null),
    onPointerLeave: () => setHover(null),
    onDblClick: () => setView(null),
  };
}

/** What the keys do. */
function keys({ told, view, selected, pick, setView, place }) {
  const middle = (view.from + view.to) / 2;
  const choose = (by) => {
    const at = told.lanes.findIndex((lane) => lane.id === selected);
    const to = Math.max(0, Math.min(told.lanes.length - 1, at + by));
    if (!told.lanes[to]) return;
    pick(told.lanes[to].id);
    const top = place.current.scrollTop;
    const room = place.current.clientHeight - AXIS - LANE;
    place.current.scrollTop = Math.max(to * LANE - room, Math.min(top, to * LANE));
  };
  const doing = {
    "+": () => setView(within(told, zoomed(view, 0.5, middle))),
    "-": () => setView(within(told, zoomed(view, 2, middle))),
    ArrowLeft: () => setView(within(told, moved(view, -0.2))),
    ArrowRight: () => setView(within(told, moved(view, 0.2))),
    ArrowUp: () => choose(-1), ArrowDown: () => choose(1),
    Escape: () => setView(null), 0: () => setView(null),
  };
  doing["="] = doing["+"];
  return (event) => {
    if (!doing[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    doing[event.key]();
  };
}

function Chart({ told, view, setView, selected, pick, setHover }) {
  const place = useRef(null);
  const canvas = useRef(null);
  const [brush, setBrush] = useState(null);
  const [scroll, setScroll] = useState(0);
  const [scheme, setScheme] = useState(0);
  const size = useSize(place);
  const area = { left: LEFT, width: size?.width ?? LEFT + 1 };
  useEffect(() => onScheme(() => setScheme((n) => n + 1)), []);
  useLayoutEffect(() => {
    if (size) draw(canvas.current, { told, view, area, height: size.height, scroll, colour: colours(canvas.current), selected, brush });
  }, [told, view, size, scroll, scheme, selected, brush]);
  const parts = { told, view, area, place, brush, setBrush, setHover, setView, selected, pick };
  return html`<div id="chart" ref=${place} tabindex="0" role="group" data-from=${view.from} data-to=${view.to}
    aria-label="lanes of tasks: arrows move and choose, plus and minus zoom, escape shows the whole"
    onScroll=${() => setScroll(place.current.scrollTop)} onKeyDown=${keys(parts)} ...${pointing(parts)}>
    <canvas ref=${canvas} style=${`height:${size?.height ?? 0}px;width:${area.width}px`}></canvas>
    <div style=${`height:${Math.max(0, AXIS + told.lanes.length * LANE - (size?.height ?? 0))}px`}></div></div>`;
}

function Legend({ told }) {
  const styles = useMemo(() => stylesOf(told.lanes), [told]);
  const left = [told.lost && `${number(told.lost)} older events are lost`, told.omitted && `${number(told.omitted)} tasks are left out`,
    told.merged && `${number(told.merged)} short spans are merged`].filter(Boolean).join(", ");
  return html`<span class="legend">${styles.map(({ colour, text }) => html`<span><i style=${`background:var(--${colour})`}></i>${text}</span>`)}</span>
    ${left && html`<span>${left}</span>`}`;
}

export function Lanes({ selected, pick, names }) {
  const [seconds, setSeconds] = useState(10);
  const [view, setView] = useState(null);
  const [hover, setHover] = useState(null);
  const told = useLanes(seconds, view !== null, names);
  if (!told) return html`<section id="lanes"></section>`;
  if (!told.recording) return html`<section id="lanes"><h2>Flight recorder <span id="off">not recording: co.record{}</span></h2></section>`;
  return html`<section id="lanes" class="on">
    <h2><label>Flight recorder: the last <select value=${seconds} onChange=${(event) => { setView(null); setSeconds(Number(event.target.value)); }}>
      ${[1, 10, 60].map((n) => html`<option value=${n}>${n} s</option>`)}</select></label>
      <${Legend} told=${told} />
      <span class="tools">${view && html`<button id="whole" onClick=${() => setView(null)}>held: show all, live</button>`}
      ${["go", "chrome"].map((format) => html`<a href=${link(`debug/trace?format=${format}`)} download>save as ${format === "go" ? "Go" : "Chrome"} trace</a>`)}</span></h2>
    <${Chart} told=${told} view=${view ?? within(told, told)} setView=${setView} selected=${selected} pick=${pick} setHover=${setHover} />
    <div id="hover">${describe(told, hover) || "drag to zoom, click to choose a task; keys: + − ← → ↑ ↓, Esc"}</div>
  </section>`;
}
