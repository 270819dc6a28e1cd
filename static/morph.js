// Applies a newer rendering of the page with Idiomorph, which changes only what differs. The reader keeps the focus, the
// selection, the scroll place, open details and typed text.
import { Idiomorph } from "./idiomorph/idiomorph.esm.js";

// These stay as they are: forms and their controls, lists that live.js adds to, and the loaded part of an open row.
const KEPT =
  "form, input, select, textarea, [data-keep], .player, .opened, .live-status, .results:has(> [data-live-order])";
const KEPT_CLASSES = ["is-selected", "is-zoomed", "is-stuck", "is-new", "is-copied", "is-dragging"];
const KEPT_ATTRIBUTES = ["open", "aria-expanded", "style"];
const KEYED = "[data-key], [data-since], [data-mark]";
const NEW_MS = 2500;

// The error in a filter stays until the box has the text of the list again. htmx put it there (web/page.py).
const isFilterProblem = (element) => {
  const box = document.getElementById("q");
  return element.id === "filter-problem" && box && box.value !== box.defaultValue;
};

const isElement = (node) => node.nodeType === Node.ELEMENT_NODE;
// A row that the reader has opened or focused stays if the newer rendering lacks it.
const isInUse = (element) => element.contains(document.activeElement) || element.querySelector("details[open]");
const isRemovable = (element) => !(element.id && isInUse(element));

// The lines of a row, and of the returns in the card of a call: their summaries, and the links and buttons beside them.
// The opened part is loaded later.
const LINE = "details > summary, :scope > :is(a, button)";
const linesOf = (row) =>
  [row, ...row.querySelectorAll(":scope > .row")].flatMap((each) => [...each.querySelectorAll(`:scope > ${LINE}`)]);

function isSameCard(row, freshRow) {
  const lines = linesOf(row);
  const freshLines = linesOf(freshRow);
  return lines.length === freshLines.length && lines.every((line, place) => line.isEqualNode(freshLines[place]));
}

// A return that came by live push is a row of its own. Move it into the card of its call.
function joinReturns(row, freshRow) {
  for (const freshReturn of freshRow.querySelectorAll(":scope > .row")) {
    const alone = document.getElementById(freshReturn.id);
    if (!alone || row.contains(alone)) continue;
    const joined = freshReturn.cloneNode(false);
    for (const name of KEPT_CLASSES) if (alone.classList.contains(name)) joined.classList.add(name);
    joined.append(...alone.childNodes);
    alone.remove();
    row.append(joined);
  }
}

// Return the list of events of the newer rendering, if it has one.
export function morph(main, fresh) {
  const freshList = fresh.querySelector("ol.rows[data-live-order]");
  const changedTimes = [];
  identify(main);
  identify(fresh);
  const places = new Map([...main.querySelectorAll("tr[id]")].map((row, place) => [row, place]));
  const focused = document.activeElement;
  const callbacks = {
    beforeNodeMorphed(node, freshNode) {
      if (!isElement(node)) return true;
      if (node.nodeName === "TIME" && !isSameTime(node, freshNode)) changedTimes.push([node, freshNode]);
      if (node.nodeName === "TIME" || node.matches(KEPT) || isFilterProblem(node)) return false;
      if (freshNode.matches?.(".shown-text.is-cut") && !node.matches(".is-cut")) return false; // the whole text is shown
      for (const name of KEPT_CLASSES) if (node.classList.contains(name)) freshNode.classList.add(name);
      return true;
    },
    beforeAttributeUpdated: (name) => !KEPT_ATTRIBUTES.includes(name),
    beforeNodeRemoved: (node) => !isElement(node) || isRemovable(node),
    afterNodeAdded(node) {
      if (!isElement(node)) return;
      window.htmx?.process(node);
      if (node.matches("tr[id]")) markAsNew(node);
    },
  };
  Idiomorph.morph(main, fresh.childNodes, { morphStyle: "innerHTML", callbacks });
  // Later events change rows: the note of a call, or what a row inherits from its session. live/rows.js adds rows.
  for (const freshRow of freshList?.querySelectorAll(":scope > .row") ?? []) {
    const row = document.getElementById(freshRow.id);
    if (row) joinReturns(row, freshRow);
    if (row && !isSameCard(row, freshRow)) {
      Idiomorph.morph(row, freshRow.cloneNode(true), { morphStyle: "outerHTML", callbacks });
    }
  }
  for (const [time, freshTime] of changedTimes) time.replaceWith(freshTime); // clock.js writes added times
  markMovedUp(main, places);
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  return freshList;
}

// Idiomorph matches elements by ID only. A key is unique among siblings, so the ID has the keys of ancestors as well.
function identify(root) {
  for (const element of root.querySelectorAll(KEYED)) {
    if (element.id) continue;
    const { key, since, mark } = element.dataset;
    const parent = element.parentElement.closest(KEYED)?.id ?? "key";
    element.id = `${parent}-${element.localName}-${encodeURIComponent(key ?? since ?? mark)}`;
  }
}

// clock.js has written a local time into the element: it may differ although the time is the same.
function isSameTime(time, freshTime) {
  if (time.dateTime !== freshTime.dateTime) return false;
  return time.dataset.form !== "ago" || time.textContent === freshTime.textContent;
}

function markAsNew(row) {
  row.classList.add("is-new");
  setTimeout(() => row.classList.remove("is-new"), NEW_MS);
}

// Mark the rows of tables that have overtaken another row. `places` has their earlier order.
function markMovedUp(main, places) {
  let least = Infinity;
  for (const row of [...main.querySelectorAll("tr[id]")].reverse()) {
    if (!places.has(row)) continue;
    if (places.get(row) > least) markAsNew(row);
    least = Math.min(least, places.get(row));
  }
}
