// What the page asks its server, and nobody else.
import { useEffect, useState } from "preact/hooks";
import { apply, received, withLoads, withPoint } from "./model.js";

const token = new URLSearchParams(location.search).get("token");

/** A path of the server, with the token that the page was opened with. */
export const link = (path) =>
  path + (token ? (path.includes("?") ? "&" : "?") + "token=" + encodeURIComponent(token) : "");

const REFRESH = 5000; // milliseconds

/** Asks for the whole state: how busy a task is comes with no change. */
function refresh(setState) {
  if (document.hidden) return;
  fetch(link("state"), { cache: "no-store" })
    .then((response) => response.json())
    .then((state) => setState((before) => before && withLoads(before, state)))
    .catch(() => {}); // The server is gone: the header says so.
}

/** The state, null before the first one has come, and whether the server answers. */
export function useServer() {
  const [state, setState] = useState(null);
  const [live, setLive] = useState(false);
  useEffect(() => {
    const source = new EventSource(link("state?since=0"));
    const on = (name, change) =>
      source.addEventListener(name, (event) => setState((before) => change(before, JSON.parse(event.data))));
    on("state", (_, state) => received(state));
    on("change", apply);
    on("point", withPoint);
    source.onopen = () => setLive(true);
    source.onerror = () => setLive(false);
    const timer = setInterval(() => refresh(setState), REFRESH);
    return () => { source.close(); clearInterval(timer); };
  }, []);
  return [state, live];
}

/**
 * What `path` answers, anew when `version` changes: the last `body` (null: none has come), and whether it is
 * `gone`. What is gone is not asked for again.
 */
export function useAnswer(path, version) {
  const [answer, setAnswer] = useState({ path: null, body: null, gone: false });
  const known = answer.path === path ? answer : { path, body: null, gone: false };
  useEffect(() => {
    if (path === null || known.gone) return undefined;
    const control = new AbortController();
    const read = async (response) => (response.ok ? { path, body: await response.json(), gone: false } : { ...known, gone: response.status === 404 });
    fetch(link(path), { signal: control.signal }).then(read).then(setAnswer)
      .catch(() => {}); // Aborted, or the server is gone: the header says so.
    return () => control.abort();
  }, [path, version]);
  return known;
}
