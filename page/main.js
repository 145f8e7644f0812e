import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Detail } from "./detail.js";
import { Graph } from "./graph.js";
import { Header } from "./header.js";
import { html } from "./html.js";
import { Lanes } from "./lanes.js";
import { keyOf, marksOf, remember } from "./model.js";
import { Policies } from "./policies.js";
import { useServer } from "./server.js";
import { Tasks } from "./tasks.js";

/** The key / leads to the search, wherever the focus is. */
function toSearch(event) {
  if (event.key !== "/" || event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  document.querySelector("input[type=search]").focus();
}

function App() {
  const [state, live] = useServer();
  const [selected, pick] = useState(null);
  const [only, setOnly] = useState(null);
  const [text, setText] = useState("");
  const list = useRef(null);
  const marks = useMemo(() => marksOf(state?.warnings ?? []), [state?.warnings]);
  const names = useRef(new Map());
  useMemo(() => state && remember(names.current, [...state.ended, ...state.tasks]), [state?.tasks, state?.ended]);
  useEffect(() => list.current?.querySelector(".row.selected")?.scrollIntoView({ block: "nearest" }), [selected]);
  useEffect(() => {
    document.addEventListener("keydown", toSearch);
    return () => document.removeEventListener("keydown", toSearch);
  }, []);
  if (!state) return html`<header><h1>Trace Explorer</h1><span class="chip amber">connecting</span></header>`;
  const warning = state.warnings.find((one) => keyOf(one) === only);
  const show = (one) => {
    setOnly(only === keyOf(one) ? null : keyOf(one));
    if (only !== keyOf(one)) pick(one.tasks[0]);
  };
  return html`<${Header} state=${state} live=${live} only=${only} show=${show} />
    <div ref=${list} style="display:contents"><${Tasks} state=${state} selected=${selected} marks=${marks} pick=${pick}
      only=${warning} showAll=${() => setOnly(null)} text=${text} setText=${setText} /></div>
    <div id="right"><${Policies} state=${state} pick=${pick} search=${setText} />
      <${Graph} state=${state} selected=${selected} marks=${marks} pick=${pick} />
      <${Detail} id=${selected} version=${state.now} /></div>
    <${Lanes} selected=${selected} pick=${pick} names=${names.current} />`;
}

render(html`<${App} />`, document.getElementById("app"));
