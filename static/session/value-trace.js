// "Where from" for a text that is selected on the page of a session: a link to the events that contain it.
const CHARS_MAX = 200; // as in the links of values (evdash/web/links.py)

document.addEventListener("selectionchange", () => {
  const link = document.querySelector("[data-trace-selection]");
  if (!link) return;
  const selection = document.getSelection();
  const value = selection.toString().trim();
  const place = selection.anchorNode?.parentElement?.closest(".session-body");
  link.hidden = !place || !value || value.length > CHARS_MAX;
  if (link.hidden) return;
  const address = new URL(location.href);
  address.searchParams.set("trace", value);
  address.hash = "";
  link.href = address.href;
});
