// Small curves of the last two minutes, of which the newest point is at the right.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colours, html, onScheme } from "./html.js";
import { POINTS } from "./model.js";

const WIDTH = 92;
const HEIGHT = 22;

function options(element, point) {
  const colour = (name) => () => colours(element)(name);
  return {
    width: WIDTH, height: HEIGHT, padding: [2, 0, 1, 0], legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: (_, first, last) => (last === null ? [0, 1] : [last - POINTS + 1, last]) },
      y: { range: (_, least, most) => [0, Math.max(1, most ?? 1)] },
    },
    series: [{}, { stroke: colour("blue"), fill: colour("tint"), width: 1.2, points: { show: false } }],
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? null)] },
  };
}

/** A curve of `ys` over `xs`. `at` is the index of the point that is looked at, null: none; `point` sets it. */
export function Spark({ xs, ys, at, point }) {
  const place = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    plot.current = new uPlot(options(place.current, point), [xs, ys], place.current);
    place.current.plot = plot.current;
    const stop = onScheme(() => plot.current.redraw(false));
    return () => { stop(); plot.current.destroy(); };
  }, []);
  useEffect(() => plot.current.setData([xs, ys]), [xs, ys]);
  useEffect(() => {
    const left = at === null || at >= xs.length ? -10 : plot.current.valToPos(xs[at], "x");
    plot.current.setCursor({ left, top: 0 }, false);
  }, [at, xs]);
  return html`<div class="spark" ref=${place}></div>`;
}
