// Builds the page into a Lua module: node build.mjs FILE. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = new URL(".", import.meta.url).pathname;
const read = (path) => readFileSync(here + path, "utf8");

const built = await build({
  entryPoints: [here + "main.js"], bundle: true, minify: true, format: "iife", write: false, charset: "utf8",
  legalComments: "none", target: "es2020", define: { "process.env.NODE_ENV": '"production"' },
});
const script = built.outputFiles[0].text.replaceAll("</script", "<\\/script").replaceAll("\r", "");
const hash = createHash("sha256").update(script).digest("base64");

const licences = ["preact", "htm", "@dagrejs/dagre", "uplot"].map((name) => {
  const { version, license } = JSON.parse(read(`node_modules/${name}/package.json`));
  return `${name} ${version} (${license})\n\n${read(`node_modules/${name}/LICENSE`).trim()}\n`;
});

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Trace Explorer</title><link rel="icon" href="data:,"><style>${read("style.css")}</style><body><div id="app"></div><script>${script}</script></body></html>
`;
const comment = licences.join("\n").split("\n").map((line) => `-- ${line}`.trimEnd()).join("\n");
const fence = "=".repeat(8);
if (page.includes(`]${fence}]`)) throw new Error("the page ends its own string");

writeFileSync(process.argv[2], `-- luacheck: no max line length
--- The page of the Trace Explorer, made by \`make page\` from page/. Do not edit it here. It contains:
--
${comment}

return {
  script_hash = "sha256-${hash}",
  html = [${fence}[
${page}]${fence}],
}
`);
