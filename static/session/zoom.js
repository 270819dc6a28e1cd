// Zoom of the timeline. It is drawn in per cent of its width, so a wider drawing is a closer view. The overview strip
// shows the part in view, and the head of the timeline its times.
import { SHOW, SYNCED } from "../events.js";
import { isTyping } from "../typing.js";

const LARGEST = 64;
const DRAG_PX = 6;

const frame = () => document.querySelector("[data-zoom-room]");
const drawing = () => document.querySelector("[data-zoom]");

let zoom = 1;

function zoomTo(wanted, centre = 0.5) {
  const place = frame();
  if (!place) return;
  zoom = Math.min(LARGEST, Math.max(1, wanted));
  drawing().style.width = `${zoom * 100}%`;
  place.scrollLeft = centre * place.scrollWidth - place.clientWidth / 2;
  showView();
}

// Return the middle of the part in view, from 0 to 1.
function middle() {
  const place = frame();
  return (place.scrollLeft + place.clientWidth / 2) / place.scrollWidth;
}

// Return the time at a part of the width, from 0 to 1, between the corners of the scale: "position:milliseconds".
function timeAt(part) {
  const corners = drawing()
    .dataset.zoomScale.split(" ")
    .map((corner) => corner.split(":").map(Number));
  const x = part * 100;
  const after = corners.findIndex(([cornerX]) => cornerX >= x);
  if (after < 1) return corners.at(after)[1]; // before the first one, or after the last one
  const [[fromX, from], [toX, to]] = corners.slice(after - 1, after + 1);
  return toX > fromX ? from + ((to - from) * (x - fromX)) / (toX - fromX) : to;
}

function timeElement(milliseconds) {
  const exact = new Date(milliseconds).toISOString();
  const time = document.createElement("time");
  time.dateTime = exact;
  time.dataset.form = "full";
  time.textContent = exact.slice(0, 19).replace("T", " ");
  time.title = `${time.textContent} UTC`;
  return time;
}

function showRange(place) {
  const ends = [place.scrollLeft, place.scrollLeft + place.clientWidth];
  const [start, end] = ends.map((px) => timeElement(timeAt(px / place.scrollWidth)));
  document.querySelector("[data-zoom-range]").replaceChildren(start, " – ", end);
}

function showView() {
  const place = frame();
  if (place) showRange(place);
  const view = document.querySelector("[data-strip-view]");
  if (!place || !view || document.querySelector(".strip-window")) return; // such a strip shows more than the timeline
  const isWhole = zoom === 1;
  place.closest(".timeline").classList.toggle("is-zoomed", !isWhole);
  view.style.x = `${isWhole ? 0 : (place.scrollLeft / place.scrollWidth) * 100}%`;
  view.style.width = `${isWhole ? 0 : (place.clientWidth / place.scrollWidth) * 100}%`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-zoom-by]");
  if (!button) return;
  const by = Number(button.dataset.zoomBy);
  zoomTo(by ? zoom * by : 1, middle());
});

document.addEventListener(
  "wheel",
  (event) => {
    const place = event.target.closest?.("[data-zoom-room]");
    if (!place || !event.ctrlKey) return;
    event.preventDefault();
    const box = place.getBoundingClientRect();
    const under = (place.scrollLeft + event.clientX - box.left) / place.scrollWidth;
    zoomTo(zoom * (event.deltaY < 0 ? 1.4 : 1 / 1.4), under);
    place.scrollLeft = under * place.scrollWidth - (event.clientX - box.left);
  },
  { passive: false },
);

document.addEventListener("scroll", (event) => event.target === frame() && showView(), {
  capture: true,
  passive: true,
});
addEventListener("resize", showView);
document.addEventListener(SYNCED, showView);

document.addEventListener("keydown", (event) => {
  if (!frame() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (event.key === "+") zoomTo(zoom * 2, middle());
  else if (event.key === "-") zoomTo(zoom / 2, middle());
  else if (event.key === "0") zoomTo(1);
});

// A drag over the timeline zooms to its range. It may begin on a mark: the distance tells a drag from a click.
let drag = null;
let hasBrushed = false;

function brush(to) {
  const { place, from } = drag;
  const box = place.getBoundingClientRect();
  const [left, right] = [from, to].sort((a, b) => a - b).map((x) => Math.min(box.right, Math.max(box.left, x)));
  drag.brush ??= place.appendChild(Object.assign(document.createElement("div"), { className: "zoom-brush" }));
  drag.brush.style.left = `${left - box.left + place.scrollLeft}px`;
  drag.brush.style.width = `${right - left}px`;
  place.classList.add("is-dragging");
  hasBrushed = true;
}

function letGo() {
  drag?.brush?.remove();
  drag?.place.classList.remove("is-dragging");
  drag = null;
}

document.addEventListener("pointerdown", (event) => {
  const place = event.target.closest?.("[data-zoom-room]");
  hasBrushed = false;
  if (!place || event.button !== 0 || event.pointerType === "touch") return;
  drag = { place, from: event.clientX, brush: null };
});
document.addEventListener("pointermove", (event) => {
  if (!drag || (!drag.brush && Math.abs(event.clientX - drag.from) < DRAG_PX)) return;
  if (!event.buttons) return letGo(); // a scrollbar sends no pointerup
  brush(event.clientX);
  getSelection().removeAllRanges();
});
document.addEventListener("pointerup", () => {
  if (!drag?.brush) return letGo();
  const place = drag.place;
  const [start, width, whole] = [drag.brush.offsetLeft, drag.brush.offsetWidth, place.scrollWidth];
  letGo();
  if (width > DRAG_PX) zoomTo((zoom * place.clientWidth) / width, (start + width / 2) / whole);
});
document.addEventListener("pointercancel", letGo);
document.addEventListener("keydown", (event) => event.key === "Escape" && letGo());
// A drag does not drag the link under the pointer, and does not follow the link at its end.
document.addEventListener("dragstart", (event) => drag && event.preventDefault());
document.addEventListener(
  "click",
  (event) => {
    if (!hasBrushed || !event.detail) return; // the click of a key has none
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

// Scroll the selected mark into view.
document.addEventListener(SHOW, (event) => {
  const place = frame();
  if (!place || zoom === 1) return;
  const box = event.target.getBoundingClientRect();
  const view = place.getBoundingClientRect();
  if (box.left < view.left || box.right > view.right) place.scrollLeft += box.left - view.left - place.clientWidth / 2;
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "main") return;
  zoom = 1;
});
