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
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) problems.push("remote: " + request.url());
  });
  await page.goto(url);
  await page.waitForSelector(".row");
  return { page, problems };
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
  await page.keyboard.press("Tab");
  await page.locator("[role=listbox]").focus();
  const before = await page.locator(".row.selected").getAttribute("data-ids");
  await page.keyboard.press("ArrowDown");
  await until(async () => (await page.locator(".row.selected").getAttribute("data-ids")) !== before);
  check("the arrow keys move the choice", true);
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

async function fits(program, width, height, scheme) {
  const { page, problems } = await open(program.url, width, height, scheme);
  await page.locator(".row", { hasText: "price lookup" }).first().click();
  await page.locator("#detail pre", { hasText: "no price" }).waitFor();
  const cut = await page.evaluate(() =>
    ["html", "header", "#tasks", "#graph", "#detail"].filter((name) => {
      const element = document.querySelector(name);
      return element.scrollWidth > element.clientWidth + 1;
    }),
  );
  assert.deepEqual(cut, [], `cut off at ${width} px`);
  check(`nothing is cut off at ${width} px`, true);
  if (folder) await page.screenshot({ path: `${folder}/explorer-${width}-${scheme}.png` });
  assert.deepEqual(problems, []);
  await page.close();
}

async function isReadable(program) {
  const { page, problems } = await open(program.url, 1440, 900, "light");
  check("100,000 tasks are few rows", (await page.locator(".row").count()) < 100);
  check("... and counted", (await page.locator("#omitted").textContent()).includes("×100,000"));
  if (folder) await page.screenshot({ path: `${folder}/explorer-many.png` });
  assert.deepEqual(problems, []);
  await page.close();
}

try {
  const program = await start();
  await looks(program);
  for (const size of [[1280, 720, "light"], [1440, 900, "dark"], [2560, 1440, "light"]]) await fits(program, ...size);
  program.stop();
  const many = await start("100000");
  await isReadable(many);
  many.stop();
  console.log(`page: ${passed} passed, 0 failed`);
} finally {
  await browser.close();
}
