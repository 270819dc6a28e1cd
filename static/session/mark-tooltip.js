// A card with the description of a mark, next to it, without the delay of the browser's own tooltip.
const card = document.createElement("div");
card.className = "mark-card";
card.hidden = true;
card.setAttribute("aria-hidden", "true"); // the mark has it as its label
document.body.append(card);

function show(mark) {
  if (document.querySelector(".zoom-brush")) return;
  const [head, ...lines] = mark.getAttribute("aria-label").split("\n");
  card.replaceChildren(Object.assign(document.createElement("b"), { textContent: head }), lines.join("\n"));
  card.className = `mark-card ${[...mark.classList].filter((name) => name.startsWith("category-")).join(" ")}`;
  mark.querySelector("title")?.remove(); // the browser would show it as well
  card.hidden = false;
  const box = (mark.querySelector(".tick") ?? mark).getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left - card.offsetWidth / 2), innerWidth - card.offsetWidth - 8);
  card.style.left = `${left}px`;
  const above = box.top - card.offsetHeight - 10;
  card.style.top = `${above > 0 ? above : box.bottom + 10}px`;
}

for (const event of ["pointerover", "focusin"]) {
  document.addEventListener(event, ({ target }) => {
    const mark = target.closest?.(".mark");
    if (mark) show(mark);
    else if (event === "pointerover") card.hidden = true;
  });
}
document.addEventListener("focusout", () => (card.hidden = true));
document.addEventListener("scroll", () => (card.hidden = true), { capture: true, passive: true });
