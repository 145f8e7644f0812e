// The page in a real browser: node page/test.mjs [FOLDER FOR SCREENSHOTS]
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const here = new URL(".", import.meta.url).pathname;
const folder = process.argv[2];
let passed = 0;
const check = (name, holds) => {
  assert.ok(holds, name);
  passed += 1;
};

// The page's policy allows no eval, which waitForFunction needs.
async function until(holds) {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it has not come: " + holds);
}

const near = (a, b, slack) => Math.abs(a - b) <= slack;

async function start(...args) {
  const program = spawn(process.env.LUA ?? "lua5.4", [here + "program.lua", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  const url = (await lines.next()).value;
  const ids = (await lines.next()).value.split(" ").map(Number);
  return { url, ids, stop: () => program.stdin.end() };
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function open(url, width, height, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  page.setDefaultTimeout(15000);
  const problems = [];
  const got = {}; // the last answers by path
  page.on("response", async (response) => {
    const path = new URL(response.url()).pathname;
    if (["/lanes", "/state"].includes(path) && !response.url().includes("since")) got[path] = await response.json().catch(() => got[path]);
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) problems.push("remote: " + request.url());
  });
  await page.goto(url);
  await page.waitForSelector(".row");
  return { page, problems, got };
}

const idsOf = (page) =>
  page.$$eval(".row", (rows) => rows.flatMap((row) => row.dataset.ids.split(" ").map(Number)));

async function looks(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  const state = await (await page.request.get(program.url + "state")).json();
  const listed = new Set(await idsOf(page));
  check("a row shows each task of co.tasks", program.ids.every((id) => listed.has(id)));
  const lost = new Set(state.ended.filter((task) => task.lost).map((task) => task.id));
  check("the program has lost tasks", lost.size === 3);
  check("the lost are red", (await page.locator(".name.lost").count()) === 3);
  check("equal siblings are merged", (await page.locator(".row", { hasText: "×41" }).count()) === 1);
  const told = new Set(state.edges.filter((e) => e.kind !== "spawned").map((e) => `${e.from} ${e.kind} ${e.to}`));
  const drawn = await page.$$eval("path[data-edge]", (paths) => paths.map((path) => path.dataset.edge));
  check("the arrows are those of the state", drawn.length === told.size && drawn.every((edge) => told.has(edge)));
  check("the cycle is marked", (await page.locator(".edge-cycle").count()) === 2);
  check("the panic has a blue way", (await page.locator(".edge-panic").count()) > 0);
  check("a name that is markup is text", (await page.title()) === "Trace Explorer");
  check("... and is shown", await page.locator(".row", { hasText: "<script>" }).isVisible());

  await page.locator(".row", { hasText: "price lookup" }).first().click();
  await page.waitForSelector("#detail pre");
  await page.locator("#detail pre", { hasText: "no price for order 7" }).waitFor();
  check("a click shows the panic", true);
  await page.locator(".warnings button", { hasText: "wait for each other" }).click();
  await page.locator("#detail pre", { hasText: "waiting on lock" }).waitFor();
  check("a warning leads to its task, with its stack", true);
  check("... and lists its tasks alone", (await page.locator(".row").count()) === 2);
  await page.locator("[role=listbox]").focus();
  const before = await page.locator(".row.selected").getAttribute("data-ids");
  await page.keyboard.press("ArrowDown");
  await until(async () => (await page.locator(".row.selected").getAttribute("data-ids")) !== before);
  check("the arrow keys move the choice", true);
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator(".row").count()) > 2);
  check("escape lists all again", true);
  await page.keyboard.press("/");
  check("the key / leads to the search", await page.evaluate(() => document.activeElement.type === "search"));
  await page.fill("input[type=search]", "audit log");
  await until(async () => (await page.locator(".row").count()) === 1);
  check("a search leaves what matches", true);
  await page.fill("input[type=search]", state.tasks[0].trace_id.slice(0, 20));
  await until(async () => (await page.locator(".row").count()) > 1);
  check("a trace id is searched too", true);
  assert.deepEqual(problems, []);
  check("the console has no error, and nothing is asked elsewhere", true);
  await page.close();
}

/** As somebody who wants to know what the work costs: the search, a row, its spans and events, the row's bar. */
async function tellsOfTask(program) {
  const { page, problems, got } = await open(program.url, 1440, 900, "light");
  await page.fill("input[type=search]", "price cache");
  await until(async () => (await page.locator(".row").count()) === 1);
  await page.locator(".row").click();
  await page.locator("#spans tr", { hasText: "refresh prices" }).first().waitFor();
  check("the spans are shown", (await page.locator("#spans tr", { hasText: "write prices" }).count()) > 0);
  const lines = await page.locator("#events tr").allTextContents();
  check("... and the last events, with their places", lines.some((line) => /park.*for sleep.*program\.lua:\d+/.test(line)));
  check("... and the stack", (await page.locator("#stack").textContent()).includes("program.lua"));
  const task = () => got["/state"]?.tasks.find((one) => one.name === "price cache");
  await until(async () => {
    const width = await page.locator(".row .busy").evaluate((bar) => parseFloat(bar.style.width));
    return task()?.busy > 0 && near(width, 100 * task().busy, 0.001);
  });
  check("the row's bar is what the server says", true);
  check("... with the age", /^\d+ (s|min)/.test(await page.locator(".row .age").textContent()));
  assert.deepEqual(problems, []);
  await page.close();
}

/** As somebody who is told that prices are missing: which breaker is open, since which trace, and what was it? */
async function tellsOfPolicies(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  const state = await (await page.request.get(program.url + "state")).json();
  const breaker = page.locator("[data-policy='breaker price service']");
  check("an open breaker is red", (await breaker.locator(".chip.red").textContent()) === "open");
  const figure = (policy, name) => policy.locator(`[data-figure=${name}]`).textContent();
  check("... with what it has refused", (await figure(breaker, "refused")) === "3 refused" && (await figure(breaker, "ok")) === "1 ok");
  const { opened_by } = state.policies.find((policy) => policy.name === "price service");
  check("... and the trace that has opened it", (await breaker.locator(".trace").getAttribute("title")) === `trace ${opened_by}`);
  await breaker.locator(".trace").click();
  await page.locator("#record", { hasText: "no prices today" }).waitFor();
  check("a click on the trace shows its panic", (await page.locator("#record").textContent()).includes(opened_by));
  const keeper = page.locator("[data-policy='supervisor post office']");
  check("a supervisor shows its restarts", (await figure(keeper, "restarts")) === "2 restarts");
  const child = keeper.locator(".child");
  check("... and its child", /outbox\s*running\s*restarted ×2/.test(await child.textContent()));
  await child.locator("button", { hasText: /^task \d+$/ }).click();
  await page.locator("#detail h2", { hasText: '"post office/outbox" waiting' }).waitFor();
  check("a click on the child's task chooses it", true);
  assert.deepEqual(problems, []);
  await page.close();
}

/** As somebody who wants no deadlock to happen. */
async function foretells(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  const button = page.locator(".warnings button", { hasText: "possible deadlock: cellar, shelf" });
  check("a deadlock that has not happened is warned of", (await button.count()) === 1);
  const detail = await page.locator("#policies .order .detail").allTextContents();
  check("... with its places", detail.some((text) => /program\.lua:\d+ locks "cellar" while holding "shelf".*locks "shelf" while holding "cellar"/.test(text)));
  await button.click();
  await until(async () => (await page.locator(".row").count()) === 2);
  check("a click lists its tasks", true);
  assert.deepEqual(problems, []);
  await page.close();
}

async function findsLeaks(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  await page.locator("button", { hasText: "find leaks" }).click();
  await page.locator("#leaks", { hasText: /^1 leak$/ }).waitFor();
  await page.locator(".warnings button", { hasText: "nothing can wake" }).click();
  await until(async () => (await page.locator(".row").count()) === 1);
  check("the leak alone is listed", await page.locator(".row", { hasText: "reply to nobody" }).isVisible());
  check("... and marked", (await page.locator(".row .chip.amber").textContent()) === "leak");
  await page.locator("#only").click();
  await until(async () => (await page.locator(".row").count()) > 1);
  check("a click lists all again", true);
  assert.deepEqual(problems, []);
  await page.close();
}

async function drawsFigures(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  const drawn = () => page.$$eval(".figure", (figures) => figures.map((figure) => [figure.dataset.figure, figure.querySelector(".spark").plot.data]));
  await until(async () => (await drawn())[0][1][0].length > 2);
  const figures = await drawn();
  const { series } = await (await page.request.get(program.url + "state")).json();
  check("six figures have a curve", figures.length === 6);
  for (const [name, [xs, ys]] of figures) {
    const first = series.t.indexOf(xs[0]);
    assert.deepEqual([...xs], series.t.slice(first, first + xs.length));
    assert.deepEqual([...ys], series[name].slice(first, first + xs.length));
  }
  check("the curves have the points of the series", true);
  const inked = await page.$$eval(".spark canvas", (all) => all.filter((canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)).length);
  check("... and are drawn", inked === 6);
  await page.locator("#figures").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await until(async () => /^\d s ago$/.test(await page.locator(".ago").textContent()));
  check("the keyboard looks back", true);
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator(".ago").textContent()) === "");
  await page.locator("[data-figure=memory_kb] .spark").hover({ position: { x: 90, y: 10 } });
  await page.mouse.move(0, 0);
  assert.deepEqual(problems, []);
  await page.close();
}

const viewOf = (page) => page.$eval("#chart", (chart) => ({ from: Number(chart.dataset.from), to: Number(chart.dataset.to) }));
const sizeOf = ({ from, to }) => to - from;
const COLOURS = { run: "green", ready: "amber", sleep: "dim", wait_fd: "violet", receive: "blue", lock: "red" };
const LEFT = 190; // of the time
const TOP = 18; // of the lanes
const HEIGHT = 18; // of a lane

/** The middles of spans that are some pixels wide, and the colours that they are to have. */
function visible(told, view, width) {
  const x = (time) => LEFT + ((time - view.from) / sizeOf(view)) * (width - LEFT);
  return told.lanes.slice(0, 5).flatMap((lane, row) => lane.spans
    .map(([start, size, kind]) => ({ from: x(start), to: x(start + size), y: TOP + row * HEIGHT + HEIGHT / 2, kind }))
    .filter(({ from, to, kind }) => from > LEFT && to < width && to - from > 4 && COLOURS[kind]));
}

async function zooms(program) {
  const { page, problems, got } = await open(program.url, 1440, 900, "light");
  await until(() => got["/lanes"]?.to - got["/lanes"]?.from > 1);
  const chart = await page.locator("#chart").boundingBox();
  const whole = await viewOf(page);
  const pixel = sizeOf(whole) / (chart.width - LEFT);
  const at = (share) => chart.x + LEFT + share * (chart.width - LEFT);
  await page.mouse.move(at(0.8), chart.y + 40);
  await page.mouse.down();
  await page.mouse.move(at(0.85), chart.y + 40);
  await page.mouse.move(at(0.9), chart.y + 40);
  await page.mouse.up();
  await page.locator("#whole").waitFor();
  const held = got["/lanes"];
  const size = (held.to - held.from) * 1e6;
  const brushed = await viewOf(page);
  check("a brush zooms to what it covers", near(sizeOf(brushed), 0.1 * size, 3 * pixel) && near(brushed.from, 0.8 * size, 3 * pixel));
  await page.locator("#chart").focus();
  await page.keyboard.press("+");
  await until(async () => near(sizeOf(await viewOf(page)), sizeOf(brushed) / 2, 1));
  await page.keyboard.press("ArrowLeft");
  await until(async () => near((await viewOf(page)).from, brushed.from + 0.15 * sizeOf(brushed), 2));
  check("the keyboard zooms and moves", true);
  for (let i = 0; i < 2; i++) await page.keyboard.press("+");
  await until(async () => near(sizeOf(await viewOf(page)), sizeOf(brushed) / 8, 1));
  const spans = visible(held, await viewOf(page), chart.width);
  const wrong = await page.$eval("#chart canvas", (canvas, [list, colours]) => {
    const style = getComputedStyle(canvas);
    const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return list.filter(({ from, to, y, kind }) => {
      const at = 4 * (y * width + Math.floor((from + to) / 2));
      return "#" + [...data.slice(at, at + 3)].map((n) => n.toString(16).padStart(2, "0")).join("") !== style.getPropertyValue(`--${colours[kind]}`);
    });
  }, [spans, COLOURS]);
  check("spans are drawn where they were", spans.length >= 3 && spans.some(({ kind }) => kind === "run"));
  assert.deepEqual(wrong, [], "colours of spans");
  const lives = (lane) => program.ids.includes(lane?.id);
  const lane = held.lanes.findIndex((one, i) => lives(one) && lives(held.lanes[i + 1]));
  const scroll = await page.$eval("#chart", (element, top) => { element.scrollTop = top; return element.scrollTop; }, HEIGHT * (lane - 2));
  await page.mouse.click(at(0.5), chart.y + TOP + (lane + 0.5) * HEIGHT - scroll);
  await page.locator("#detail h2", { hasText: `task ${held.lanes[lane].id} ` }).waitFor();
  check("a click chooses the lane's task", true);
  await page.keyboard.press("ArrowDown");
  await page.locator("#detail h2", { hasText: `task ${held.lanes[lane + 1].id} ` }).waitFor();
  check("... and so do the keys", true);
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator("#whole").count()) === 0);
  check("escape shows all again", true);
  for (const [name, text] of [["Go", "go 1.19 trace"], ["Chrome", "traceEvents"]]) {
    const href = await page.locator("a", { hasText: `save as ${name} trace` }).getAttribute("href");
    const response = await page.request.get(program.url + href);
    check(`the link saves a ${name} trace`, response.ok() && (await response.text()).slice(0, 4000).includes(text));
  }
  assert.deepEqual(problems, []);
  await page.close();
}

/** Once a second something is told. What it does not concern is not touched. */
async function isCalm(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  await page.evaluate(() => {
    window.touched = [];
    const watch = (element, name) => new MutationObserver(() => window.touched.push(name))
      .observe(element, { subtree: true, childList: true, attributes: true, characterData: true });
    watch(document.querySelector("#graph"), "graph");
    for (const row of document.querySelectorAll(".row")) {
      if (row.querySelector(".name.lost")) watch(row, row.textContent);
    }
  });
  const points = () => page.$eval(".spark", (spark) => spark.plot.data[0].length);
  const before = await points();
  await until(async () => (await points()) > before + 2);
  assert.deepEqual(await page.evaluate(() => window.touched), []);
  check("what has not changed is not drawn again", true);
  assert.deepEqual(problems, []);
  await page.close();
}

/** Of many rows only those near the seen ones are brought up to date, until somebody scrolls to others. */
async function isFrugal() {
  const program = await start("300", "named");
  const { page, problems } = await open(program.url, 1440, 900, "light");
  check("300 names are as many rows", (await page.locator(".row").count()) > 300);
  const ageOf = (which) => page.locator(".row .age").evaluateAll((ages, n) => ages.at(n).textContent, which);
  const before = [await ageOf(0), await ageOf(-1)];
  await until(async () => (await ageOf(0)) !== before[0]);
  check("a row that nobody sees waits", (await ageOf(-1)) === before[1]);
  await page.locator(".row").last().scrollIntoViewIfNeeded();
  await until(async () => (await ageOf(-1)) !== before[1]);
  check("... until somebody sees it", true);
  assert.deepEqual(problems, []);
  await page.close();
  program.stop();
}

async function isOff() {
  const program = await start("0", "off");
  const { page, problems } = await open(program.url, 1440, 900, "light");
  await page.locator("#off").waitFor();
  check("without a recorder the page says so", (await page.locator("#off").textContent()) === "not recording: co.record{}");
  assert.deepEqual(problems, []);
  await page.close();
  program.stop();
}

/** Elements that reach beyond the page or their pane at a side, or that hide a part of their text there. */
const cutOff = () => [...document.querySelectorAll("body *")].filter((element) => {
  if (element.closest("svg, .spark, #chart") || element.tagName === "SCRIPT") return false;
  const box = element.getBoundingClientRect();
  const hides = getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
  return box.width > 0 && (hides || box.left < -1 || box.right > innerWidth + 1);
}).map((element) => element.outerHTML.slice(0, 200));

/** The contrast of the text's colours with the ground, as WCAG reckons it. */
const contrasts = () => {
  const style = getComputedStyle(document.body);
  const light = (name) => {
    const hex = style.getPropertyValue(`--${name}`).replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return ["fg", "dim", "red", "blue", "amber", "green", "teal", "violet"].map((name) => {
    const [more, less] = [light(name), light("bg")].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  });
};

async function fits(program, width, height, scheme) {
  const { page, problems } = await open(program.url, width, height, scheme);
  await page.locator(".row", { hasText: "price lookup" }).first().click();
  await page.locator("#detail pre", { hasText: "no price" }).waitFor();
  await page.locator("#chart").waitFor();
  const cut = await page.evaluate(cutOff);
  assert.deepEqual(cut, [], `cut off at ${width} px`);
  check(`nothing is cut off at ${width} px`, true);
  check("... in colours that can be read", (await page.evaluate(contrasts)).every((ratio) => ratio >= 4.5));
  if (folder) await page.screenshot({ path: `${folder}/explorer-${width}-${scheme}.png` });
  assert.deepEqual(problems, []);
  await page.close();
}

async function isReadable(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  check("100,000 tasks are few rows", (await page.locator(".row").count()) < 100);
  check("... and counted", (await page.locator("#omitted").textContent()).includes("×100,000"));
  await page.locator("#chart").waitFor();
  check("... with lanes", (await page.locator(".legend span").count()) > 0);
  if (folder) await page.screenshot({ path: `${folder}/explorer-many.png` });
  assert.deepEqual(problems, []);
  await page.close();
}

try {
  const program = await start();
  await looks(program);
  await tellsOfTask(program);
  await tellsOfPolicies(program);
  await foretells(program);
  await drawsFigures(program);
  await zooms(program);
  await isCalm(program);
  for (const [width, height] of [[1280, 720], [1440, 900], [1920, 1080], [2560, 1440]]) {
    for (const scheme of ["light", "dark"]) await fits(program, width, height, scheme);
  }
  await findsLeaks(program);
  program.stop();
  await isFrugal();
  await isOff();
  const many = await start("100000");
  await isReadable(many);
  many.stop();
  console.log(`page: ${passed} passed, 0 failed`);
} finally {
  await browser.close();
}
