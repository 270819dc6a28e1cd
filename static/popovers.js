// What a button opens over the page closes with Escape, and with a click elsewhere or on one of its links.
const opened = () => document.querySelectorAll("details.popover[open]");

document.addEventListener("click", (event) => {
  for (const details of opened()) {
    if (!details.contains(event.target) || event.target.closest("a")) details.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const details of opened()) {
    if (details.contains(document.activeElement)) details.querySelector("summary").focus();
    details.open = false;
  }
});
