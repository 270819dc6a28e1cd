// The place of the reader: at the edge of the list at which new rows are added, or away from it.
const NEAR_PX = 60;

export class ScrollPosition {
  isAway = false;
  #element;
  #newestFirst;
  #onChange; // the reader has left the edge, or is back
  #isDue = false;
  #closing = new AbortController();

  constructor(element, newestFirst, onChange) {
    this.#element = element;
    this.#newestFirst = newestFirst;
    this.#onChange = onChange;
    for (const change of ["scroll", "resize"]) {
      addEventListener(change, () => this.#measureSoon(), { passive: true, signal: this.#closing.signal });
    }
  }

  measure() {
    const was = this.isAway;
    this.isAway = this.#distance() > NEAR_PX;
    if (was !== this.isAway) this.#onChange();
  }

  // Without an animation: rows are added meanwhile.
  goToEdge() {
    const page = document.scrollingElement;
    // `scrollIntoView` respects the scroll margin of what is fixed to the lower end of the window.
    if (!this.#newestFirst) this.#element.lastElementChild?.scrollIntoView({ block: "end", behavior: "instant" });
    else page.scrollTo({ top: page.scrollTop - this.#distance(), behavior: "instant" });
    this.isAway = false;
  }

  close() {
    this.#closing.abort();
  }

  #measureSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (!this.#closing.signal.aborted) this.measure();
    });
  }

  // From the window to the edge outside of it, in pixels.
  #distance() {
    const box = this.#element.getBoundingClientRect();
    if (!box.height) return 0;
    if (!this.#newestFirst) return Math.max(0, box.bottom - innerHeight);
    const head = this.#element.previousElementSibling; // it covers rows at the upper edge of the window
    return Math.max(0, (head?.matches(".row-head") ? head.offsetHeight : 0) - box.top);
  }
}
