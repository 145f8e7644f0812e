// The policies that have a name: states, figures, and a supervisor's children. Before them, deadlocks that co.order foretells.
import { duration, html, number } from "./html.js";

const COLOUR = {
  closed: "green", open: "red", "half-open": "amber", isolated: "red",
  running: "green", waiting: "amber", ended: "amber", left: "red",
};

// Which figures of a kind are shown, and their names; those in BAD are red unless they are 0.
const FIGURES = {
  supervisor: [["restarts"], ["left", "left behind"]],
  boundary: [["runs"], ["trips"], ["fallbacks"], ["timeouts", "time-outs"]],
  hedge: [["calls"], ["hedges"], ["won"], ["denied"]],
  retry: [["calls"], ["retries"], ["failed"], ["denied"]],
  budget: [["calls"], ["extra"], ["denied"]],
  breaker: [["ok"], ["failed"], ["refused"], ["opened"]],
  bulkhead: [["running"], ["waiting"], ["ok"], ["refused"]],
};
const BAD = new Set(["trips", "refused", "denied", "left"]);

/** Shows a trace: the panic that is known of it, or else its tasks. */
const Trace = ({ id, panics, pick, search }) => {
  const panic = panics.findLast((one) => one.trace_id === id);
  const show = () => (panic ? pick(panic.task) : search(id));
  return html`<button class="trace" onClick=${show} title=${`trace ${id}`}>trace ${id.slice(0, 8)}…</button>`;
};

const Child = ({ child, panics, pick, search }) => html`<div class="child">
  <span class="name">${child.id}</span>
  <span class=${"chip " + (COLOUR[child.status] ?? "")}>${child.status}</span>
  ${child.restarts > 0 && html`<span class="chip">restarted ×${number(child.restarts)}</span>`}
  ${child.task && html`<button onClick=${() => pick(child.task)}>task ${child.task}</button>`}
  ${child.last_panic && html`<span>panicked in <${Trace} id=${child.last_panic} panics=${panics} pick=${pick} search=${search} /></span>`}
</div>`;

function Policy({ policy, figures, ...rest }) {
  return html`<div class="policy" data-policy=${`${policy.kind} ${policy.name}`}>
    <span class="kind">${policy.kind}</span><span class="name">${policy.name}</span>
    ${policy.state && html`<span class=${"chip " + COLOUR[policy.state]}>${policy.state}</span>`}
    ${FIGURES[policy.kind].map(([key, name]) => html`<span class=${BAD.has(key) && figures[key] > 0 ? "bad" : ""} data-figure=${key}>${number(figures[key] ?? 0)} ${name ?? key}</span>`)}
    ${figures.retry_after > 0 && html`<span>a probe in ${duration(Math.ceil(figures.retry_after))}</span>`}
    ${policy.opened_by && html`<span>opened by <${Trace} id=${policy.opened_by} ...${rest} /></span>`}
    ${policy.children?.map((child) => html`<${Child} key=${child.id} child=${child} ...${rest} />`)}
  </div>`;
}

/** Nothing if there are none, and no deadlock is foretold. */
export function Policies({ state, pick, search }) {
  const foretold = state.warnings.filter((warning) => warning.kind === "order");
  if (state.policies.length === 0 && foretold.length === 0) return null;
  return html`<section id="policies"><h2>${state.policies.length === 0 ? "Order of locks" : "Policies"}</h2>
    ${foretold.map((warning) => html`<div class="policy order" key=${warning.detail}><span class="kind">order</span><span class="detail">${warning.detail}</span></div>`)}
    ${state.policies.map((policy, i) => html`<${Policy} key=${`${policy.kind} ${policy.name} ${i}`} policy=${policy} figures=${state.figures[i] ?? {}}
      panics=${state.panics} pick=${pick} search=${search} />`)}
    ${state.policies_omitted > 0 && html`<div class="note">${number(state.policies_omitted)} more are not listed.</div>`}
  </section>`;
}
