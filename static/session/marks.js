// The timeline is one stop of the Tab key. Arrow keys move between its marks, in time and from lane to lane.
import { SHOW, SYNCED } from "../events.js";

const marks = () => [...document.querySelectorAll("[data-timeline] .mark")];

function makeStop(stop) {
  for (const mark of marks()) mark.setAttribute("tabindex", mark === stop ? "0" : "-1");
}

function renew() {
  const all = marks();
  if (all.length) makeStop(all.find((mark) => mark.matches(".is-selected, :focus")) ?? all[0]);
}

// The lane is where the server has drawn it: a timeline that is stuck to the window is drawn smaller.
const placeOf = (mark) => {
  const tick = mark.querySelector(".tick");
  return { x: tick.getBoundingClientRect().left, y: Number(tick.ownerSVGElement.getAttribute("y")) };
};

// The mark of the next lane with marks that is nearest in time.
function beside(mark, direction) {
  const here = placeOf(mark);
  const there = marks()
    .map((other) => ({ other, ...placeOf(other) }))
    .filter(({ y }) => (y - here.y) * direction > 0);
  const lane = Math.min(...there.map(({ y }) => Math.abs(y - here.y)));
  const near = there.filter(({ y }) => Math.abs(y - here.y) === lane);
  return near.sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x))[0]?.other;
}

function next(mark, key) {
  const all = marks();
  const index = all.indexOf(mark);
  if (key === "ArrowRight") return all[index + 1];
  if (key === "ArrowLeft") return all[index - 1];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  return beside(mark, key === "ArrowDown" ? 1 : -1);
}

document.addEventListener("keydown", (event) => {
  const mark = event.target.closest?.("[data-timeline] .mark");
  const isOurs = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key);
  if (!mark || !isOurs || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  event.preventDefault();
  next(mark, event.key)?.focus();
});
document.addEventListener("focusin", (event) => {
  const mark = event.target.closest?.("[data-timeline] .mark");
  if (mark) makeStop(mark);
});
document.addEventListener(SHOW, (event) => makeStop(event.target));
document.addEventListener(SYNCED, renew);
document.addEventListener("htmx:afterSettle", (event) => event.target.id === "main" && renew());
renew();
