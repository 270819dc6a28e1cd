// Copies a whole value from its own address, because the page may have only its start.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-from]");
  if (!button) return;
  event.preventDefault();
  const { title } = button;
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
    button.title = title;
  }, 2000);
});
