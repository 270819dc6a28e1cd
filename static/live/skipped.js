// Skipped ranges of a list: rows for events that it does not show, because of a burst, a lost connection or its limit.
// The reader loads them into their place, a page at a time.
import { AT_END, LOADED, send } from "../events.js";
import { compare, entriesOf, idOf, isRow, keyOf, keysOf, placeOf, positionOf, streamOf } from "./entries.js";

const PAGE = 100; // rows of a page of the list
const LOADED_MAX = 5000; // beyond that the link opens a page of its own

const number = new Intl.NumberFormat("en");
const linkOf = (row) => row.querySelector("a");

export class SkippedRanges {
  #list;
  #newestFirst;
  #known;
  #keepPlace;
  #isLoading = false;
  #seen;

  constructor(list, { newestFirst, known, keepPlace }) {
    this.#list = list;
    this.#newestFirst = newestFirst;
    this.#known = known;
    this.#keepPlace = keepPlace;
    list.addEventListener("click", (event) => this.#clicked(event));
    // The rows at the ends of a list load themselves when they come near the window.
    const load = (ends) => ends.forEach((end) => end.isIntersecting && this.#load(end.target));
    this.#seen = new IntersectionObserver(load, { rootMargin: "300px" });
    for (const end of list.querySelectorAll("[data-auto]")) this.#seen.observe(end);
  }

  // Add a range at the end at which rows are added: `skipped` events after a position.
  add({ skipped, skipped_exactly, skipped_after }) {
    const edge = this.#newestFirst ? this.#list.firstElementChild : this.#list.lastElementChild;
    let row = edge?.matches(".live-gap[data-after]") ? edge : null;
    if (!row) {
      row = this.#row();
      row.dataset.after = skipped_after;
      row.dataset.count = "0";
      if (this.#newestFirst) this.#list.prepend(row);
      else this.#list.append(row);
    }
    const begin = (position) => position.split("@")[0];
    if (compare(begin(skipped_after), begin(row.dataset.after)) < 0) row.dataset.after = skipped_after;
    if (!skipped_exactly) row.classList.add("is-inexact");
    this.#write(row, Number(row.dataset.count) + skipped);
  }

  // Add a range at the far end: the events before a position were unloaded.
  addEarlier(position, edge) {
    const row = this.#row();
    row.dataset.before = position;
    row.firstChild.textContent = "Earlier events were unloaded. ";
    linkOf(row).textContent = "Load";
    linkOf(row).href = this.#address(row);
    if (this.#newestFirst) edge.after(row);
    else edge.before(row);
  }

  #write(row, count) {
    const isInexact = row.classList.contains("is-inexact");
    const events = count === 1 ? "1 event" : `${number.format(count)} events`;
    row.dataset.count = String(count);
    const atLeast = count > 0 ? `At least ${events} skipped. ` : "Events were skipped. ";
    row.firstChild.textContent = isInexact ? atLeast : `${events} skipped. `;
    linkOf(row).textContent = count > PAGE || isInexact ? `Load ${PAGE}` : "Load";
    linkOf(row).href = this.#address(row);
  }

  #row() {
    const row = document.createElement("li");
    row.className = "live-gap";
    row.append("", document.createElement("a"));
    return row;
  }

  #address(row) {
    const address = new URL(location.href);
    for (const name of ["before", "after", "paused", "end", "at", "rows"]) address.searchParams.delete(name);
    if (row.dataset.after) address.searchParams.set("after", row.dataset.after);
    else address.searchParams.set("before", row.dataset.before);
    address.hash = "";
    return address.href;
  }

  #clicked(event) {
    const link = event.target.closest("a");
    const row = link?.parentElement;
    if (!row?.matches(".live-gap") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (this.#known.size >= LOADED_MAX) return;
    event.preventDefault();
    this.#load(row);
  }

  async #load(row) {
    const link = linkOf(row);
    if (this.#isLoading || this.#known.size >= LOADED_MAX) return;
    this.#isLoading = true;
    row.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.headers.has("HX-Redirect")) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (row.isConnected) this.#keepPlace(() => this.#fill(row, page));
      send(this.#list, LOADED);
    } catch {
      location.assign(link.href);
    } finally {
      this.#isLoading = false;
      row.removeAttribute("aria-busy");
    }
    // The loaded rows may not have filled the window: observed again, the row reports its place again.
    if (row.isConnected && row.matches("[data-auto]")) {
      this.#seen.unobserve(row);
      this.#seen.observe(row);
    }
  }

  // Put the rows of a page into the place of the range, without those after the range and those that are pushed.
  #fill(row, page) {
    const items = [...page.querySelectorAll("ol.rows > li")].filter(keyOf);
    if (!this.#newestFirst) items.reverse(); // newest first, as the code below expects
    const isBefore = Boolean(row.dataset.before);
    const belonging = items.filter((item) => !this.#known.has(keyOf(item)) && this.#belongs(row, item));
    const loaded = belonging.filter(isRow);
    for (const item of belonging) {
      for (const key of keysOf(item)) this.#known.add(key);
      document.adoptNode(item);
    }
    // Rows that are read forward are older than the rest of the range, rows that are read backward newer.
    const isAboveRow = this.#newestFirst === isBefore;
    const ordered = this.#newestFirst ? belonging : belonging.reverse();
    if (isAboveRow) row.before(...ordered);
    else row.after(...ordered);
    for (const item of belonging) window.htmx?.process(item);
    // A gap of the log that spans pages is on each of them: only an event shows that the other side is reached.
    const reached = items.filter(isRow).length > loaded.length;
    const way = isBefore === this.#newestFirst ? "next" : "previous";
    const onward = page.querySelector(`[data-page="${way}"]`);
    const side = isBefore ? "before" : "after";
    // A filter without a match on this page continues from the end of the page.
    const endOfPage = onward && new URL(onward.href).searchParams.get(side);
    // A card may have a return that is newer than the rows after it.
    const entries = loaded.flatMap(entriesOf).sort((one, other) => compare(idOf(other), idOf(one)));
    const far = entries.length ? positionOf(entries.at(isBefore ? -1 : 0)) : endOfPage;
    if (reached || !onward || !far) {
      if (!isBefore && row.matches("[data-auto]")) this.#makeLive(page);
      return row.remove();
    }
    row.dataset[side] = far;
    const left = Math.max(0, Number(row.dataset.count ?? 1) - loaded.length);
    if (isBefore || !row.dataset.count) linkOf(row).href = this.#address(row);
    else if (left === 0 && !row.classList.contains("is-inexact")) row.remove();
    else this.#write(row, left);
  }

  // The list was loaded up to the newest end: from now on the server pushes rows.
  #makeLive(page) {
    const end = page.querySelector("ol.rows[data-live]");
    if (!end) return;
    this.#list.dataset.liveQuery = end.dataset.liveQuery;
    this.#list.dataset.liveCursor = end.dataset.liveCursor;
    this.#list.dataset.live = "";
    send(this.#list, AT_END);
  }

  #belongs(row, item) {
    if (row.dataset.before) return true;
    const cursor = this.#list.dataset.liveCursor && JSON.parse(this.#list.dataset.liveCursor);
    if (cursor && isRow(item) && compare(idOf(item), cursor[streamOf(item)] ?? "0-0") > 0) return false;
    const newer = this.#newestFirst ? row.previousElementSibling : row.nextElementSibling;
    return !newer || !keyOf(newer) || compare(placeOf(item), placeOf(newer)) < 0;
  }
}
