// Opens reports in Chromium, as their readers do, and says what is wrong with them.
// node check_reports.mjs FOLDER CHROMIUM [PICTURES]: the folder is what the example report_samples has written.
import { readFileSync, readdirSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [folder, executablePath, pictures] = process.argv.slice(2);
if (pictures) mkdirSync(pictures, { recursive: true });
const need = createRequire(import.meta.url).resolve;
const axe = readFileSync(need("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const problems = [];
const check = (holds, what) => {
  if (!holds) problems.push(what);
};
const screens = [
  { name: "desktop", width: 1280, height: 900 },
  { name: "phone", width: 390, height: 844 },
];

// A page of its own, with a list of what it asked for and what it complained of.
const open = async (file, { screen = screens[0], scheme = "light", script = true } = {}) => {
  const context = await browser.newContext({
    viewport: { width: screen.width, height: screen.height },
    colorScheme: scheme,
    javaScriptEnabled: script,
  });
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(pathToFileURL(file).href);
  if (script) await page.waitForSelector("html[data-ready]", { timeout: 30000 });
  return { context, page, requests, complaints };
};

for (const name of readdirSync(folder).filter((name) => name.endsWith(".html")).sort()) {
  const file = join(folder, name);
  for (const screen of screens) {
    for (const scheme of ["light", "dark"]) {
      const what = `${name}, ${screen.name}, ${scheme}`;
      const { context, page, requests, complaints } = await open(file, { screen, scheme });
      check(requests.length === 1, `${what}: asks for ${requests.slice(1)}`);
      check(complaints.length === 0, `${what}: ${complaints}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(overflow <= 0, `${what}: is ${overflow} px wider than the screen`);
      // The policy of the page keeps out scripts from elsewhere; a debugger's are let in.
      await page.evaluate(`(() => { ${axe}\n })()`);
      const { violations } = await page.evaluate(() => axe.run());
      for (const violation of violations) {
        problems.push(`${what}: ${violation.id}: ${violation.help}: ${violation.nodes[0].html}`);
      }
      if (pictures) {
        await page.screenshot({ path: join(pictures, `${name}-${screen.name}-${scheme}.png`), fullPage: name.startsWith("small") });
      }
      await context.close();
    }
  }
}

// Without a script all but the list of findings is there.
{
  const { context, page } = await open(join(folder, "small.html"), { script: false });
  check(await page.locator("article.bug").count() > 0, "without a script there are no bugs");
  check(await page.locator("svg.chart").count() > 2, "without a script there are no charts");
  check(await page.locator("noscript").first().innerText().then((text) => text.includes("findings")), "nothing says where the findings are");
  await context.close();
}

// What people do with it.
{
  const start = Date.now();
  const { context, page } = await open(join(folder, "large.html"));
  console.log(`large.html: ${readFileSync(join(folder, "large.html")).length} bytes, drawn after ${Date.now() - start} ms`);
  check((await page.locator("#count").innerText()) === "10,000 findings", "the number of findings is wrong");
  check((await page.locator(".row").count()) < 40, "all rows are drawn at once");
  await page.fill("#search", "entry00077");
  check((await page.locator("#count").innerText()) === "1 of 10,000 findings", "the search does not find the one");
  await page.locator(".row button").first().click();
  check((await page.locator(".detail").count()) === 1, "a finding does not open");
  check((await page.locator(".row button").first().getAttribute("aria-expanded")) === "true", "an open finding is not said to be");
  await page.locator(".detail a").click();
  check(page.url().includes("#bug-"), "a finding does not lead to its bug");
  await page.locator("#filters button[type=reset]").click();
  await page.waitForFunction(() => document.getElementById("count").textContent === "10,000 findings");
  await page.selectOption("#engine", { index: 1 });
  const some = await page.locator("#count").innerText();
  check(some.includes(" of "), `the filter by engine keeps all: ${some}`);
  await page.locator("#window").evaluate((view) => { view.scrollTop = view.scrollHeight; });
  await page.waitForTimeout(100);
  const shown = Number(some.split(" ")[0].replace(/,/g, ""));
  check((await page.locator(".row").last().getAttribute("aria-posinset")) === String(shown), "the end of the list is not reached");
  await page.locator(".row button").last().focus();
  await page.keyboard.press("Enter");
  check((await page.locator(".detail").count()) === 1, "the keyboard opens nothing");
  await page.locator("button.show").first().click();
  check((await page.locator("#bug").inputValue()) !== "", "a bug does not show its findings");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]).catch(() => {});
  await page.locator("button.copy").first().click();
  await page.waitForFunction(() => document.querySelector("button.copy").textContent === "Copied");
  await context.close();
}

// Diagrams of the Markdown report.
{
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.setContent("<!doctype html><title>diagrams</title>");
  await page.addScriptTag({ path: need("mermaid/dist/mermaid.min.js") });
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".md"))) {
    const text = readFileSync(join(folder, name), "utf8");
    const diagrams = [...text.matchAll(/```mermaid\n([\s\S]*?)\n```/g)].map((found) => found[1]);
    check(diagrams.length > 0, `${name} has no diagram`);
    for (const diagram of diagrams) {
      check(diagram.length <= 5000, `${name}: a diagram has ${diagram.length} letters`);
      const error = await page.evaluate((diagram) => mermaid.parse(diagram).then(() => "", String), diagram);
      check(error === "", `${name}: ${error}`);
    }
  }
  await context.close();
}
await browser.close();
for (const problem of problems) console.log(`- ${problem}`);
console.log(problems.length ? `${problems.length} problems` : "nothing is wrong");
process.exit(problems.length ? 1 : 0);
