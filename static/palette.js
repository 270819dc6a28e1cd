// The command palette: pages, actions of this page, saved views, and sessions, users, entries and events by their ID.
// A combobox of the ARIA practices: arrows choose, Enter runs, Escape closes. The server finds views and IDs
// (web/pages/palette.py).
const REQUEST_AFTER_MS = 120; // a pause in typing

const dialog = document.getElementById("palette");
const form = dialog.querySelector("form");
const box = form.querySelector("input");
const list = document.getElementById("palette-list");

let found = []; // results of the server
let offers = [];
let chosen = 0;
let pending = new AbortController();

// Fill the list of the palette, which keys.js has opened, and run its first line if Enter was pressed already.
export function fill(isEntered) {
  found = [];
  update();
  if (isEntered) run(chosen);
}

function matches({ name }) {
  const lower = name.toLowerCase();
  const words = box.value.toLowerCase().split(/\s+/);
  return words.every((word) => lower.includes(word));
}

function ownOffers() {
  const pages = [...document.querySelectorAll("[data-go]")].map((link) => ({
    name: link.textContent.trim(),
    key: `g ${link.dataset.go}`,
    run: () => link.click(),
  }));
  const elements = [
    ...document.querySelectorAll("main [data-command]:not([hidden])"),
    ...document.querySelectorAll("[data-command]:not([hidden])"),
  ];
  const actions = [...new Set(elements)].map((element) => ({
    name: element.dataset.command,
    run: () => press(element),
  }));
  return [...pages, ...actions].filter(matches);
}

// A summary opens its form, whether it is open or not.
function press(element) {
  const details = element.closest("summary")?.parentElement;
  if (!details) return element.click();
  details.open = true;
  details.querySelector("input:not([type=hidden])")?.focus();
}

function render() {
  const text = box.value.trim();
  offers = ownOffers();
  offers.push(...found.map(({ kind, name, address }) => ({ name, kind, run: () => location.assign(address) })));
  if (text) offers.push({ name: `Search events for ${text}`, run: () => form.submit() });
  list.replaceChildren(...offers.map(option));
  box.setAttribute("aria-expanded", String(offers.length > 0));
}

function option({ name, kind, key }, index) {
  const item = document.createElement("li");
  item.id = `palette-${index}`;
  item.setAttribute("role", "option");
  item.append(Object.assign(document.createElement("bdi"), { textContent: name }));
  if (kind) item.append(Object.assign(document.createElement("span"), { textContent: kind }));
  if (key) item.append(Object.assign(document.createElement("kbd"), { textContent: key }));
  return item;
}

function choose(index) {
  const { length } = offers;
  chosen = length ? (index + length) % length : 0;
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", length ? list.children[chosen].id : "");
}

function run(index) {
  const offer = offers[index];
  if (!offer) return;
  dialog.close(); // returns the focus, which an action may then move
  offer.run();
}

// Show what the page has at once, and what the server finds after a pause in typing. Only the last answer counts.
async function update() {
  pending.abort();
  pending = new AbortController();
  const { signal } = pending;
  found = found.filter(matches);
  render();
  choose(0);
  await new Promise((resolve) => setTimeout(resolve, box.value ? REQUEST_AFTER_MS : 0));
  if (signal.aborted) return;
  const address = new URL(dialog.dataset.paletteFrom, location.href);
  address.searchParams.set("q", box.value);
  let results = [];
  try {
    const answer = await fetch(address, { signal });
    if (answer.ok) results = (await answer.json()).results;
  } catch {
    // The palette offers what the page has.
  }
  if (signal.aborted) return;
  const kept = offers[chosen]?.name;
  found = results;
  render();
  const place = chosen === 0 ? 0 : offers.findIndex(({ name }) => name === kept);
  choose(Math.max(place, 0));
}

box.addEventListener("input", update);
dialog.addEventListener("close", () => pending.abort());
dialog.addEventListener("click", (event) => {
  const item = event.target.closest("[role=option]");
  if (item) run([...list.children].indexOf(item));
  else if (event.target === dialog) dialog.close(); // a click beside it
});
list.addEventListener("pointermove", (event) => {
  const index = [...list.children].indexOf(event.target.closest("[role=option]"));
  if (index >= 0 && index !== chosen) choose(index);
});
dialog.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.isComposing) return;
  event.stopPropagation(); // they are not keys of the page
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen - 1);
  else if (event.key === "Enter") run(chosen);
  else return;
  event.preventDefault();
});
