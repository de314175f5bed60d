// Looks at reports in a real browser: `node browser.mjs DIRECTORY CHROMIUM MODULES`, where DIRECTORY holds
// the reports (*.html, *.svg). Leaves screenshots beside them. Fails with a list of what is wrong.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [directory, executablePath, modules] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const wrong = [];
const must = (holds, where, what) => { if (!holds) wrong.push(`${where}: ${what}`); };
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const files = readdirSync(directory).sort();

/** A fresh page that tells of whatever it asks for and complains of. */
async function open(file, where, options) {
  const context = await browser.newContext({ ...options, bypassCSP: true });
  const page = await context.newPage();
  page.on("console", (said) => must(said.type() !== "error", where, `console: ${said.text()}`));
  page.on("pageerror", (error) => must(false, where, `script: ${error.message}`));
  page.on("dialog", (dialog) => { must(false, where, "a name ran as a script"); dialog.dismiss(); });
  const url = pathToFileURL(resolve(directory, file)).href;
  page.on("request", (asked) => {
    const own = asked.url() === url || /^(data|blob):/.test(asked.url());
    must(own, where, `asks for ${asked.url()}`);
  });
  await page.goto(url);
  return { context, page };
}

/** Text of pictures that leaves the page, or stands on other text. */
function misplaced() {
  const found = [];
  const wide = document.documentElement.clientWidth;
  const plots = [...document.querySelectorAll("svg.plot")];
  for (const plot of plots) {
    const boxes = [...plot.querySelectorAll("text")]
      .filter((text) => getComputedStyle(text).display !== "none")
      .map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    for (const { text, box } of boxes) {
      if (box.left < -0.5 || box.right > wide + 0.5) found.push(`"${text}" leaves the page`);
    }
    boxes.forEach((one, n) => boxes.slice(n + 1).forEach((other) => {
      const [a, b] = [one.box, other.box];
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1 && y > 5) found.push(`"${one.text}" stands on "${other.text}"`);
    }));
  }
  return found;
}

for (const file of files.filter((name) => name.endsWith(".html"))) {
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of [[1280, 900], [360, 780]]) {
      const where = `${file} ${colorScheme} ${width}`;
      const { context, page } = await open(file, where, {
        colorScheme, viewport: { width, height }, reducedMotion: "reduce",
      });
      await page.screenshot({
        path: join(directory, `${file}-${colorScheme}-${width}.png`), fullPage: true,
      });
      const scrolls = await page.evaluate(() => document.documentElement.scrollWidth);
      must(scrolls <= width, where, `the page is ${scrolls} pixels wide`);
      (await page.evaluate(misplaced)).forEach((what) => must(false, where, what));
      await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
      const opened = await page.evaluate(() => document.documentElement.scrollWidth);
      must(opened <= width, where, `with all open, the page is ${opened} pixels wide`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      }));
      for (const one of violations) {
        const places = one.nodes.slice(0, 3).map((node) => node.target).join("; ");
        must(false, where, `axe ${one.id}: ${one.help} (${places})`);
      }
      await context.close();
    }
  }

  const where = `${file} by keyboard`;
  const { context, page } = await open(file, where, { viewport: { width: 1280, height: 900 } });
  const order = [];
  for (let n = 0; n < 120; n += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const one = document.activeElement;
      if (one === document.body) return null;
      const style = getComputedStyle(one);
      return {
        what: one.tagName.toLowerCase() + (one.type ? `[${one.type}]` : "") + (one.id ? `#${one.id}` : ""),
        seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        top: one.getBoundingClientRect().top + scrollY,
      };
    });
    if (!focus) break;
    must(focus.seen, where, `${focus.what} does not show that it has the focus`);
    order.push(focus);
  }
  for (let n = 2; n < order.length; n += 1) {
    const [before, after] = [order[n - 1], order[n]];
    must(after.top >= before.top - 60, where, `${after.what} comes after ${before.what}, and stands above it`);
  }
  console.log(`${file}: focus goes ${order.map((one) => one.what).join(" > ")}`);
  const slider = page.locator("#all-at");
  if (await slider.count()) {
    await slider.focus();
    for (let n = 0; n < 3; n += 1) await page.keyboard.press("ArrowRight");
    const said = await slider.getAttribute("aria-valuetext");
    must(/: .*goodput/.test(said), where, `the slider says "${said}"`);
    const values = await page.locator("[data-brief='0']").textContent();
    must(/goodput/.test(values), where, "no values are shown");
    const guide = page.locator(".guide").first();
    const seen = await guide.evaluate((one) => getComputedStyle(one).visibility);
    must(seen === "visible", where, "the slider moves no line");
    await page.locator("[data-shows='0']").focus();
    await page.keyboard.press("Space");
    const line = page.locator("path[data-n='0']").first();
    const shown = await line.evaluate((one) => getComputedStyle(one).display);
    must(shown === "none", where, "a series cannot be hidden");
  }
  const text = await page.locator("#numbers").textContent();
  const download = page.waitForEvent("download", { timeout: 5000 });
  await page.locator("#save").focus();
  await page.keyboard.press("Enter");
  const saved = readFileSync(await (await download).path(), "utf8");
  const same = saved === text && JSON.parse(saved).schema === "seawall.simulation";
  must(same, where, "what is saved is not what is shown");
  await context.close();

  const still = await open(file, `${file} without scripts`, { javaScriptEnabled: false });
  const controls = await still.page.locator(".time:visible, #save:visible, input:visible").count();
  must(controls === 0, `${file} without scripts`, "there are controls that do nothing");
  const headings = await still.page.locator("h2:visible").count();
  must(headings > 1, `${file} without scripts`, "there is nothing to read");
  await still.context.close();
}

for (const file of files.filter((name) => name.endsWith(".svg"))) {
  for (const colorScheme of ["light", "dark"]) {
    const where = `${file} ${colorScheme}`;
    const viewport = { width: 820, height: 640 };
    const { context, page } = await open(file, where, { colorScheme, viewport });
    await page.screenshot({ path: join(directory, `${file}-${colorScheme}.png`) });
    (await page.evaluate(misplaced)).forEach((what) => must(false, where, what));
    await context.close();
  }
}

await browser.close();
wrong.slice(0, 100).forEach((what) => console.error(what.slice(0, 300)));
console.log(`${files.length} files looked through, ${wrong.length} faults`);
process.exit(wrong.length ? 1 : 0);
