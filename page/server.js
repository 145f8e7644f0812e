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

/** What `path` answers, anew when `version` changes; null before it has come, or if there is nothing. */
export function useAnswer(path, version) {
  const [answer, setAnswer] = useState({ path: null, body: null });
  useEffect(() => {
    if (path === null) return undefined;
    const control = new AbortController();
    fetch(link(path), { signal: control.signal })
      .then((response) => (response.ok ? response.json() : null))
      .then((body) => setAnswer({ path, body }))
      .catch(() => {}); // Aborted, or the server is gone: the header says so.
    return () => control.abort();
  }, [path, version]);
  return answer.path === path ? answer.body : undefined;
}
