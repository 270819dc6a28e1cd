// An open page requests itself again and applies the differences (morph.js). A page with `data-refresh` does so after new
// events and at an interval, a page with a live list after new events. Every 15 s, and every 4 s while the log is
// behind, a page requests at least the state of the log.
import { LIVE, REFRESHED, STATE, SYNCED, send } from "./events.js";

const EVENTS_MS = 1000; // several events cause one request
const STATE_MS = 15_000;
const BEHIND_MS = 4000; // a log that is behind catches up soon
const AFTER_POINTER_MS = 800; // nothing moves under a moving pointer
const SHARE_OF_TIME = 8; // a request that took t s is repeated after 8 t s at the earliest

// Everything else works without Idiomorph, which an installation without the network lacks (evdash/config/npm.py).
const morphing = import("./morph.js").catch(() => null);
const clock = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const main = document.getElementById("main");
const state = () => document.getElementById("state");

let timer = null;
let dueAt = 0;
let hasNewEvents = false;
let pointerMovedAt = 0;
let refreshedAt = 0;
let tookMs = 0;
let isRequesting = false;
let failingSince = null;

function isInUse() {
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && main.contains(selection.anchorNode);
  return isSelecting || main.querySelector(".is-dragging") || performance.now() - pointerMovedAt < AFTER_POINTER_MS;
}

// Refresh after a time, or earlier if that is planned.
function refreshIn(ms) {
  const wanted = Math.max(performance.now() + ms, refreshedAt + tookMs * SHARE_OF_TIME);
  if (timer !== null && dueAt <= wanted) return;
  clearTimeout(timer);
  dueAt = wanted;
  timer = setTimeout(refresh, wanted - performance.now());
}

async function refresh() {
  clearTimeout(timer);
  timer = null;
  if (document.hidden) return; // it refreshes when it is visible again
  if (isInUse()) return refreshIn(AFTER_POINTER_MS);
  if (isRequesting) return refreshIn(EVENTS_MS);
  isRequesting = true;
  const began = performance.now();
  const answersNewEvents = hasNewEvents;
  await request();
  isRequesting = false;
  refreshedAt = performance.now();
  tookMs = refreshedAt - began;
  if (answersNewEvents) send(document, REFRESHED);
  const everyMs = Number(main.dataset.refresh || 0) * 1000 || STATE_MS;
  refreshIn(
    hasNewEvents ? EVENTS_MS : state().matches(".state-behind, .state-down") ? Math.min(BEHIND_MS, everyMs) : everyMs,
  );
}

async function request() {
  const address = location.href;
  const wantsPage = main.hasAttribute("data-refresh") || hasNewEvents;
  hasNewEvents = false;
  try {
    const answer = await fetch(wantsPage ? address : state().dataset.address, {
      headers: { "HX-Request": "true", "Evdash-Automatic": "1" },
    });
    if (answer.headers.has("HX-Redirect")) return showProblem("Signed out. Reload to sign in");
    if (answer.status === 503 && answer.headers.has("Retry-After")) return showProblem("Out of date: evdash is busy");
    if (answer.status >= 500) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    failingSince = null;
    if (answer.ok && location.href === address) await apply(fresh, wantsPage);
  } catch {
    failingSince ??= new Date();
    showProblem(`No response since ${clock.format(failingSince)}`);
  }
}

async function apply(fresh, withPage) {
  const newState = fresh.getElementById("state");
  if (newState) {
    newState.removeAttribute("hx-swap-oob");
    state().replaceWith(document.adoptNode(newState));
  }
  for (const badge of fresh.querySelectorAll("[id^=badge-]")) {
    badge.removeAttribute("hx-swap-oob");
    document.getElementById(badge.id)?.replaceWith(document.adoptNode(badge));
  }
  if (!withPage) return;
  const module = await morphing;
  if (!module) return showProblem("This page does not refresh: Idiomorph is not installed");
  send(document, SYNCED, { list: module.morph(main, fresh.body) });
}

function showProblem(words) {
  state().className = "state state-down";
  if (state().textContent !== words) state().textContent = words;
}

if (main && state()) {
  document.addEventListener(LIVE, () => {
    hasNewEvents = true;
    refreshIn(EVENTS_MS);
  });
  // The top bar shows an outage of Redis as soon as the list does.
  let wasUnreachable = false;
  document.addEventListener(STATE, ({ detail }) => {
    const isUnreachable = detail.state === "unreachable";
    if (isUnreachable !== wasUnreachable) refreshIn(0);
    wasUnreachable = isUnreachable;
  });
  document.addEventListener("pointermove", () => (pointerMovedAt = performance.now()), { passive: true });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  refreshIn(BEHIND_MS);
}
