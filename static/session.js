// The page of a session: the selected event is the same in timeline, list, state and address.
import { CHOOSE, LIVE, SELECT, SHOW, SYNCED, send } from "./events.js";
import "./session/zoom.js";
import "./session/mark-tooltip.js";
import "./session/marks.js";
import "./session/sticky-timeline.js";
import "./session/player.js";
import "./session/value-trace.js";

const STATE_AFTER_MS = 120; // between two requests of the state, while the reader steps through the list
const GROWS_AFTER_MS = 1000; // several events cause one request

let timer = 0;
let wanted = null;
let shownAt = null;

const picture = () => document.querySelector("[data-timeline]");
const entryIdOf = (row) => row.dataset.entry.slice(row.dataset.entry.lastIndexOf(" ") + 1);

// Mark the selected row in the timeline. The marks of a growing session change.
function markSelected(row) {
  for (const other of document.querySelectorAll(".mark.is-selected")) other.classList.remove("is-selected");
  const mark = document.querySelector(`[data-mark~="${CSS.escape(row.id)}"]`);
  mark?.classList.add("is-selected");
  return mark;
}

function selected(row) {
  if (!picture()) return;
  const at = entryIdOf(row);
  const mark = markSelected(row);
  if (mark) send(mark, SHOW);
  const address = new URL(location.href);
  for (const name of ["before", "after", "end", "part"]) address.searchParams.delete(name);
  address.searchParams.set("at", at);
  address.hash = "";
  history.replaceState(history.state, "", address);
  for (const way of document.querySelectorAll("[data-find]")) {
    const onward = new URL(way.href);
    onward.searchParams.set("from", at);
    way.href = onward.href;
  }
  writeReadings();
  wanted = at;
  timer ||= setTimeout(follow, STATE_AFTER_MS);
}

// Load the state of the last selection, one request after the other.
async function follow() {
  const at = wanted;
  try {
    await loadState(at);
  } finally {
    timer = wanted === at ? 0 : setTimeout(follow, STATE_AFTER_MS);
  }
}

// Links to view modes have the event and the pins of the current address.
function writeReadings() {
  for (const link of document.querySelectorAll("[data-reading]")) {
    const address = new URL(location.href);
    for (const name of ["view", "part", "taken_off"]) address.searchParams.delete(name);
    if (link.dataset.reading !== "events") address.searchParams.set("view", link.dataset.reading);
    address.hash = "";
    link.href = address.href;
  }
}

async function loadState(at) {
  const panel = document.getElementById("session-state");
  if (!panel || shownAt === at + location.search) return;
  shownAt = at + location.search;
  panel.setAttribute("aria-busy", "true");
  const address = new URL(location.href);
  address.searchParams.set("part", "state");
  await loadPanel(address, panel);
  panel.removeAttribute("aria-busy");
}

// The handlers below and requests.js report failures.
function loadPanel(address, panel) {
  return window.htmx
    .ajax("GET", address.pathname + address.search, { target: panel, swap: "innerHTML" })
    .catch(() => {});
}

function tellFailure(event, words) {
  const panel = event.detail.target;
  if (panel?.id !== "session-state") return;
  shownAt = null; // another selection of the event loads it again
  panel.replaceChildren(
    Object.assign(document.createElement("p"), { className: "notice", textContent: `State not loaded (${words}).` }),
  );
}
document.addEventListener("htmx:responseError", (event) =>
  tellFailure(event, event.detail.xhr.statusText || `HTTP ${event.detail.xhr.status}`),
);
document.addEventListener("htmx:sendError", (event) => tellFailure(event, "no response"));
document.addEventListener("htmx:sendAbort", (event) => tellFailure(event, "canceled"));

document.addEventListener(SELECT, (event) => selected(event.detail.row));

// The row that a click on a mark selects: the next one, if the mark has several events.
function rowOf(mark) {
  const rows = mark.dataset.mark.split(" ").map((id) => document.getElementById(id));
  return rows[(rows.findIndex((row) => row?.matches(".is-selected")) + 1) % rows.length];
}

// The text of a turn, without its links and buttons, and not while the reader selects a part of it.
const isText = (element) =>
  element.closest?.(".turn-body, .raw-fields") && !element.closest("a, button, summary") && getSelection().isCollapsed;

// A click on a mark selects its row, if the list has it. Opening a row selects it, and so does a click on its text.
document.addEventListener("click", (event) => {
  if (!picture() || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const mark = event.target.closest?.(".mark");
  const row = mark ? rowOf(mark) : event.target.closest?.(".row");
  const isHeading = event.target.closest?.(".row > details > summary");
  if (!row || (!mark && !isHeading && !isText(event.target))) return;
  if (mark) event.preventDefault();
  send(document, CHOOSE, { row, isFromPicture: !isHeading });
});

// Follow links with their current address. htmx would use the address that they had when it processed them.
document.addEventListener("click", (event) => {
  const way = event.target.closest?.("[data-find], [data-reading]");
  if (!way || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (way.matches("[data-reading]")) writeReadings();
  window.htmx.ajax("GET", way.href, { source: way, target: "#main", swap: "innerHTML show:none" });
});

document.addEventListener(SYNCED, () => {
  const row = document.querySelector(".row.is-selected");
  if (row && picture()) markSelected(row);
});

// Links within the panel load the panel alone.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-panel]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  clearTimeout(timer); // the pending request would replace the panel of this link
  timer = 0;
  const address = new URL(link.href);
  address.searchParams.set("part", "state");
  loadPanel(address, "#session-state");
});

// On a narrow screen the state is one line until the reader opens it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-state-toggle]");
  if (!button) return;
  button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
  document.querySelector(".row.is-selected")?.scrollIntoView({ block: "nearest" });
});

// The pins and the comparison of the panel go into the address.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "session-state") return;
  const kept = event.target.querySelector("[data-state-query]")?.dataset.stateQuery;
  if (kept === undefined) return;
  const address = new URL(location.href);
  for (const name of ["pin", "vs"]) address.searchParams.delete(name);
  for (const [name, value] of new URLSearchParams(kept))
    if (name === "pin" || name === "vs") address.searchParams.append(name, value);
  history.replaceState(history.state, "", address);
  writeReadings();
});

// Without a selection the panel shows the latest state, which changes with each event.
let growing = 0;
document.addEventListener(LIVE, () => {
  const isAtEnd =
    picture() &&
    !new URL(location.href).searchParams.has("at") &&
    document.querySelector("#session-state [data-state-query]");
  if (!isAtEnd || growing) return;
  growing = setTimeout(() => {
    growing = 0;
    if (!new URL(location.href).searchParams.has("at")) loadState("the end " + Date.now());
  }, GROWS_AFTER_MS);
});

// A page with `?at=` begins at that event.
function begin() {
  const at = new URL(location.href).searchParams.get("at");
  shownAt = at && at + location.search; // the panel loads itself
  if (!picture() || !at) return;
  const row = [...document.querySelectorAll(".rows .row")].find((each) => entryIdOf(each) === at);
  if (row) send(document, CHOOSE, { row, isFromPicture: true });
}
document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && begin());
begin();
