// Entry IDs, and the rows of entries. `data-entry` is "stream ms-seq".
function parsed(entryId) {
  const [ms, seq] = entryId.split("-");
  return [BigInt(ms), BigInt(seq ?? 0)];
}

export function compare(one, other) {
  const [a, b] = [parsed(one), parsed(other)];
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;
}

// The last of the IDs, or "0-0".
export const latest = (entryIds) => entryIds.reduce((last, each) => (compare(last, each) < 0 ? each : last), "0-0");

export const isRow = (element) => element.hasAttribute("data-entry");
export const idOf = (row) => row.dataset.entry.slice(row.dataset.entry.lastIndexOf(" ") + 1);
export const streamOf = (row) => row.dataset.entry.slice(0, row.dataset.entry.lastIndexOf(" "));
export const positionOf = (row) => `${idOf(row)}@${streamOf(row)}`;
// The key and the entry ID of a row, or of a gap of the log (templates/event_display/_gap.html).
export const keyOf = (element) => element.dataset.entry ?? element.dataset.key;
// An element of the list, and the returns in it if it is the card of a call.
export const entriesOf = (element) => [element, ...element.querySelectorAll("[data-entry]")];
export const keysOf = (element) => entriesOf(element).map(keyOf).filter(Boolean);
export const placeOf = (element) => (isRow(element) ? idOf(element) : element.dataset.at);
