// An open page follows what happens. Every few seconds, while it is looked at, it asks for itself anew and takes over
// what differs (static/sync.js). A page whose list grows by itself asks when the list has grown; where nothing else
// can change, only how far the indexing is.
import { sync } from "./sync.js";

const EVERY_MS = 4000;
const AFTER_POINTER_MS = 800; // nothing moves under a pointer that is on its way
const SHARE_OF_TIME = 8; // a server that needs long is asked less often

const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const main = document.getElementById("main");

let timer = null;
let hasNews = false;
let pointerMovedAt = 0;
let failingSince = null;

function isInUse() {
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && main.contains(selection.anchorNode);
  return isSelecting || main.querySelector(".is-dragging") || performance.now() - pointerMovedAt < AFTER_POINTER_MS;
}

async function look() {
  clearTimeout(timer);
  timer = null;
  const began = performance.now();
  let pause = EVERY_MS;
  if (!document.hidden) {
    if (isInUse()) pause = AFTER_POINTER_MS;
    else {
      await ask();
      pause = Math.max(EVERY_MS, (performance.now() - began) * SHARE_OF_TIME);
    }
  }
  timer ??= setTimeout(look, pause);
}

async function ask() {
  const address = location.href;
  const wantsPage = main.hasAttribute("data-refresh") || hasNews;
  hasNews = false;
  try {
    const answer = await fetch(wantsPage ? address : document.getElementById("state").dataset.address, { headers: { "HX-Request": "true" } });
    if (answer.headers.has("HX-Redirect")) return say("Signed out: reload the page to sign in");
    if (answer.status >= 500) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    failingSince = null;
    if (answer.ok && location.href === address) takeOver(fresh, wantsPage);
  } catch {
    failingSince ??= new Date();
    say(`evdash has not answered since ${clock.format(failingSince)}`);
  }
}

function takeOver(fresh, withPage) {
  const state = fresh.getElementById("state");
  if (state) {
    state.removeAttribute("hx-swap-oob");
    document.getElementById("state").replaceWith(document.adoptNode(state));
  }
  if (withPage) sync(main, fresh.body);
}

function say(words) {
  const state = document.getElementById("state");
  state.className = "state state-down";
  if (state.textContent !== words) state.textContent = words;
}

if (main && document.getElementById("state")) {
  document.addEventListener("evdash:live", () => (hasNews = true));
  document.addEventListener("pointermove", () => (pointerMovedAt = performance.now()), { passive: true });
  document.addEventListener("visibilitychange", () => document.hidden || look());
  timer = setTimeout(look, EVERY_MS);
}
