// The keys, as the overlay behind `?` lists them.
const rows = () => [...document.querySelectorAll(".rows > .row")];
const summary = (row) => row.querySelector("summary");
const PLACES = "olsureta";

let waitsForPlace = false;

function selected() {
  return document.activeElement?.closest?.(".row") ?? document.querySelector(".row.is-selected") ?? document.querySelector(".row:target");
}

function select(row) {
  if (!row) return;
  for (const other of document.querySelectorAll(".is-selected")) other.classList.remove("is-selected");
  row.classList.add("is-selected");
  document.querySelector(`[data-mark="${CSS.escape(row.id)}"]`)?.classList.add("is-selected");
  summary(row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(direction, wanted = () => true) {
  const all = rows();
  const here = all.indexOf(selected());
  const start = here === -1 ? (direction > 0 ? -1 : all.length) : here;
  for (let index = start + direction; index >= 0 && index < all.length; index += direction) {
    if (wanted(all[index])) return select(all[index]);
  }
}

const isError = (row) => row.classList.contains("is-error");
const follow = (link) => link && (link.click(), true);

const ACTIONS = {
  j: () => step(1),
  k: () => step(-1),
  e: () => step(1, isError),
  E: () => step(-1, isError),
  o: () => selected() && summary(selected()).click(),
  p: () => selected() && location.assign(selected().dataset.address),
  s: () => follow(selected()?.querySelector(".row-session a")),
  "[": () => follow(document.querySelector("[data-page=previous]")),
  "]": () => follow(document.querySelector("[data-page=next]")),
  "/": () => {
    const box = document.getElementById("q") ?? document.getElementById("search");
    box?.focus();
    box?.select();
  },
  "?": () => document.getElementById("keys")?.togglePopover(),
  g: () => {
    waitsForPlace = true;
    setTimeout(() => (waitsForPlace = false), 1500);
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && isTyping) return event.target.blur();
  if (isTyping) return;
  if (waitsForPlace) {
    waitsForPlace = false;
    if (PLACES.includes(event.key) && follow(document.querySelector(`[data-go="${event.key}"]`))) event.preventDefault();
    return;
  }
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// The same event is marked in the picture and in the list.
function selectTarget() {
  const row = document.getElementById(location.hash.slice(1));
  if (row?.classList.contains("row")) select(row);
}
window.addEventListener("hashchange", selectTarget);
selectTarget();
