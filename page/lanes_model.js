// Lanes as plain data: what is seen, where it is drawn, what is under the pointer. Times are microseconds.

export const LANE = 18; // pixels of height
export const AXIS = 18; // pixels above the first lane
export const LEAST = 10; // microseconds that a view has at least

/** How a kind of span is drawn: its colour, the height in the lane, what the legend says. */
const RUN = { colour: "green", height: 12, text: "running" };
const READY = { colour: "amber", height: 8, text: "ready, not yet running" };
const wait = (colour, text) => ({ colour, height: 3, text: `waits for ${text}` });
const TIME = wait("dim", "time");
const CHANNEL = wait("blue", "a channel");
const LOCK = wait("red", "a lock");
const TASK = wait("teal", "tasks or events");
const DESCRIPTOR = wait("violet", "a descriptor");
const OTHER = wait("dim", "something else");
const STYLES = [RUN, READY, TIME, CHANNEL, LOCK, TASK, DESCRIPTOR, OTHER];
const KINDS = {
  run: RUN, ready: READY, sleep: TIME, send: CHANNEL, receive: CHANNEL, select: CHANNEL, lock: LOCK, "read lock": LOCK,
  "write lock": LOCK, acquire: LOCK, once: LOCK, join: TASK, await: TASK, wait: TASK, "end of scope": TASK, wait_fd: DESCRIPTOR,
};

export const styleOf = (kind) => KINDS[kind] ?? OTHER;

/** What a kind of span is called: waits by their word. */
export const nameOf = (kind) => (kind === "run" || kind === "ready" ? KINDS[kind].text : `waiting (${kind})`);

/** The styles that the lanes have, in the order of the legend. */
export function stylesOf(lanes) {
  const found = new Set();
  for (const lane of lanes) for (const span of lane.spans) found.add(styleOf(span[2]));
  return STYLES.filter((style) => found.has(style));
}

/** The answer of /lanes, with the moments of the window in the time of the spans. */
export const inSpanTime = (answer) => ({ ...answer, from: 0, to: (answer.to - answer.from) * 1e6 });

/** A view within [from, to] that is not smaller than LEAST. */
export function within(whole, view) {
  const size = Math.min(Math.max(view.to - view.from, LEAST), Math.max(whole.to - whole.from, LEAST));
  const from = Math.max(whole.from, Math.min(view.from, whole.to - size));
  return { from, to: from + size };
}

/** A view `factor` times as large, around the moment `centre`. */
export const zoomed = (view, factor, centre) =>
  ({ from: centre - (centre - view.from) * factor, to: centre + (view.to - centre) * factor });

export const moved = (view, by) => {
  const step = (view.to - view.from) * by;
  return { from: view.from + step, to: view.to + step };
};

/** Where the lanes stand: `left` pixels of names, then the time until `width`. */
export const xOf = (view, area, time) => area.left + ((time - view.from) / (view.to - view.from)) * (area.width - area.left);
export const timeAt = (view, area, x) => view.from + ((x - area.left) / (area.width - area.left)) * (view.to - view.from);

/** The lane at a height of the canvas, scrolled by `scroll`; undefined: none. */
export const laneAt = (lanes, y, scroll) => (y < AXIS ? undefined : lanes[Math.floor((y - AXIS + scroll) / LANE)]);

/** The last span of a lane that has begun at `time` and has not ended `slack` before; undefined: none. */
export function spanAt(lane, time, slack) {
  let low = 0;
  let high = lane.spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane.spans[middle][0] <= time + slack) low = middle + 1;
    else high = middle;
  }
  const span = lane.spans[low - 1];
  return span && span[0] + span[1] + slack >= time ? span : undefined;
}

/** The first span that ends at `time` or later: there drawing begins. */
export function firstAfter(spans, time) {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle][0] + spans[middle][1] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Moments for the axis, at round distances, at most `most` of them. */
export function ticks(view, most) {
  const size = (view.to - view.from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(size));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= size) ?? 10 * power;
  const out = [];
  for (let n = Math.ceil(view.from / step); n * step <= view.to; n++) out.push(n * step || 0);
  return out;
}
