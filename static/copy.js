// Copying a whole value: it is fetched from its own address, so that what is folded is not cut.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-from]");
  if (!button) return;
  event.preventDefault();
  const said = button.title;
  try {
    const answer = await fetch(button.dataset.copyFrom, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    await navigator.clipboard.writeText(await answer.text());
    button.classList.add("is-copied");
    button.title = "Copied";
  } catch (error) {
    button.title = `Copy failed: ${error.message}`;
  }
  setTimeout(() => {
    button.classList.remove("is-copied");
    button.title = said;
  }, 2000);
});
