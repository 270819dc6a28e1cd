// Keyboard shortcuts, listed in templates/parts/_keys.html.
import { CHOOSE, SELECT, send } from "./events.js";
import { isTyping } from "./typing.js";

const rows = () => [...document.querySelectorAll(".rows.shows-duplicates .row, .rows .row:not(.is-folded)")];
const summary = (row) => row.querySelector(":scope > details > summary");
const PLACES = "olsureta";

let waitsForPlace = false;

function selected() {
  return (
    document.activeElement?.closest?.(".row") ??
    document.querySelector(".row.is-selected") ??
    document.querySelector(".row:target")
  );
}

function select(row, hasFocus = true) {
  if (!row) return false;
  for (const other of document.querySelectorAll(".is-selected")) other.classList.remove("is-selected");
  row.classList.add("is-selected");
  if (hasFocus) summary(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  send(document, SELECT, { row });
  return true;
}

function step(direction, wanted = () => true) {
  const all = rows();
  const here = all.indexOf(selected());
  const start = here === -1 ? (direction > 0 ? -1 : all.length) : here;
  for (let index = start + direction; index >= 0 && index < all.length; index += direction) {
    if (wanted(all[index])) return select(all[index]);
  }
  return false;
}

// Select the next matching event in the list, or find it in the session if the list is filtered or has none.
function find(direction, what, wanted) {
  const way = document.querySelector(`[data-find="${what}"][data-way="${direction > 0 ? "next" : "previous"}"]`);
  const isFiltered = way && document.querySelector(".filter .chips");
  return (!isFiltered && step(direction, wanted)) || follow(way);
}

const isError = (row) => row.classList.contains("is-error");
const isToolCall = (row) => "call" in row.dataset;
const follow = (link) => link && (link.click(), true);

const ACTIONS = {
  j: () => step(1),
  k: () => step(-1),
  e: () => find(1, "error", isError),
  E: () => find(-1, "error", isError),
  t: () => find(1, "tool", isToolCall),
  T: () => find(-1, "tool", isToolCall),
  v: () => document.querySelector("aside.session-state")?.focus({ preventScroll: true }),
  o: () => selected() && summary(selected()).click(),
  p: () => selected() && location.assign(selected().dataset.address),
  s: () =>
    follow(selected()?.querySelector(".row-session") ?? document.querySelector(".event-page [data-session-of-event]")),
  "[": () => follow(document.querySelector("[data-page=previous]")),
  "]": () => follow(document.querySelector("[data-page=next]")),
  "/": () => {
    const box = document.getElementById("q") ?? document.getElementById("search");
    const panel = box?.closest("details");
    if (panel) panel.open = true;
    box?.focus();
    box?.select();
  },
  "?": () => document.getElementById("keys")?.togglePopover(),
  g: () => {
    waitsForPlace = true;
    setTimeout(() => (waitsForPlace = false), 1500);
  },
};

const isMac = /Mac|iP/.test(navigator.platform);
const isPaletteKey = (event) =>
  (isMac ? event.metaKey : event.ctrlKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k";
const palette = document.getElementById("palette");

// The box takes text at once. An Enter before the script has loaded runs after that, or searches if it cannot load.
async function togglePalette() {
  if (palette.open) return palette.close();
  const form = palette.querySelector("form");
  let isEntered = false;
  const wait = (event) => {
    event.preventDefault();
    isEntered = true;
  };
  form.reset();
  form.addEventListener("submit", wait);
  palette.showModal();
  try {
    const { fill } = await import("./palette.js");
    fill(isEntered);
  } catch {
    if (isEntered) form.submit();
  } finally {
    form.removeEventListener("submit", wait);
  }
}
for (const button of document.querySelectorAll("[data-palette]")) {
  button.addEventListener("click", togglePalette);
  if (isMac) button.querySelector("kbd").textContent = "⌘K";
}

document.addEventListener("keydown", (event) => {
  if (isPaletteKey(event)) {
    event.preventDefault();
    return togglePalette();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && isTyping(event)) return event.target.blur();
  if (isTyping(event)) return;
  if (waitsForPlace) {
    waitsForPlace = false;
    if (PLACES.includes(event.key) && follow(document.querySelector(`[data-go="${event.key}"]`)))
      event.preventDefault();
    return;
  }
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Runs of duplicates are folded until the reader opens them.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-show-duplicates]");
  if (!button) return;
  event.preventDefault();
  button.closest(".rows").classList.add("shows-duplicates");
});

// The event of the address is selected in the list and in the timeline.
function selectTarget() {
  const row = document.getElementById(location.hash.slice(1));
  if (row?.classList.contains("row")) select(row);
}
document.addEventListener(CHOOSE, (event) => select(event.detail.row, !event.detail.isFromPicture));
window.addEventListener("hashchange", selectTarget);
selectTarget();
