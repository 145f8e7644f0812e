import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);

/** Numbers as people read them. */
export const number = (value) => value.toLocaleString("en-US");

/** A duration in seconds, in the unit that leaves few digits. */
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (size < 1) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (size < 60) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The colours of the present scheme, for what is drawn and not styled. */
export function colours(element) {
  const style = getComputedStyle(element);
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, style.getPropertyValue(`--${name}`));
    return known.get(name);
  };
}

/** Calls `fn` when the person changes between light and dark; returns a function that stops it. */
export function onScheme(fn) {
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", fn);
  return () => query.removeEventListener("change", fn);
}
