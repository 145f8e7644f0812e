// Draws lanes on a canvas.
import { duration } from "./html.js";
import { AXIS, firstAfter, LANE, styleOf, ticks, xOf } from "./lanes_model.js";

function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let cut = text.slice(0, 60);
  while (cut && context.measureText(cut + "…").width > width) cut = cut.slice(0, -1);
  return cut + "…";
}

function drawAxis(context, { told, view, area, colour }) {
  context.fillStyle = colour("bg");
  context.fillRect(0, 0, area.width, AXIS);
  context.fillStyle = colour("dim");
  context.textAlign = "center";
  for (const time of ticks({ from: view.from - told.to, to: view.to - told.to }, (area.width - area.left) / 130)) {
    const x = xOf(view, area, told.to + time);
    const text = time === 0 ? "now" : duration(time / 1e6);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.max(area.left + half, Math.min(area.width - half - 4, x)), 12);
    context.fillRect(x, AXIS - 3, 1, 3);
  }
  context.textAlign = "left";
}

/** Spans narrower than a pixel are as wide as one; of those at the same pixel and of one style one is drawn. */
function drawSpans(context, lane, y, { view, area, colour }) {
  const end = xOf(view, area, view.to);
  const last = new Map();
  for (let i = firstAfter(lane.spans, view.from); i < lane.spans.length; i++) {
    const [start, size, kind] = lane.spans[i];
    if (start > view.to) break;
    const from = Math.max(area.left, xOf(view, area, start));
    const width = Math.max(1, Math.min(end, xOf(view, area, start + size)) - from);
    const shape = styleOf(kind);
    if (from + width <= last.get(shape)) continue;
    last.set(shape, from + width);
    context.fillStyle = colour(shape.colour);
    context.fillRect(from, y + (LANE - shape.height) / 2, width, shape.height);
  }
}

function drawLane(context, lane, y, scene) {
  const { area, colour, selected } = scene;
  if (lane.id === selected) {
    context.fillStyle = colour("soft");
    context.fillRect(0, y, area.width, LANE);
    context.fillStyle = colour("blue");
    context.fillRect(0, y, 2, LANE);
  }
  context.fillStyle = colour("fg");
  context.fillText(fit(context, lane.name, area.left - 22), 14, y + 13);
  drawSpans(context, lane, y, scene);
}

function drawBrush(context, { brush, area, height, colour }) {
  context.fillStyle = colour("tint");
  context.fillRect(Math.min(...brush), AXIS, Math.abs(brush[1] - brush[0]), height - AXIS);
  context.fillStyle = colour("blue");
  for (const x of brush) context.fillRect(x, AXIS, 1, height - AXIS);
}

/**
 * Draws what is to be seen.
 * scene: told, view, area {left, width}, height, scroll, colour(name), selected (id), brush ([x, x] or null).
 */
export function draw(canvas, scene) {
  const { told, area, height, scroll, colour, brush } = scene;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(area.width * ratio)) canvas.width = Math.round(area.width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = colour("bg");
  context.fillRect(0, 0, area.width, height);
  context.font = '11px ui-monospace, "DejaVu Sans Mono", monospace';
  const first = Math.floor(scroll / LANE);
  const last = Math.min(told.lanes.length - 1, Math.floor((scroll + height - AXIS) / LANE));
  for (let i = first; i <= last; i++) drawLane(context, told.lanes[i], AXIS + i * LANE - scroll, scene);
  drawAxis(context, scene);
  if (brush) drawBrush(context, scene);
}
