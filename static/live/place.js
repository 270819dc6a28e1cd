// Where the reader is: at the end of the list at which new rows come, or away from it.
const NEAR_PX = 60;

export class Place {
  isAway = false;
  #list;
  #moved;
  #isDue = false;

  // `list` gives the element, `moved` is told when the reader has gone away or come back.
  constructor(list, moved) {
    this.#list = list;
    this.#moved = moved;
    const soon = () => {
      if (this.#isDue) return;
      this.#isDue = true;
      requestAnimationFrame(() => {
        this.#isDue = false;
        this.look();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon, { passive: true });
  }

  look() {
    const was = this.isAway;
    this.isAway = this.#distance() > NEAR_PX;
    if (was !== this.isAway) this.#moved();
  }

  // At once, and without an animation: new rows come meanwhile.
  goToEdge() {
    const page = document.scrollingElement;
    // Above what is stuck to the window's lower end.
    if (!this.#isNewestFirst()) this.#list()?.lastElementChild?.scrollIntoView({ block: "end", behavior: "instant" });
    else page.scrollTo({ top: page.scrollTop - this.#distance(), behavior: "instant" });
    this.isAway = false;
  }

  #isNewestFirst() {
    return this.#list()?.dataset.liveOrder !== "oldest-first";
  }

  // How far the edge lies outside the window.
  #distance() {
    const box = this.#list()?.getBoundingClientRect();
    if (!box?.height) return 0;
    return Math.max(0, this.#isNewestFirst() ? -box.top : box.bottom - innerHeight);
  }
}
