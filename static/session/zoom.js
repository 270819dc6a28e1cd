// Zooming into the picture of a session. It is drawn in per cent across, so that a wider drawing is a closer look; the
// strip above shows which part of it is in view.
import { isTyping } from "../typing.js";

const LARGEST = 64;
const DRAG_PX = 6;

const room = () => document.querySelector("[data-zoom-room]");
const drawing = () => document.querySelector("[data-zoom]");

let zoom = 1;

function zoomTo(wanted, centre = 0.5) {
  const place = room();
  if (!place) return;
  zoom = Math.min(LARGEST, Math.max(1, wanted));
  drawing().style.width = `${zoom * 100}%`;
  place.scrollLeft = centre * place.scrollWidth - place.clientWidth / 2;
  showView();
}

// Where the middle of what is in view lies, 0 to 1.
function middle() {
  const place = room();
  return (place.scrollLeft + place.clientWidth / 2) / place.scrollWidth;
}

function showView() {
  const place = room();
  const view = document.querySelector("[data-strip-view]");
  if (!place || !view || document.querySelector(".strip-window")) return; // else the strip shows more than the picture
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

document.addEventListener("wheel", (event) => {
  const place = event.target.closest?.("[data-zoom-room]");
  if (!place || !event.ctrlKey) return;
  event.preventDefault();
  const box = place.getBoundingClientRect();
  const under = (place.scrollLeft + event.clientX - box.left) / place.scrollWidth;
  zoomTo(zoom * (event.deltaY < 0 ? 1.4 : 1 / 1.4), under);
  place.scrollLeft = under * place.scrollWidth - (event.clientX - box.left);
}, { passive: false });

document.addEventListener("scroll", (event) => event.target === room() && showView(), { capture: true, passive: true });
addEventListener("resize", showView);

document.addEventListener("keydown", (event) => {
  if (!room() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  if (event.key === "+") zoomTo(zoom * 2, middle());
  else if (event.key === "-") zoomTo(zoom / 2, middle());
  else if (event.key === "0") zoomTo(1);
});

// Dragging over the picture looks closer at what was dragged over. It may begin on a mark: what is no click is told by
// the distance.
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
  if (!event.buttons) return letGo(); // a scrollbar does not tell that it was released
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
// The link under the pointer is not dragged away, and a brush that ends or is abandoned over it is no click.
document.addEventListener("dragstart", (event) => drag && event.preventDefault());
document.addEventListener("click", (event) => {
  if (!hasBrushed || !event.detail) return; // a key's click has no number
  event.preventDefault();
  event.stopPropagation();
}, true);

// The selected mark comes into view.
document.addEventListener("evdash:show", (event) => {
  const place = room();
  if (!place || zoom === 1) return;
  const box = event.target.getBoundingClientRect();
  const frame = place.getBoundingClientRect();
  if (box.left < frame.left || box.right > frame.right) place.scrollLeft += box.left - frame.left - place.clientWidth / 2;
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "main") return;
  zoom = 1;
});
