// The rows of a live list: each entry once, in the order of entry IDs, never more than so many.
import { compare, idOf, isRow, keyOf, placeOf, positionOf } from "./entries.js";
import { Skipped } from "./skipped.js";

export { latest } from "./entries.js";

const ROWS_MAX = 1000;
const NEW_MS = 2500;
const AT_END_PX = 80;

function isInUse(row) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(row, true);
  return isSelected || row.matches(":focus-within, .is-selected, :target") || row.querySelector("details[open]");
}

export class Rows {
  list;
  #known; // the keys of what stands in the list
  #skipped;

  constructor(list) {
    this.list = list;
    this.newestFirst = list.dataset.liveOrder !== "oldest-first";
    this.#known = new Set([...list.children].map(keyOf).filter(Boolean));
    this.#skipped = new Skipped(list, { newestFirst: this.newestFirst, known: this.#known, keepingPlace: (change, isLoading) => this.#keepingPlace(change, isLoading) });
  }

  // Per stream, the entry ID up to which this page has everything. Kept in the page, for one that is restored.
  get cursor() {
    return JSON.parse(this.list.dataset.liveCursor || "{}");
  }

  // Whether another row would cost one that the page already has.
  get isFull() {
    return this.#known.size >= ROWS_MAX;
  }

  advance(cursor) {
    // It goes back if a stream was recreated, with lower IDs.
    this.list.dataset.liveCursor = JSON.stringify({ ...this.cursor, ...cursor });
  }

  // What a message brings, oldest first, and how many events were skipped before it.
  add(message) {
    this.#keepingPlace(() => {
      if (message.skipped_after) this.#skipped.add(message);
      const template = document.createElement("template");
      template.innerHTML = message.html;
      for (const item of [...template.content.children]) this.#addItem(item);
      this.#letGo();
    });
    if (message.count) this.list.parentElement.querySelector(".empty")?.remove();
  }

  #addItem(item) {
    if (this.#known.has(keyOf(item))) return;
    this.#known.add(keyOf(item));
    let neighbour = this.#newest;
    while (neighbour && keyOf(neighbour) && compare(placeOf(neighbour), placeOf(item)) > 0) {
      neighbour = this.newestFirst ? neighbour.nextElementSibling : neighbour.previousElementSibling;
    }
    if (this.newestFirst) this.list.insertBefore(item, neighbour);
    else this.list.insertBefore(item, neighbour ? neighbour.nextElementSibling : this.list.firstElementChild);
    window.htmx?.process(item);
    item.classList.add("is-new");
    setTimeout(() => item.classList.remove("is-new"), NEW_MS);
  }

  get #newest() {
    return this.newestFirst ? this.list.firstElementChild : this.list.lastElementChild;
  }

  // The page stays quick: rows far from where new ones come are let go, and can be loaded back.
  #letGo() {
    let excess = this.#known.size - ROWS_MAX;
    if (excess <= 0) return;
    const fromFarEnd = this.newestFirst ? [...this.list.children].reverse() : [...this.list.children];
    let edge = null;
    for (const element of fromFarEnd) {
      if (isRow(element) && excess <= 0) {
        edge = element;
        break;
      }
      if (isRow(element) && isInUse(element)) continue;
      if (isRow(element)) excess -= 1;
      this.#known.delete(keyOf(element));
      element.remove();
    }
    if (edge) this.#skipped.addEarlier(positionOf(edge), edge);
  }

  // What the reader looks at stays where it is, unless that is the end at which new rows come.
  // What is loaded comes where it belongs, which may be above the first row in view.
  #keepingPlace(change, isLoading = false) {
    const page = document.scrollingElement;
    page.style.overflowAnchor = "none"; // the browser's own way of doing it would do it twice
    if (!isLoading && !this.newestFirst && this.list.getBoundingClientRect().bottom - innerHeight < AT_END_PX) {
      change();
      this.#newest?.scrollIntoView({ block: "nearest", behavior: "instant" });
      return;
    }
    const top = this.list.getBoundingClientRect().top;
    const anchor = top < 0 || isLoading ? [...this.list.children].find((row) => isRow(row) && row.getBoundingClientRect().bottom > 0) : null;
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) page.scrollTop += anchor.getBoundingClientRect().top - before;
  }
}
