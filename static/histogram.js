// A drag over the histogram selects a time range of whole bars. Without scripts each bar is a link to its own range.
let drag = null;

const bars = (figure) => [...figure.querySelectorAll("a[data-since]")];

function barAt(figure, clientX) {
  const all = bars(figure);
  const box = figure.querySelector("svg").getBoundingClientRect();
  const index = Math.floor(((clientX - box.left) / box.width) * all.length);
  return Math.max(0, Math.min(all.length - 1, index));
}

function draw() {
  const all = bars(drag.figure);
  const [first, last] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
  const brush = drag.figure.querySelector("[data-brush]");
  brush.setAttribute("x", `${(first / all.length) * 100}%`);
  brush.setAttribute("width", `${((last - first + 1) / all.length) * 100}%`);
}

function end() {
  drag?.figure.classList.remove("is-dragging");
  drag?.figure.querySelector("[data-brush]").setAttribute("width", "0");
  drag = null;
}

document.addEventListener("pointerdown", (event) => {
  const figure = event.target.closest?.("[data-histogram]");
  if (!figure || event.button !== 0 || event.pointerType === "touch") return;
  const at = barAt(figure, event.clientX);
  drag = { figure, from: at, to: at, startX: event.clientX, moved: false };
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  drag.moved ||= Math.abs(event.clientX - drag.startX) > 4;
  if (!drag.moved) return;
  drag.to = barAt(drag.figure, event.clientX);
  drag.figure.classList.add("is-dragging");
  draw();
});

document.addEventListener("pointerup", () => {
  if (!drag?.moved) return end();
  const all = bars(drag.figure);
  const [first, last] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
  const address = new URL(drag.figure.dataset.histogram, location.href);
  address.searchParams.set("since", all[first].dataset.since);
  address.searchParams.set("until", all[last].dataset.until);
  location.assign(address);
});

document.addEventListener("pointercancel", end);
document.addEventListener("keydown", (event) => event.key === "Escape" && end());
// A drag that ends over a bar does not follow its link, and does not drag the link itself.
document.addEventListener("click", (event) => drag?.moved && event.preventDefault(), true);
document.addEventListener("dragstart", (event) => event.target.closest?.("[data-histogram]") && event.preventDefault());
