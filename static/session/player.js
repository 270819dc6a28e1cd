// An incident watched as it happened: the selection goes from event to event, after the time that lay between them.
import { isTyping } from "../typing.js";

const LONGEST_PAUSE_MS = 2000; // where pauses are capped
const SHORTEST_PAUSE_MS = 40;
const LOADING_MS = 5000;
const PRESSED_BY_SPACE = "button, [type=checkbox], summary:not(.row > details > summary)"; // rows are opened by Enter, too

const rows = () => [...document.querySelectorAll(".rows > .row")];
const control = (name) => document.querySelector(`[data-player="${name}"]`);

let timer = 0;
let isPlaying = false;
let current = null;

function choose(row) {
  current = row;
  document.dispatchEvent(new CustomEvent("evdash:choose", { detail: { row, isFromPicture: true } }));
}

const here = () => (current?.isConnected ? current : document.querySelector(".row.is-selected"));

function neighbour(direction) {
  let row = direction > 0 ? here()?.nextElementSibling : here()?.previousElementSibling;
  while (row && !row.matches(".row")) row = direction > 0 ? row.nextElementSibling : row.previousElementSibling;
  return row;
}

// The row after the last one that is loaded, once it has come; null at the end of the session.
async function following() {
  const next = here() ? neighbour(1) : rows()[0];
  const onward = document.querySelector(".rows > .live-gap[data-after] a");
  if (next || !onward) return next;
  const loaded = new Promise((resolve) => {
    document.addEventListener("evdash:loaded", resolve, { once: true });
    setTimeout(resolve, LOADING_MS);
  });
  onward.click();
  await loaded;
  return neighbour(1);
}

function pauseMs(from, to) {
  const speed = Number(control("speed")?.value ?? 1);
  const real = Math.max(0, Number(to.dataset.us) - Number(from?.dataset.us ?? to.dataset.us)) / 1000;
  const wanted = control("capped")?.checked ? Math.min(real, LONGEST_PAUSE_MS) : real;
  return Math.max(SHORTEST_PAUSE_MS, wanted / speed);
}

async function advance() {
  const next = await following();
  if (!isPlaying) return;
  if (!next) return stop("End of the session");
  timer = setTimeout(() => {
    if (!isPlaying) return;
    choose(next);
    advance();
  }, pauseMs(here(), next));
  const waitsS = pauseMs(here(), next) / 1000;
  say(waitsS > 3 ? `next event in ${Math.round(waitsS)} s` : "");
}

function play() {
  if (isPlaying) return stop("");
  isPlaying = true;
  write();
  if (!here() && rows().length) choose(rows()[0]);
  advance();
}

function stop(words) {
  isPlaying = false;
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

// The scrubber stands where the selection is, in the rows that are loaded.
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
document.addEventListener("evdash:select", (event) => {
  current = event.detail.row;
  placeScrubber();
  say("");
});
document.addEventListener("evdash:nothing", (event) => say(event.detail.words));
document.addEventListener("evdash:loaded", placeScrubber);
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "main") return;
  stop("");
  placeScrubber();
});
placeScrubber();
