// Plays a session: selects event after event, after the time between them.
import { CHOOSE, LOADED, NOTHING, SELECT, send } from "../events.js";
import { isTyping } from "../typing.js";

const LONGEST_PAUSE_MS = 2000; // if "Shorten idle time" is on
const FRAME_MS = 40; // the least time between two selections
const LOADING_MS = 5000;
// Enter opens rows and the player, so Space is free on them.
const PRESSED_BY_SPACE = "button, [type=checkbox], summary:not(.row > details > summary, .player-panel > summary)";

const rows = () => [...document.querySelectorAll(".rows .row")];
const control = (name) => document.querySelector(`[data-player="${name}"]`);
const panel = () => control("play")?.closest("details");

let timer = 0;
let dueAt = 0; // time of the last event that was passed
let isPlaying = false;
let isOpen = false; // the panel, also on the next page of the session
let runs = 0; // a run ends when a later one has started
let current = null;
let passed = null; // the selected row, or a later one that was due too soon for a selection

function choose(row) {
  current = row;
  send(document, CHOOSE, { row, isFromPicture: true });
}

const here = () => (current?.isConnected ? current : document.querySelector(".row.is-selected"));

function neighbour(direction, from = here()) {
  const all = rows();
  const place = all.indexOf(from);
  return place === -1 ? null : all[place + direction];
}

// Return the next row, loaded if necessary, or null at the end of the session.
async function following(row = here()) {
  const next = row ? neighbour(1, row) : rows()[0];
  const onward = document.querySelector(".rows > .live-gap[data-after] a");
  if (next || !onward) return next;
  const loaded = new Promise((resolve) => {
    document.addEventListener(LOADED, resolve, { once: true });
    setTimeout(resolve, LOADING_MS);
  });
  onward.click();
  await loaded;
  return row ? neighbour(1, row) : rows()[0];
}

function pauseMs(from, to) {
  const speed = Number(control("speed")?.value ?? 1);
  const real = Math.max(0, Number(to.dataset.us) - Number(from?.dataset.us ?? to.dataset.us)) / 1000;
  const wanted = control("capped")?.checked ? Math.min(real, LONGEST_PAUSE_MS) : real;
  return wanted / speed;
}

// Keep the pace: events that are due within one frame are passed over, except the last of them.
async function advance() {
  const run = ++runs;
  passed = here();
  let shownAt = performance.now();
  for (;;) {
    const askedAt = performance.now();
    const next = await following(passed);
    if (run !== runs) return;
    if (!next) {
      if (passed && passed !== here()) choose(passed);
      return stop("End of the session");
    }
    const waitedMs = performance.now() - askedAt; // for rows to load, not a pause of the session
    dueAt += pauseMs(passed, next) + waitedMs;
    const leftMs = dueAt - performance.now();
    if (leftMs >= FRAME_MS || performance.now() + leftMs - shownAt >= FRAME_MS) {
      if (leftMs > 3000) say(`Next event in ${Math.round(leftMs / 1000)} s`);
      await new Promise((resolve) => (timer = setTimeout(resolve, Math.max(leftMs, 0))));
      if (run !== runs) return;
      choose(next);
      say("");
      shownAt = performance.now();
    }
    passed = next;
  }
}

function play() {
  if (isPlaying) return stop("");
  isPlaying = true;
  panel().open = true;
  dueAt = performance.now();
  write();
  if (!here() && rows().length) choose(rows()[0]);
  advance();
}

function stop(words) {
  isPlaying = false;
  runs += 1;
  clearTimeout(timer);
  write();
  say(words);
}

async function step(direction) {
  stop("");
  const row = direction > 0 ? await following() : neighbour(-1);
  if (row) choose(row);
}

function say(words) {
  const place = control("says");
  if (place && place.textContent !== words) place.textContent = words;
}

function write() {
  const button = control("play");
  if (!button) return;
  button.textContent = isPlaying ? "❚❚ Pause" : "▶ Play";
  button.setAttribute("aria-pressed", String(isPlaying));
}

// The scrubber shows the place of the selection in the loaded rows.
function placeScrubber() {
  const scrubber = control("scrub");
  if (!scrubber) return;
  const all = rows();
  scrubber.max = String(Math.max(0, all.length - 1));
  scrubber.value = String(Math.max(0, all.indexOf(here())));
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("[data-player]")?.dataset.player;
  if (pressed === "play") play();
  else if (pressed === "back") step(-1);
  else if (pressed === "forward") step(1);
});
document.addEventListener("toggle", (event) => event.target === panel() && (isOpen = panel().open), { capture: true });
document.addEventListener("input", (event) => {
  if (event.target.dataset?.player !== "scrub") return;
  stop("");
  const row = rows()[Number(event.target.value)];
  if (row) choose(row);
});
document.addEventListener("keydown", (event) => {
  if (!control("play") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event) || (event.key === " " && event.target.closest?.(PRESSED_BY_SPACE))) return;
  if (event.key === " ") {
    event.preventDefault();
    play();
  } else if (event.key === "." || event.key === ",") step(event.key === "." ? 1 : -1);
});
document.addEventListener(SELECT, (event) => {
  current = passed = event.detail.row;
  placeScrubber();
  say("");
});
document.addEventListener(NOTHING, (event) => say(event.detail.words));
document.addEventListener(LOADED, placeScrubber);
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "main") return;
  stop("");
  if (isOpen && panel()) panel().open = true;
  placeScrubber();
});
placeScrubber();
