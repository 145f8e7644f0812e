// Catapult, the importer behind chrome://tracing, reads what `coropanic trace --to chrome` writes: it has nothing to
// warn of, and finds what the recorder has recorded. Go's tool trace has a copy of it: node page/catapult.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const here = new URL(".", import.meta.url).pathname;
const viewer = process.env.CATAPULT ?? "/usr/share/go-1.19/src/cmd/trace/static/";
const site = "http://catapult.invalid/"; // no request leaves the browser

const folder = mkdtempSync(join(tmpdir(), "catapult-"));
const recordings = execFileSync(process.env.LUA ?? "lua5.4", [here + "recordings.lua", folder], { encoding: "utf8" });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  const html = '<!doctype html><script src="webcomponents.min.js"></script>'
    + '<link rel="import" href="trace_viewer_full.html"><body></body>';
  await page.route("**", (route) => {
    const name = route.request().url().slice(site.length);
    if (name === "") return route.fulfill({ contentType: "text/html", body: html });
    return ["webcomponents.min.js", "trace_viewer_full.html"].includes(name)
      ? route.fulfill({ body: readFileSync(viewer + name), contentType: name.endsWith("js") ? "text/javascript" : "text/html" })
      : route.abort();
  });
  await page.goto(site);
  await page.waitForFunction(() => window.tr?.importer?.Import && window.tr.Model);
  return page;
}

// What the importer makes of a file.
const read = async (text) => {
  const model = new tr.Model();
  await new tr.importer.Import(model).importTraces([text]);
  const found = { warnings: model.importWarnings.map((w) => w.message), turns: 0, waits: 0, spans: 0, arrows: model.flowEvents.length, marks: 0, threads: 0 };
  for (const process of Object.values(model.processes)) {
    found.marks += process.instantEvents.length;
    for (const thread of Object.values(process.threads)) {
      found.threads += 1;
      for (const slice of thread.sliceGroup.slices) found[slice.category === "event" ? "marks" : "turns"] += 1;
      for (const slice of thread.asyncSliceGroup.slices) for (const s of [slice, ...slice.enumerateAllDescendents()])
        found[s.category === "span" ? "spans" : "waits"] += 1;
    }
  }
  return found;
};

let passed = 0;
try {
  const page = await open();
  for (const line of recordings.trim().split("\n")) {
    const [name, ...counts] = line.split(" ");
    const [turns, waits, spans, arrows, marks, threads] = counts.map(Number);
    const found = await page.evaluate(read, readFileSync(join(folder, name + ".json"), "utf8"));
    assert.deepEqual(found, { warnings: [], turns, waits, spans, arrows, marks, threads }, name);
    passed += 1;
  }
  assert.ok(passed > 0);
  console.log(`catapult: ${passed} passed, 0 failed`);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
