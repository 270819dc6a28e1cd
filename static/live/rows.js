// The rows of a live list: each entry once, in the order of entry IDs, never more than so many.
const ROWS_MAX = 1000;
const NEW_MS = 2500;
const AT_END_PX = 80;

const number = new Intl.NumberFormat("en");

function parsed(entryId) {
  const [ms, seq] = entryId.split("-");
  return [BigInt(ms), BigInt(seq ?? 0)];
}

function compare(one, other) {
  const [a, b] = [parsed(one), parsed(other)];
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;
}

// data-entry is "stream ms-seq".
const idOf = (row) => row.dataset.entry.slice(row.dataset.entry.lastIndexOf(" ") + 1);
const streamOf = (row) => row.dataset.entry.slice(0, row.dataset.entry.lastIndexOf(" "));
const isRow = (element) => element.hasAttribute("data-entry");
const isInUse = (row) => row.matches(":focus-within, .is-selected, :target") || row.querySelector("details[open]");

export class Rows {
  #list;
  #newestFirst;
  #entries;

  constructor(list) {
    this.#list = list;
    this.#newestFirst = list.dataset.liveOrder !== "oldest-first";
    this.#entries = new Set([...list.querySelectorAll("[data-entry]")].map((row) => row.dataset.entry));
  }

  // Per stream, the entry ID up to which this page has everything. Kept in the page, for one that is restored.
  get cursor() {
    return JSON.parse(this.#list.dataset.liveCursor || "{}");
  }

  advance(cursor) {
    const known = this.cursor;
    for (const [stream, entryId] of Object.entries(cursor)) {
      if (!known[stream] || compare(known[stream], entryId) < 0) known[stream] = entryId;
    }
    this.#list.dataset.liveCursor = JSON.stringify(known);
  }

  // Rows of a message, oldest first, and the gap before them.
  add(message) {
    this.#keepingPlace(() => {
      if (message.skipped_after) this.#addGap(message);
      const template = document.createElement("template");
      template.innerHTML = message.html;
      for (const row of [...template.content.querySelectorAll("[data-entry]")]) this.#addRow(row);
      this.#letGo();
    });
    if (message.count) this.#list.parentElement.querySelector(".empty")?.remove();
  }

  #addRow(row) {
    if (this.#entries.has(row.dataset.entry)) return;
    this.#entries.add(row.dataset.entry);
    let neighbour = this.#newestFirst ? this.#list.firstElementChild : this.#list.lastElementChild;
    while (neighbour && isRow(neighbour) && compare(idOf(neighbour), idOf(row)) > 0) {
      neighbour = this.#newestFirst ? neighbour.nextElementSibling : neighbour.previousElementSibling;
    }
    if (this.#newestFirst) this.#list.insertBefore(row, neighbour);
    else this.#list.insertBefore(row, neighbour ? neighbour.nextElementSibling : this.#list.firstElementChild);
    window.htmx?.process(row);
    row.classList.add("is-new");
    setTimeout(() => row.classList.remove("is-new"), NEW_MS);
  }

  #addGap(message) {
    const edge = this.#newestFirst ? this.#list.firstElementChild : this.#list.lastElementChild;
    let gap = edge?.matches(".live-gap[data-count]") ? edge : null;
    if (!gap) {
      gap = this.#note(this.#address("after", message.skipped_after));
      gap.dataset.count = "0";
      if (this.#newestFirst) this.#list.prepend(gap);
      else this.#list.append(gap);
    }
    const count = Number(gap.dataset.count) + message.skipped;
    const isExact = message.skipped_exactly && !gap.matches(".is-inexact");
    gap.dataset.count = String(count);
    gap.classList.toggle("is-inexact", !isExact);
    const events = count === 1 ? "1 event" : `${number.format(count)} events`;
    gap.firstChild.textContent = isExact ? `${events} skipped. ` : `At least ${events} skipped. `;
    gap.lastChild.textContent = count === 1 ? "Load it" : "Load them";
  }

  // The page stays quick: rows far from where new ones come are let go, and can be loaded back.
  #letGo() {
    let excess = this.#entries.size - ROWS_MAX;
    if (excess <= 0) return;
    const fromFarEnd = this.#newestFirst ? [...this.#list.children].reverse() : [...this.#list.children];
    let edge = null;
    for (const element of fromFarEnd) {
      if (!isRow(element)) {
        element.remove();
      } else if (excess <= 0) {
        edge = element;
        break;
      } else if (!isInUse(element)) {
        this.#entries.delete(element.dataset.entry);
        element.remove();
        excess -= 1;
      }
    }
    if (!edge) return;
    const note = this.#note(this.#address("before", `${idOf(edge)}@${streamOf(edge)}`));
    note.firstChild.textContent = "Earlier events are no longer on this page. ";
    note.lastChild.textContent = "Load them";
    if (this.#newestFirst) edge.after(note);
    else edge.before(note);
  }

  #note(address) {
    const note = document.createElement("li");
    note.className = "live-gap";
    const link = document.createElement("a");
    link.href = address;
    note.append("", link);
    return note;
  }

  #address(side, position) {
    const address = new URL(location.href);
    for (const name of ["before", "after", "part"]) address.searchParams.delete(name);
    address.searchParams.set(side, position);
    address.hash = "";
    return address.href;
  }

  // What the reader looks at stays where it is, unless that is the end at which new rows come.
  #keepingPlace(change) {
    const page = document.scrollingElement;
    page.style.overflowAnchor = "none"; // the browser's own way of doing it would do it twice
    if (!this.#newestFirst && page.scrollHeight - page.scrollTop - page.clientHeight < AT_END_PX) {
      change();
      page.scrollTop = page.scrollHeight;
      return;
    }
    const top = this.#list.getBoundingClientRect().top;
    const anchor = top < 0 ? [...this.#list.children].find((row) => row.getBoundingClientRect().bottom > 0) : null;
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (anchor?.isConnected) page.scrollTop += anchor.getBoundingClientRect().top - before;
  }
}
