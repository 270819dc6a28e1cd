// Formats the templates with markup_fmt, which parses Jinja. With --check, it lists those that are not formatted.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFromBuffer } from "@dprint/formatter";

const TEMPLATES = fileURLToPath(new URL("../../templates", import.meta.url));
// The beginning and the end of a file with any number of events between: no parser knows elements of two templates.
const HALVES = new Set(["pages/session_export/_head.html", "pages/session_export/_start.html", "pages/session_export/_user_head.html", "pages/session_export/_tail.html"]);

const plugin = fileURLToPath(import.meta.resolve("dprint-plugin-markup/plugin.wasm"));
const formatter = createFromBuffer(readFileSync(plugin));
formatter.setConfig(
  { lineWidth: 120, indentWidth: 2 },
  { preferAttrsSingleLine: true, doctypeKeywordCase: "lower" },
);

const isCheck = process.argv.includes("--check");
const changed = [];
for (const found of readdirSync(TEMPLATES, { recursive: true })) {
  const name = found.replaceAll("\\", "/");
  if (!name.endsWith(".html") || HALVES.has(name)) continue;
  const text = readFileSync(join(TEMPLATES, name), "utf8");
  // The formatter takes the language from the extension.
  const formatted = formatter.formatText({ filePath: `${name}.jinja`, fileText: text });
  if (formatted === text) continue;
  changed.push(name);
  if (!isCheck) writeFileSync(join(TEMPLATES, name), formatted);
}
for (const name of changed) console.log(`${isCheck ? "not formatted" : "formatted"}: templates/${name}`);
if (isCheck && changed.length) {
  console.log("Run `make format`.");
  process.exitCode = 1;
}
