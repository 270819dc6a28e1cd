// The page of a session: the selected event is the same in picture, list, state and address.
import "./session/zoom.js";
import "./session/card.js";
import "./session/marks.js";
import "./session/covered.js";
import "./session/player.js";

const STATE_AFTER_MS = 120; // who steps quickly through a list is shown no more states than so many
const GROWS_AFTER_MS = 1000; // several events are one change

let timer = 0;
let wanted = null;
let shownAt = null;

const picture = () => document.querySelector("[data-timeline]");
const entryIdOf = (row) => row.dataset.entry.slice(row.dataset.entry.lastIndexOf(" ") + 1);

// The mark of a row. A session that grows may have other marks now.
function markSelected(row) {
  for (const other of document.querySelectorAll(".mark.is-selected")) other.classList.remove("is-selected");
  const mark = document.querySelector(`[data-mark~="${CSS.escape(row.id)}"]`);
  mark?.classList.add("is-selected");
  return mark;
}

function selected(row) {
  if (!picture()) return;
  const at = entryIdOf(row);
  markSelected(row)?.dispatchEvent(new CustomEvent("evdash:show", { bubbles: true }));
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

// The state follows a selection that moves quickly, one reading after the other.
async function follow() {
  const at = wanted;
  try {
    await loadState(at);
  } finally {
    timer = wanted === at ? 0 : setTimeout(follow, STATE_AFTER_MS);
  }
}

// The readings are of the place and the pins that the address has now.
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

// What goes wrong is told by the events below.
function loadPanel(address, panel) {
  return window.htmx.ajax("GET", address.pathname + address.search, { target: panel, swap: "innerHTML" }).catch(() => {});
}

function tellFailure(event, words) {
  const panel = event.detail.target;
  if (panel?.id !== "session-state") return;
  shownAt = null; // selected again, it is asked for again
  const reload = Object.assign(document.createElement("a"), { href: location.href.split("#")[0], textContent: "Reload" });
  const sentence = Object.assign(document.createElement("p"), { className: "notice" });
  sentence.setAttribute("role", "status");
  sentence.append(`State not loaded (${words}). The page may be out of date. `, reload);
  panel.replaceChildren(sentence);
}
document.addEventListener("htmx:responseError", (event) => tellFailure(event, event.detail.xhr.statusText || `HTTP ${event.detail.xhr.status}`));
document.addEventListener("htmx:sendError", (event) => tellFailure(event, "no response"));

document.addEventListener("evdash:select", (event) => selected(event.detail.row));

// Of a mark of several events each click selects the next.
function rowOf(mark) {
  const rows = mark.dataset.mark.split(" ").map((id) => document.getElementById(id));
  return rows[(rows.findIndex((row) => row?.matches(".is-selected")) + 1) % rows.length];
}

// A row that is opened, or a mark whose row is in the list, is selected.
document.addEventListener("click", (event) => {
  if (!picture() || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const mark = event.target.closest?.(".mark");
  const row = mark ? rowOf(mark) : event.target.closest?.(".row");
  if (!row || (!mark && !event.target.closest("summary"))) return;
  if (mark) event.preventDefault();
  document.dispatchEvent(new CustomEvent("evdash:choose", { detail: { row, isFromPicture: Boolean(mark) } }));
});

// Onward from what is selected, or to another reading of it; htmx would take the address that the link had when the page
// was made.
document.addEventListener("click", (event) => {
  const way = event.target.closest?.("[data-find], [data-reading]");
  if (!way || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (way.matches("[data-reading]")) writeReadings();
  window.htmx.ajax("GET", way.href, { source: way, target: "#main", swap: "innerHTML show:none" });
});

document.addEventListener("evdash:synced", () => {
  const row = document.querySelector(".row.is-selected");
  if (row && picture()) markSelected(row);
});

// Links within the panel load the panel alone.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-panel]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  clearTimeout(timer); // what was about to be loaded is of the link's event, or of the one before
  timer = 0;
  const address = new URL(link.href);
  address.searchParams.set("part", "state");
  loadPanel(address, "#session-state");
});

// On a narrow screen the state is one line until somebody wants all of it.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-state-toggle]");
  if (!button) return;
  button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
  document.querySelector(".row.is-selected")?.scrollIntoView({ block: "nearest" });
});

// A pinned or unpinned path, or another state to compare with: the panel says so in the address.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "session-state") return;
  const kept = event.target.querySelector("[data-state-query]")?.dataset.stateQuery;
  if (kept === undefined) return;
  const address = new URL(location.href);
  for (const name of ["pin", "vs"]) address.searchParams.delete(name);
  for (const [name, value] of new URLSearchParams(kept)) if (name === "pin" || name === "vs") address.searchParams.append(name, value);
  history.replaceState(history.state, "", address);
  writeReadings();
});

// The state at the end grows with a running session.
let growing = 0;
document.addEventListener("evdash:live", () => {
  const isAtEnd = picture() && !new URL(location.href).searchParams.has("at") && document.querySelector("#session-state [data-state-query]");
  if (!isAtEnd || growing) return;
  growing = setTimeout(() => {
    growing = 0;
    if (!new URL(location.href).searchParams.has("at")) loadState("the end " + Date.now());
  }, GROWS_AFTER_MS);
});

// The page that was opened at an event begins there.
function begin() {
  const at = new URL(location.href).searchParams.get("at");
  shownAt = at && at + location.search; // the panel loads itself
  if (!picture() || !at) return;
  const row = [...document.querySelectorAll(".rows > .row")].find((each) => entryIdOf(each) === at);
  if (row) document.dispatchEvent(new CustomEvent("evdash:choose", { detail: { row, isFromPicture: true } }));
}
document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && begin());
begin();
