// The box below a table that selects all rows of the page.
const boxes = (all) => all.closest("section").querySelectorAll('tbody input[type="checkbox"]');

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("[data-select-all]")) {
    for (const box of boxes(target)) box.checked = target.checked;
  } else {
    const all = target.closest?.("section")?.querySelector("[data-select-all]");
    if (all) all.checked = [...boxes(all)].every((box) => box.checked);
  }
});
