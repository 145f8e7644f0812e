// What the page shows, as plain data: no DOM here.

/** Points of a series, a second apart. */
export const POINTS = 120;

const FIGURES = ["t", "tasks", "ready", "switches", "delay_p99_us", "memory_kb", "panics"];

/** The moment in the program's time when the task was spawned: its age grows without being told again. */
const dated = (task, now) => (task.age === undefined ? task : { ...task, born: now - task.age });

/** The state as it has come, with what the page reckons on. */
export const received = (state) => ({ ...state, tasks: state.tasks.map((task) => dated(task, state.now)) });

function extended(series, point) {
  if (!point || point.t <= series.t[series.t.length - 1]) return series;
  return Object.fromEntries(FIGURES.map((name) => [name, [...series[name], point[name] ?? null].slice(-POINTS)]));
}

/** Applies a point, which is a newer time, counters and a sample, to the state before it. */
export function withPoint(state, point) {
  const next = { ...state, ...point, series: extended(state.series, point.point) };
  delete next.point;
  return next;
}

/** The state with the loads of a newer one; a change alone tells which tasks there are. */
export function withLoads(state, newer) {
  const byId = new Map(newer.tasks.map((task) => [task.id, task]));
  const tasks = state.tasks.map((task) => {
    const { busy, delayed } = byId.get(task.id) ?? task;
    return busy === task.busy && delayed === task.delayed ? task : { ...task, busy, delayed };
  });
  return { ...state, tasks };
}

/** Applies a change of /state?since= to the state before it. */
export function apply(state, change) {
  const gone = new Set(change.gone);
  const byId = new Map(state.tasks.filter((task) => !gone.has(task.id)).map((task) => [task.id, task]));
  for (const task of change.tasks) byId.set(task.id, dated(task, change.now));
  return { ...withPoint(state, change), tasks: [...byId.values()].sort((a, b) => a.id - b.id) };
}

/** Live tasks, and those that have ended and that somebody may miss. */
export function shown(state) {
  const live = new Set(state.tasks.map((task) => task.id));
  const ended = state.ended.filter((task) => (task.lost || task.status === "panicked") && !live.has(task.id));
  return [...state.tasks, ...ended].sort((a, b) => a.id - b.id);
}

export const matches = (task, text) =>
  text === "" ||
  [task.name, task.trace_id, task.spawned_at, task.where, task.waiting_on, String(task.id)].some(
    (value) => value && value.toLowerCase().includes(text.toLowerCase()),
  );

/** Equal siblings have the same kind of name, state, wait and place, and no children. */
const kindOf = (task) =>
  [task.name.replace(/\d+/g, "#"), task.status, task.operation, task.spawned_at, task.lost].join("\0");

/** The rows of the tree: each task below its spawner, equal siblings merged. */
export function rows(tasks, marked, text) {
  const known = new Set(tasks.map((task) => task.id));
  const children = new Map();
  for (const task of tasks) {
    const parent = known.has(task.parent) ? task.parent : 0;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(task);
  }
  const out = [];
  const open = [{ list: children.get(0) ?? [], at: 0, merged: new Map() }];
  while (open.length > 0) {
    const top = open[open.length - 1];
    const task = top.list[top.at++];
    if (!task) {
      open.pop();
      continue;
    }
    const below = children.get(task.id);
    const single = below !== undefined || marked.has(task.id);
    const kind = kindOf(task);
    const first = single ? undefined : top.merged.get(kind);
    if (!matches(task, text)) {
      // Its children may match.
    } else if (first) {
      first.count += 1;
      first.ids.push(task.id);
    } else {
      const row = { task, depth: text ? 0 : open.length - 1, count: 1, ids: [task.id] };
      if (!single) top.merged.set(kind, row);
      out.push(row);
    }
    if (below) open.push({ list: below, at: 0, merged: new Map() });
  }
  return out;
}

/** The nodes that arrows join to `start`, also through others. */
function joined(edges, start) {
  const next = new Map();
  const add = (from, to) => next.set(from, [...(next.get(from) ?? []), to]);
  for (const edge of edges) {
    add(edge.from, edge.to);
    add(edge.to, edge.from);
  }
  const found = new Set([start]);
  for (const id of found) for (const one of next.get(id) ?? []) found.add(one); // a set grows while it is walked
  return found;
}

const WEIGHT = { panic: 0, cancelled: 1, blocked: 2, waits: 3 };
const MAX_NODES = 60;

/**
 * The nodes and arrows of the graph: who waits for whom, and how panics and cancellations travelled. If they are
 * too many, those that are joined to the chosen task come first.
 */
export function graph(state, selected) {
  const names = new Map([...state.tasks, ...state.ended].map((task) => [`t${task.id}`, task]));
  const edges = state.edges.filter((edge) => edge.kind in WEIGHT).sort((a, b) => WEIGHT[a.kind] - WEIGHT[b.kind]);
  const near = joined(edges, `t${selected}`);
  const ids = new Set();
  const picked = new Set();
  for (const edge of [...edges.filter((one) => near.has(one.from)), ...edges]) {
    const fresh = [edge.from, edge.to].filter((id) => !ids.has(id));
    if (ids.size + fresh.length > MAX_NODES) continue;
    for (const id of fresh) ids.add(id);
    picked.add(edge);
  }
  const drawn = edges.filter((edge) => picked.has(edge));
  const nodes = new Map(drawn.flatMap((edge) => [edge.from, edge.to]).map((id) => [id, names.get(id)]));
  return { nodes, edges: drawn, omitted: edges.length - drawn.length };
}

/** A warning stays the same while it is about the same kind and the same first task, or says the same. */
export const keyOf = (warning) => `${warning.kind} ${warning.detail ?? warning.tasks[0]}`;

/** Which warnings a task has, by its id. Lost tasks are red anyway. */
export function marksOf(warnings) {
  const found = new Map();
  for (const warning of warnings) {
    if (warning.kind === "lost") continue;
    for (const id of warning.tasks) found.set(id, [...(found.get(id) ?? []), warning.kind]);
  }
  return found;
}

const MAX_LISTED = 1000;

/** Rows of the tasks of a warning alone, also of those that are not among the listed ones. */
export function listed(tasks, warning, text) {
  const byId = new Map((warning.leaked ?? []).map((one) => [one.task, { id: one.task, name: one.name, status: "waiting", where: one.site }]));
  for (const task of tasks) byId.set(task.id, task);
  return warning.tasks.slice(0, MAX_LISTED)
    .map((id) => byId.get(id) ?? { id, name: `task ${id}`, status: "not listed" })
    .filter((task) => matches(task, text))
    .map((task) => ({ task, depth: 0, count: 1, ids: [task.id] }));
}

const MAX_NAMES = 4096;

/** Adds the names of the tasks to those that were seen before, of which the oldest are forgotten. */
export function remember(names, tasks) {
  for (const { id, name } of tasks) if (!names.has(id)) names.set(id, name);
  for (const id of names.keys()) {
    if (names.size <= MAX_NAMES) break;
    names.delete(id);
  }
}
