// New events on open pages. A list with [data-live] grows by itself; a page of numbers ([data-refresh]) hears that there
// is news and looks again (static/refresh.js).
//
// A list says its filter and its cursor (per stream, the entry ID up to which it shows everything) and acknowledges what
// it has shown; the server sends no more than so much without an acknowledgement and counts the rest. A list that is
// paused, or that the reader has scrolled into, shows nothing new and acknowledges nothing. It goes on from its cursor,
// as it does after a lost connection.
import { Connection } from "./live/connection.js";
import { Place } from "./live/place.js";
import { Rows, latest } from "./live/rows.js";
import { Status } from "./live/status.js";
import { isTyping } from "./typing.js";

let list = null; // the element
let rows = null;
let stillRows = null; // of a list that is not at the newest end
let pulse = null; // what the page hears news of
let isPaused = false; // by hand: until the reader says otherwise. It stands in the address.
let held = []; // messages that came while the list stood still
let waiting = 0; // events that the server only counts
let below = 0; // rows added where the reader does not look
const place = new Place(() => list, moved);
const status = new Status({ toggle, jump });

const connection = new Connection({
  subscription: () => {
    if (list) return { query: list.dataset.liveQuery, cursor: rows.cursor, reading: list.dataset.liveReading };
    const pulse = pulseOfPage();
    return pulse === null ? null : { query: pulse, cursor: {}, rows: false };
  },
  state: (state, reason) => {
    status.tell(state, reason);
    document.dispatchEvent(new CustomEvent("evdash:state", { detail: { state } }));
  },
  rows: (message, acknowledge) => {
    if (standsStill()) held.push([message, acknowledge]);
    else show(message, acknowledge);
    count();
  },
  alive: (message) => held.length || rows?.advance(message.cursor ?? {}),
  waiting: (message) => {
    waiting = message.count;
    count();
  },
  news: (message) => {
    if (stillRows?.list.isConnected) below += message.count; // at the end, which this list does not show
    changed(message.count);
    count();
  },
  // What was held comes again: the server was told the cursor of what is shown.
  subscribed: () => {
    letGo();
    waiting = 0;
    if (!list) changed(0); // what it showed may be old
    count();
  },
});

// The filter whose events change what the page shows, where none of them becomes a row of it.
function pulseOfPage() {
  if (document.querySelector("main[data-refresh]")) return "";
  return document.querySelector("ol.rows[data-pulse-query]:not([data-live])")?.dataset.pulseQuery ?? null;
}

function standsStill() {
  if (isPaused) return true;
  return place.isAway && (rows.newestFirst || rows.isFull);
}

// What is held is not shown any more, but was received: without an acknowledgement the server would send nothing else.
function letGo() {
  const messages = held;
  held = [];
  for (const [, acknowledge] of messages) acknowledge();
}

function show(message, acknowledge) {
  if (place.isAway) below += message.count;
  rows.advance(message.cursor);
  rows.add(message);
  acknowledge();
  changed(message.count + message.skipped);
}

function changed(events) {
  (list ?? document).dispatchEvent(new CustomEvent("evdash:live", { bubbles: true, detail: { count: events } }));
}

function count() {
  const inHeld = held.reduce((sum, [message]) => sum + message.count + message.skipped, 0);
  const isAway = list ? place.isAway : below > 0;
  status.count({ isPaused, isAway, held: inHeld + waiting, below, newestFirst: (rows ?? stillRows)?.newestFirst });
}

// Show what was held. Of what the server only counted the newest come next, and one row for those between.
function goOn() {
  if (standsStill()) return;
  const messages = held;
  held = [];
  if (waiting) connection.jump(); // before acknowledgements, which would bring what comes from now on
  waiting = 0;
  for (const [message, acknowledge] of messages) show(message, acknowledge);
}

function toggle() {
  if (!list || connection.isOver) return;
  isPaused = !isPaused;
  writeAddress();
  if (!isPaused) goOn();
  count();
}

function jump() {
  if (!list && stillRows?.list.isConnected && below) location.assign(addressOfEnd());
  if (!list) return;
  isPaused = false;
  writeAddress();
  place.goToEdge();
  goOn();
  place.goToEdge();
  count();
}

function moved() {
  if (!place.isAway) {
    below = 0;
    if (rows && (held.length || waiting)) goOn();
  }
  count();
}

function addressOfEnd() {
  const address = new URL(location.href);
  for (const name of ["before", "after", "at", "paused"]) address.searchParams.delete(name);
  address.searchParams.set("end", "1");
  return address;
}

function writeAddress() {
  const address = new URL(location.href);
  address.searchParams.delete("paused");
  if (isPaused) address.searchParams.set("paused", latest(Object.values(rows.cursor)));
  history.replaceState(history.state, "", address);
}

// A page may be exchanged by htmx without a new load.
function look() {
  const found = document.querySelector("[data-live]");
  if (found && found === list) return;
  const still = document.querySelector("ol.rows[data-live-order]:not([data-live])");
  if (still && still !== stillRows?.list) stillRows = new Rows(still); // can be read on from its ends
  const hadPulse = !list && connection.isUsed ? pulse : null;
  list = found;
  letGo();
  below = 0;
  isPaused = Boolean(list) && new URL(location.href).searchParams.has("paused");
  rows = list && (list === stillRows?.list ? stillRows : new Rows(list)); // one that was read on to its end
  status.renew(Boolean(list));
  place.look();
  pulse = pulseOfPage();
  if (list || (pulse !== null && pulse !== hadPulse)) connection.subscribe();
  else if (pulse === null) connection.close();
  count();
  if (found && beginsAtEnd()) queueMicrotask(showEnd); // after what htmx scrolls to
}

// An address of the end is of what happens last. A list with the newest first begins with that.
function beginsAtEnd() {
  const address = new URL(location.href);
  const isElsewhere = ["at", "before", "after"].some((name) => address.searchParams.has(name)) || address.hash;
  return !rows.newestFirst && address.searchParams.get("end") === "1" && !isElsewhere;
}

function showEnd() {
  place.goToEdge();
  moved();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event)) return;
  if (event.key === "l") toggle();
  else if (event.key === "n") jump();
});
document.addEventListener("evdash:at-end", look);
document.addEventListener("evdash:looked", () => connection.looked());
for (const change of ["htmx:afterSettle", "htmx:historyRestore"]) document.addEventListener(change, look);
window.addEventListener("pageshow", (event) => event.persisted && connection.renew());
look();
