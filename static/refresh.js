// An open page requests itself again and applies the differences (static/sync.js). A page of
// numbers does so when it hears of new events (static/live.js) and every now and then besides; a page whose list grows
// by itself when the list has grown. Otherwise only how far the indexing is is asked.
import { sync, syncCallNotes } from "./sync.js";

const NEWS_MS = 1000; // several events are one news
const STATE_MS = 15_000;
const BEHIND_MS = 4000; // what has been told as behind soon is not
const AFTER_POINTER_MS = 800; // nothing moves under a pointer that is on its way
const SHARE_OF_TIME = 8; // a server that needs long is asked less often

const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const main = document.getElementById("main");
const state = () => document.getElementById("state");

let timer = null;
let dueAt = 0;
let hasNews = false;
let pointerMovedAt = 0;
let lookedAt = 0;
let tookMs = 0;
let isAsking = false;
let failingSince = null;

function isInUse() {
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && main.contains(selection.anchorNode);
  return isSelecting || main.querySelector(".is-dragging") || performance.now() - pointerMovedAt < AFTER_POINTER_MS;
}

// Look after so long, or earlier where that was planned.
function lookIn(ms) {
  const wanted = Math.max(performance.now() + ms, lookedAt + tookMs * SHARE_OF_TIME);
  if (timer !== null && dueAt <= wanted) return;
  clearTimeout(timer);
  dueAt = wanted;
  timer = setTimeout(look, wanted - performance.now());
}

async function look() {
  clearTimeout(timer);
  timer = null;
  if (document.hidden) return; // looked at again, it looks
  if (isInUse()) return lookIn(AFTER_POINTER_MS);
  if (isAsking) return lookIn(NEWS_MS);
  isAsking = true;
  const began = performance.now();
  const answersNews = hasNews;
  await ask();
  isAsking = false;
  lookedAt = performance.now();
  tookMs = lookedAt - began;
  if (answersNews) document.dispatchEvent(new CustomEvent("evdash:looked"));
  const everyMs = Number(main.dataset.refresh || 0) * 1000 || STATE_MS;
  lookIn(hasNews ? NEWS_MS : state().matches(".state-behind, .state-down") ? Math.min(BEHIND_MS, everyMs) : everyMs);
}

async function ask() {
  const address = location.href;
  const wantsPage = main.hasAttribute("data-refresh") || hasNews;
  hasNews = false;
  try {
    const answer = await fetch(wantsPage ? address : state().dataset.address, { headers: { "HX-Request": "true" } });
    if (answer.headers.has("HX-Redirect")) return say("Signed out. Reload to sign in");
    if (answer.status === 503 && answer.headers.has("Retry-After")) return say("Out of date: evdash is busy");
    if (answer.status >= 500) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    failingSince = null;
    if (answer.ok && location.href === address) takeOver(fresh, wantsPage);
  } catch {
    failingSince ??= new Date();
    say(`No response since ${clock.format(failingSince)}`);
  }
}

function takeOver(fresh, withPage) {
  const told = fresh.getElementById("state");
  if (told) {
    told.removeAttribute("hx-swap-oob");
    state().replaceWith(document.adoptNode(told));
  }
  if (!withPage) return;
  sync(main, fresh.body);
  syncCallNotes(main, fresh.body);
  document.dispatchEvent(new CustomEvent("evdash:synced"));
}

function say(words) {
  state().className = "state state-down";
  if (state().textContent !== words) state().textContent = words;
}

if (main && state()) {
  document.addEventListener("evdash:live", () => {
    hasNews = true;
    lookIn(NEWS_MS);
  });
  // The top bar says the same of Redis as the list, at once.
  let wasUnreachable = false;
  document.addEventListener("evdash:state", ({ detail }) => {
    const isUnreachable = detail.state === "unreachable";
    if (isUnreachable !== wasUnreachable) lookIn(0);
    wasUnreachable = isUnreachable;
  });
  document.addEventListener("pointermove", () => (pointerMovedAt = performance.now()), { passive: true });
  document.addEventListener("visibilitychange", () => document.hidden || look());
  lookIn(BEHIND_MS);
}
