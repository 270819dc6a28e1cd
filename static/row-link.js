// A click on a row of a list of sessions or users opens what its heading links to.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".results .list tbody tr")?.querySelector("th a");
  if (!link || event.target.closest("a, button, input, label, summary") || !getSelection().isCollapsed) return;
  if (event.ctrlKey || event.metaKey) window.open(link.href);
  else link.click();
});
