// Rows that stand for events which the list does not show: skipped in a burst or while away, or let go. They are loaded
// into their place, a page at a time.
import { compare, idOf, isRow, keyOf, placeOf, positionOf, streamOf } from "./entries.js";

const PAGE = 100; // rows of a page of the list
const LOADED_MAX = 5000; // beyond that a page of its own is better

const number = new Intl.NumberFormat("en");

export class Skipped {
  #list;
  #newestFirst;
  #known;
  #keepingPlace;
  #isLoading = false;
  #seen;

  constructor(list, { newestFirst, known, keepingPlace }) {
    this.#list = list;
    this.#newestFirst = newestFirst;
    this.#known = known;
    this.#keepingPlace = keepingPlace;
    list.addEventListener("click", (event) => this.#clicked(event));
    // Ends of a list that come into view are read on from.
    this.#seen = new IntersectionObserver((ends) => ends.forEach((end) => end.isIntersecting && this.#load(end.target)), { rootMargin: "300px" });
    for (const end of list.querySelectorAll("[data-auto]")) this.#seen.observe(end);
  }

  // At the end at which new rows come: so many events were skipped after a position.
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
    this.#tell(row, Number(row.dataset.count) + skipped);
  }

  // At the far end: what lay before this position is no longer in the list.
  addEarlier(position, edge) {
    const row = this.#row();
    row.dataset.before = position;
    row.firstChild.textContent = "Earlier events were unloaded. ";
    row.lastChild.textContent = "Load";
    row.lastChild.href = this.#address(row);
    if (this.#newestFirst) edge.after(row);
    else edge.before(row);
  }

  #tell(row, count) {
    const isInexact = row.classList.contains("is-inexact");
    const events = count === 1 ? "1 event" : `${number.format(count)} events`;
    row.dataset.count = String(count);
    row.firstChild.textContent = !isInexact ? `${events} skipped. ` : count > 0 ? `At least ${events} skipped. ` : "Events were skipped. ";
    row.lastChild.textContent = count > PAGE || isInexact ? `Load ${PAGE}` : "Load";
    row.lastChild.href = this.#address(row);
  }

  #row() {
    const row = document.createElement("li");
    row.className = "live-gap";
    row.append("", document.createElement("a"));
    return row;
  }

  #address(row) {
    const address = new URL(location.href);
    for (const name of ["before", "after", "paused", "end", "at"]) address.searchParams.delete(name);
    if (row.dataset.after) address.searchParams.set("after", row.dataset.after);
    else address.searchParams.set("before", row.dataset.before);
    address.hash = "";
    return address.href;
  }

  #clicked(event) {
    const link = event.target.closest("a");
    const row = link?.parentElement;
    if (!row?.matches(".live-gap") || event.ctrlKey || event.metaKey || event.shiftKey || this.#known.size >= LOADED_MAX) return;
    event.preventDefault();
    this.#load(row);
  }

  async #load(row) {
    const link = row.querySelector("a");
    if (this.#isLoading || this.#known.size >= LOADED_MAX) return;
    this.#isLoading = true;
    row.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.headers.has("HX-Redirect")) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (row.isConnected) this.#keepingPlace(() => this.#fill(row, page), true);
      this.#list.dispatchEvent(new CustomEvent("evdash:loaded", { bubbles: true }));
    } catch {
      location.assign(link.href);
    } finally {
      this.#isLoading = false;
      row.removeAttribute("aria-busy");
    }
    // What was loaded may not have filled the window.
    if (row.isConnected && row.matches("[data-auto]")) {
      this.#seen.unobserve(row);
      this.#seen.observe(row);
    }
  }

  // Put what the page has into the row's place. What lies beyond the row's other side, or comes live, is not of it.
  #fill(row, page) {
    const items = [...page.querySelectorAll("ol.rows > li")].filter(keyOf);
    if (!this.#newestFirst) items.reverse(); // as below: newest first
    const isBefore = Boolean(row.dataset.before);
    const belonging = items.filter((item) => !this.#known.has(keyOf(item)) && this.#belongs(row, item));
    const loaded = belonging.filter(isRow);
    for (const item of belonging) {
      this.#known.add(keyOf(item));
      document.adoptNode(item);
    }
    // Older than what stays skipped when read forward, newer when read backward.
    const isAboveRow = this.#newestFirst === isBefore;
    const ordered = this.#newestFirst ? belonging : belonging.reverse();
    if (isAboveRow) row.before(...ordered);
    else row.after(...ordered);
    for (const item of belonging) window.htmx?.process(item);
    // A gap among the entries that spans pages is on each of them: only an event tells that the other side is reached.
    const reached = items.filter(isRow).length > loaded.length;
    const way = isBefore === this.#newestFirst ? "next" : "previous";
    const onward = page.querySelector(`[data-page="${way}"]`);
    const side = isBefore ? "before" : "after";
    // A search that found nothing as far as it went goes on from there.
    const far = loaded.length ? positionOf(loaded.at(isBefore ? -1 : 0)) : onward && new URL(onward.href).searchParams.get(side);
    if (reached || !onward || !far) {
      if (!isBefore && row.matches("[data-auto]")) this.#goLive(page);
      return row.remove();
    }
    row.dataset[side] = far;
    const left = Math.max(0, Number(row.dataset.count ?? 1) - loaded.length);
    if (isBefore || !row.dataset.count) row.lastChild.href = this.#address(row);
    else if (left === 0 && !row.classList.contains("is-inexact")) row.remove();
    else this.#tell(row, left);
  }

  // The list has come to the newest end: from here on new rows come by themselves.
  #goLive(page) {
    const end = page.querySelector("ol.rows[data-live]");
    if (!end) return;
    for (const name of ["liveQuery", "liveCursor"]) this.#list.dataset[name] = end.dataset[name];
    this.#list.dataset.live = "";
    this.#list.dispatchEvent(new CustomEvent("evdash:at-end", { bubbles: true }));
  }

  #belongs(row, item) {
    if (row.dataset.before) return true;
    const cursor = this.#list.dataset.liveCursor && JSON.parse(this.#list.dataset.liveCursor);
    if (cursor && isRow(item) && compare(idOf(item), cursor[streamOf(item)] ?? "0-0") > 0) return false;
    const newer = this.#newestFirst ? row.previousElementSibling : row.nextElementSibling;
    return !newer || !keyOf(newer) || compare(placeOf(item), placeOf(newer)) < 0;
  }
}
