// The rows of a live list: each entry once, in the order of entry IDs, at most 1,000 unless the reader loads more.
import { compare, idOf, isRow, keyOf, keysOf, placeOf, positionOf, streamOf } from "./entries.js";
import { SkippedRanges } from "./skipped.js";

const ROWS_MAX = 1000;
const NEW_MS = 2500;
const AT_EDGE_PX = 80;
const SEEN = "seen";

function isInUse(row) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(row, true);
  const used = ".is-selected, :target";
  return isSelected || row.matches(`:focus-within, ${used}`) || row.querySelector(`details[open], ${used}`);
}

export class Rows {
  newestFirst;
  #list;
  #known; // the keys of rows and gaps in the list
  #skipped;

  constructor(list) {
    this.#list = list;
    this.newestFirst = list.dataset.liveOrder !== "oldest-first";
    this.#known = new Set([...list.children].flatMap(keysOf));
    this.#skipped = new SkippedRanges(list, {
      newestFirst: this.newestFirst,
      known: this.#known,
      keepPlace: (change) => this.#keepPlace(change, true),
    });
  }

  // Per stream, the entry ID up to which the list has everything. An attribute has it, for a page that is restored.
  get cursor() {
    return JSON.parse(this.#list.dataset.liveCursor || "{}");
  }

  // Another row would replace one that the page has.
  get isFull() {
    return this.#known.size >= ROWS_MAX;
  }

  // The cursor decreases if a stream was recreated with lower IDs.
  advance(cursor) {
    this.#list.dataset.liveCursor = JSON.stringify({ ...this.cursor, ...cursor });
  }

  // Add the rows of a frame, oldest first, and the range that was skipped before them.
  add(frame) {
    this.#keepPlace(() => {
      if (frame.skipped_after) this.#skipped.add(frame);
      const template = document.createElement("template");
      template.innerHTML = frame.html;
      for (const item of [...template.content.children]) this.#addItem(item);
      this.#unload();
    });
    if (frame.count) this.#list.parentElement.querySelector(".empty")?.remove();
  }

  // Put a line above the newest row, which the reader saw before the rows that come now.
  markSeen() {
    const newest = [...this.#list.children].find(isRow);
    if (!this.newestFirst || !newest) return;
    const line = this.#list.querySelector(`[data-key="${SEEN}"]`) ?? document.createElement("li");
    line.className = "row-here";
    line.textContent = "You were here";
    line.dataset.key = SEEN; // and a place in the order, as a gap has it
    line.dataset.at = idOf(newest);
    this.#keepPlace(() => newest.before(line));
  }

  // Add and remove earlier rows, as a newer rendering of the list has them. A late declaration of a session gives its
  // earlier events a user, an agent or a model, and so changes which filters they match.
  compare(fresh) {
    const isUpTo = (cursor, row) => compare(idOf(row), cursor[streamOf(row)] ?? "0-0") <= 0;
    const freshCursor = JSON.parse(fresh.dataset.liveCursor || "{}");
    const freshRows = [...fresh.children].filter(isRow);
    const keys = new Set(freshRows.flatMap(keysOf));
    const first = this.newestFirst ? freshRows.at(-1) : freshRows[0];
    const hasEarlier = fresh.parentElement.querySelector(`[data-page="${this.newestFirst ? "next" : "previous"}"]`);
    const isCovered = (row) =>
      isUpTo(freshCursor, row) && (!hasEarlier || (first && compare(idOf(row), idOf(first)) > 0));
    for (const key of [...this.#list.children].flatMap(keysOf)) this.#known.add(key); // morph.js has added returns
    const cursor = this.cursor;
    const added = freshRows.filter((row) => !this.#known.has(keyOf(row)) && isUpTo(cursor, row));
    const removed = [...this.#list.children].filter(
      (row) => isRow(row) && !keys.has(keyOf(row)) && isCovered(row) && !isInUse(row),
    );
    if (!added.length && !removed.length) return;
    this.#keepPlace(() => {
      for (const row of removed) {
        this.#forget(row);
      }
      // A row next to a skipped range is part of the range.
      for (const row of added) if (!this.#neighbourOf(row)?.matches(".live-gap")) this.#addItem(row);
    }, true);
  }

  // The newest element that is not newer than the item, or the skipped range that comes first.
  #neighbourOf(item) {
    let neighbour = this.#newest;
    while (neighbour && keyOf(neighbour) && compare(placeOf(neighbour), placeOf(item)) > 0) {
      neighbour = this.newestFirst ? neighbour.nextElementSibling : neighbour.previousElementSibling;
    }
    return neighbour;
  }

  #addItem(item) {
    if (this.#known.has(keyOf(item))) return;
    for (const key of keysOf(item)) {
      if (this.#known.has(key)) this.#list.querySelector(`:scope > [data-entry="${CSS.escape(key)}"]`)?.remove();
      this.#known.add(key); // a return that was a row of its own is in the card of its call now
    }
    const neighbour = this.#neighbourOf(item);
    if (this.newestFirst) this.#list.insertBefore(item, neighbour);
    else this.#list.insertBefore(item, neighbour ? neighbour.nextElementSibling : this.#list.firstElementChild);
    window.htmx?.process(item);
    item.classList.add("is-new");
    setTimeout(() => item.classList.remove("is-new"), NEW_MS);
  }

  #forget(element) {
    for (const key of keysOf(element)) this.#known.delete(key);
    element.remove();
  }

  get #newest() {
    return this.newestFirst ? this.#list.firstElementChild : this.#list.lastElementChild;
  }

  // Keep the page quick: remove the rows that are farthest from new ones. The reader can load them again.
  #unload() {
    let excess = this.#known.size - ROWS_MAX;
    if (excess <= 0) return;
    const fromFarEnd = this.newestFirst ? [...this.#list.children].reverse() : [...this.#list.children];
    let edge = null;
    for (const element of fromFarEnd) {
      if (isRow(element) && excess <= 0) {
        edge = element;
        break;
      }
      if (isRow(element) && isInUse(element)) continue;
      if (isRow(element)) excess -= 1;
      this.#forget(element);
    }
    if (edge) this.#skipped.addEarlier(positionOf(edge), edge);
  }

  // Keep the first row in the window where it is, unless the reader is at the end at which rows are added.
  // Loaded rows may come above the first row in the window, also of a list that begins inside the window.
  #keepPlace(change, isLoading = false) {
    const page = document.scrollingElement;
    page.style.overflowAnchor = "none"; // the browser would correct the place a second time
    if (!isLoading && !this.newestFirst && this.#list.getBoundingClientRect().bottom - innerHeight < AT_EDGE_PX) {
      change();
      this.#newest?.scrollIntoView({ block: "nearest", behavior: "instant" });
      return;
    }
    const top = this.#list.getBoundingClientRect().top;
    const isInView = (row) => isRow(row) && row.getBoundingClientRect().bottom > 0;
    const anchor = top < 0 || isLoading ? [...this.#list.children].find(isInView) : null;
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) page.scrollTop += anchor.getBoundingClientRect().top - before;
  }
}
