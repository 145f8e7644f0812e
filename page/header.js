import { useState } from "preact/hooks";
import { duration, html, number } from "./html.js";
import { keyOf } from "./model.js";
import { link } from "./server.js";
import { Spark } from "./spark.js";

const FIGURES = [
  ["tasks", "tasks", number],
  ["ready", "ready", number],
  ["switches", "switches/s", (value) => number(Math.round(value))],
  ["delay_p99_us", "delay p99", (value) => duration(value / 1e6)],
  ["memory_kb", "memory", (value) => (value < 10240 ? `${number(Math.round(value))} KB` : `${number(Math.round(value / 1024))} MB`)],
  ["panics", "panics", number],
];

function Figures({ series }) {
  const [at, point] = useState(null);
  const last = series.t.length - 1;
  const here = at === null || at > last ? last : at;
  const move = (event) => {
    if (event.key === "Escape") point(null);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    point(Math.max(0, Math.min(last, here + step)));
  };
  return html`<div id="figures" role="group" tabindex="0" onKeyDown=${move} onBlur=${() => point(null)}
    aria-label="the last two minutes: arrow keys look back">
    ${FIGURES.map(([key, name, show]) => html`<div class="figure" key=${key} data-figure=${key}>
      <small>${name}</small><b>${series[key][here] == null ? "–" : show(series[key][here])}</b>
      <${Spark} xs=${series.t} ys=${series[key]} at=${at} point=${point} /></div>`)}
    <span class="ago">${here === last ? "" : `${Math.round(series.t[last] - series.t[here])} s ago`}</span>
  </div>`;
}

/** Looks for tasks that nothing can wake: the server does that only if asked, because it stops the program for a moment. */
function Leaks() {
  const [text, say] = useState("find leaks");
  const look = () => {
    say("looking for leaks");
    fetch(link("leaks"))
      .then((response) => response.json())
      .then((found) => say(found.count === 0 ? "no leaks" : found.count === 1 ? "1 leak" : `${number(found.count)} leaks`))
      .catch(() => say("leaks: no answer"));
  };
  return html`<button id="leaks" onClick=${look} title="one full collection: the program stands still meanwhile">${text}</button>`;
}

/** `only` is the warning whose tasks alone are listed, by keyOf; null: all are. */
export function Header({ state, live, only, show }) {
  return html`<header>
    <h1>${state.title}</h1>
    <${Figures} series=${state.series} />
    <span class="warnings">
      ${state.warnings.map((warning) => html`<button key=${keyOf(warning)} aria-pressed=${only === keyOf(warning)}
        class=${warning.kind === "leak" || warning.kind === "order" ? "amber" : "red"}
        title=${"lists these tasks alone" + (warning.detail ? `; ${warning.detail}` : "")}
        onClick=${() => show(warning)}>${warning.text}</button>`)}
      <${Leaks} />
      <span class=${"chip " + (live ? "green" : "amber")}>${live ? "live" : "connecting"}</span>
    </span>
  </header>`;
}
