// The selected task: its panics, stack, spans and last events.
import { duration, html } from "./html.js";
import { useAnswer } from "./server.js";

const Part = ({ name, children }) => html`<h3>${name}</h3>${children}`;

function endOf(ended) {
  const who = ended.source ? ` by ${ended.source}` : "";
  return `ended ${ended.status}${who}${ended.claimed ? "" : ", and nobody looked"}`;
}

const Spans = ({ spans }) => {
  const longest = Math.max(...spans.map((span) => span.duration), 1e-9);
  return html`<${Part} name="Spans, the newest first"><table id="spans">
    ${spans.toReversed().map((span) => html`<tr><td>${span.name}</td><td class=${span.status === "error" ? "bad" : ""}>${span.status}</td><td>${duration(span.duration)}</td>
      <td><i class="length" style=${`width:${Math.max(1, (120 * span.duration) / longest)}px`}></i></td></tr>`)}</table></${Part}>`;
};

function told(event) {
  return [event.wait && `for ${event.wait}`, event.text, event.by && `by task ${event.by}`, event.span && `span ${event.span}`,
    event.site && `at ${event.site}`].filter(Boolean).join(" ");
}

const Events = ({ events }) => html`<${Part} name="Last events, the newest first"><table id="events">
  ${events.toReversed().map((event) => html`<tr><td>${duration(event.age_ms / 1e3)} ago</td><td>${event.what}</td><td>${told(event)}</td></tr>`)}</table></${Part}>`;

/** `version` changes when the task is to be asked for again. */
export function Detail({ id, version }) {
  const { body, gone } = useAnswer(id === null ? null : `task/${id}`, version);
  if (id === null) return html`<section id="detail"><h2>Choose a task</h2></section>`;
  if (!body) return html`<section id="detail"><h2>task ${id}${gone && " has ended, and is not kept any more"}</h2></section>`;
  const { ended, stack, panics, spans, events } = body;
  const task = body.task ?? ended ?? { name: "?", status: "has ended" };
  const facts = [task.trace_id && `trace ${task.trace_id}`, ended && endOf(ended)].filter(Boolean).join("\n");
  return html`<section id="detail" tabindex="0"><h2>task ${id} "${task.name}" ${gone ? "has ended; this is the last that was known" : task.status}</h2>
    ${facts && html`<pre>${facts}</pre>`}
    ${panics.length > 0 && html`<${Part} name="Record"><pre id="record">${panics.map((panic) => (panic.recovered ? "recovered " : "") + panic.report).join("\n\n")}</pre></${Part}>`}
    ${stack && html`<${Part} name="Stack"><pre id="stack">${stack}</pre></${Part}>`}
    ${spans?.length > 0 && html`<${Spans} spans=${spans} />`}
    ${events?.length > 0 && html`<${Events} events=${events} />`}
  </section>`;
}
