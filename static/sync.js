// One part of a page made equal to a newer rendering of it, by changing only what differs: what is focused, opened,
// selected, scrolled to or typed in stays where it is.
//
// Elements with a key are told apart by it, others by their place. Left alone: forms, lists that grow by themselves and
// the pager beside them, and what was loaded into an opened row.
const KEPT = "form, [data-keep], .player, .opened, .live-status, .results:has(> [data-live-order])";
const KEPT_CLASSES = ["is-selected", "is-zoomed", "is-new", "is-copied", "is-dragging"];
const NEW_MS = 2500;
const KEPT_ATTRIBUTES = ["open", "aria-expanded", "style"];

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.dataset.key || node.dataset.entry || node.dataset.since || node.dataset.mark)) || null;
const isSameKind = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

// A row that is read or has the focus stays when it has moved out of its list.
const isInUse = (node) => node.contains(document.activeElement) || node.querySelector("details[open]");
// Made by a script of ours, which no rendering has.
const isOurs = (node) => node.nodeType === Node.ELEMENT_NODE && node.matches(".live-toggle");

export function sync(old, fresh) {
  const focused = document.activeElement;
  syncChildren(old, fresh);
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

// What is said of calls changes with what comes after them, in lists that are left alone too.
export function syncCallNotes(old, fresh) {
  for (const row of fresh.querySelectorAll(".rows > .row")) {
    const shown = old.querySelector(`[id="${CSS.escape(row.id)}"]`);
    const [before, now] = [shown, row].map((each) => each?.querySelector("summary .row-waits") ?? null);
    if (!shown || before?.textContent === now?.textContent) continue;
    if (before && now) before.textContent = now.textContent;
    else if (before) before.remove();
    else if (shown.matches(".turn")) shown.querySelector(".row-tail").before(document.adoptNode(now), " ");
    else shown.querySelector(".row-says").prepend(document.adoptNode(now), " ");
  }
}

function syncNode(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (old.nodeName === "TIME") {
    syncTime(old, fresh);
  } else if (!old.matches(KEPT)) {
    syncAttributes(old, fresh);
    syncChildren(old, fresh);
  }
}

// A row that has come, or has moved up.
function markAsNew(node) {
  if (node.nodeName !== "TR" || !keyOf(node)) return;
  node.classList.add("is-new");
  setTimeout(() => node.classList.remove("is-new"), NEW_MS);
}

// static/clock.js writes local times into them: the same time stays as it is.
function syncTime(old, fresh) {
  const isSame = old.dateTime === fresh.dateTime && old.dataset.form !== "ago";
  if (!isSame && old.textContent + old.dateTime !== fresh.textContent + fresh.dateTime) old.replaceWith(document.adoptNode(fresh));
}

function syncAttributes(old, fresh) {
  const kept = KEPT_CLASSES.filter((name) => old.classList.contains(name));
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !KEPT_ATTRIBUTES.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !KEPT_ATTRIBUTES.includes(name) && name !== "class") old.setAttribute(name, value);
  }
  const classes = [fresh.getAttribute("class") ?? "", ...kept].join(" ").trim();
  if ((old.getAttribute("class") ?? "") !== classes) old.setAttribute("class", classes);
}

function syncChildren(old, fresh) {
  const nodes = [...fresh.childNodes];
  const wanted = new Set(nodes.map(keyOf));
  const keyed = new Map();
  for (const node of [...old.childNodes]) {
    const key = keyOf(node);
    if (key && !wanted.has(key) && !isInUse(node)) node.remove();
    else if (key) keyed.set(key, node);
  }
  let place = old.firstChild;
  for (const node of nodes) {
    while (place && isOurs(place)) place = place.nextSibling;
    let match = keyed.get(keyOf(node)) ?? place;
    while (match && !isSameKind(match, node)) match = keyOf(node) ? null : match.nextSibling;
    if (!match) {
      markAsNew(node);
      old.insertBefore(document.adoptNode(node), place);
      if (node.nodeType === Node.ELEMENT_NODE) window.htmx?.process(node);
      continue;
    }
    const next = match === place ? place.nextSibling : place;
    if (match !== place) {
      markAsNew(match);
      old.insertBefore(match, place);
    }
    place = next;
    syncNode(match, node);
  }
  while (place) {
    const next = place.nextSibling;
    if (!isOurs(place) && !(keyOf(place) && isInUse(place))) place.remove();
    place = next;
  }
}
