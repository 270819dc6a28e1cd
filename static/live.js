// New events on pages that show the newest end: every list with [data-live] grows by itself.
//
// The page says its filter and its cursor (per stream, the entry ID up to which it has everything) and acknowledges
// what it has shown; the server sends no more than so much without an acknowledgement and counts the rest. A paused
// page acknowledges nothing. After a lost connection the cursor brings what was missed.
import { Connection } from "./live/connection.js";
import { Rows } from "./live/rows.js";
import { Status } from "./live/status.js";

let list = null; // the element
let rows = null;
let isPaused = false;
let held = []; // messages that came while paused
let waiting = 0; // events that the server only counts
const status = new Status(toggle);

const connection = new Connection({
  subscription: () => list && { query: list.dataset.liveQuery, cursor: rows.cursor },
  state: (state, reason) => status.tell(state, reason),
  rows: (message, acknowledge) => {
    rows.advance(message.cursor);
    if (isPaused) held.push([message, acknowledge]);
    else show(message, acknowledge);
    count();
  },
  alive: (message) => rows.advance(message.cursor ?? {}),
  waiting: (message) => {
    waiting = message.count;
    count();
  },
  subscribed: () => {
    waiting = 0;
    count();
  },
});

function show(message, acknowledge) {
  rows.add(message);
  acknowledge();
  list.dispatchEvent(new CustomEvent("evdash:live", { bubbles: true, detail: { count: message.count + message.skipped } }));
}

function count() {
  const inHeld = held.reduce((sum, [message]) => sum + message.count + message.skipped, 0);
  status.count(isPaused, inHeld + waiting);
}

function toggle() {
  if (!list) return;
  isPaused = !isPaused;
  if (!isPaused) {
    const messages = held;
    held = [];
    waiting = 0;
    for (const [message, acknowledge] of messages) show(message, acknowledge);
  }
  count();
}

// A page may be exchanged by htmx without being loaded anew.
function look() {
  const found = document.querySelector("[data-live]");
  if (found === list) return;
  list = found;
  held = [];
  isPaused = false;
  rows = list && new Rows(list);
  status.renew();
  if (list) connection.subscribe();
  else connection.close();
  count();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "l" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!event.target.closest?.("input, textarea, select, [contenteditable]")) toggle();
});
for (const change of ["htmx:afterSettle", "htmx:historyRestore"]) document.addEventListener(change, look);
window.addEventListener("pageshow", (event) => event.persisted && connection.retry());
look();
