// A list of events on an open page.
//
// A list at the newest end ([data-live]) subscribes with its filter and its cursor: per stream, the entry ID up to which
// it has everything. It acknowledges the rows that it has shown. The server sends no more than its credit without an
// acknowledgement, and counts the rest. A list that is paused, or into which the reader has scrolled, holds frames back
// and acknowledges nothing. Later it continues from its cursor, as after a lost connection.
//
// A list at another place only counts the events beyond its end, until the reader has loaded it up to there.
import { LIVE, send } from "./events.js";
import { latest } from "./live/entries.js";
import { ScrollPosition } from "./live/scroll-position.js";
import { Rows } from "./live/rows.js";

export class LiveList {
  element;
  #connection;
  #status;
  #rows;
  #scrollPosition = null; // of a live list
  #isPaused = false; // until the reader resumes. The address has it too.
  #queued = []; // frames, with the acknowledgement of each
  #waiting = 0; // events that the server only counts
  #offscreen = 0; // events outside the window, or beyond the end of a list that is not live

  constructor(element, connection, status) {
    this.element = element;
    this.#connection = connection;
    this.#status = status;
    this.#rows = new Rows(element);
  }

  get isLive() {
    return this.element.hasAttribute("data-live");
  }

  get subscription() {
    const { liveQuery, liveReading } = this.element.dataset;
    return { query: liveQuery, cursor: this.#rows.cursor, reading: liveReading };
  }

  // Follow the newest end: of a new list, or of one that was loaded up to there.
  follow() {
    this.#offscreen = 0;
    this.#isPaused = new URL(location.href).searchParams.has("paused");
    this.#scrollPosition = new ScrollPosition(this.element, this.#rows.newestFirst, () => this.#moved());
    this.#scrollPosition.measure();
    if (this.#startsAtEnd()) queueMicrotask(() => this.#goToEnd()); // after htmx has scrolled
  }

  // The page has another list now.
  close() {
    this.#scrollPosition?.close();
    this.#release();
  }

  receive(frame, acknowledge) {
    if (this.#isStill) this.#queued.push([frame, acknowledge]);
    else this.#show(frame, acknowledge);
    this.count();
  }

  // A newer rendering of a live list has earlier events that match now, and lacks those that no longer do.
  compare(fresh) {
    if (this.isLive && !this.#isStill) this.#rows.compare(fresh);
  }

  advance(cursor) {
    if (!this.#queued.length) this.#rows.advance(cursor);
  }

  setWaiting(events) {
    this.#waiting = events;
    this.count();
  }

  addOffscreen(events) {
    this.#offscreen += events;
    this.count();
  }

  // The server sends held frames again, because it got the cursor of the rows that are shown.
  restart() {
    this.#release();
    this.#waiting = 0;
    this.count();
  }

  togglePause() {
    this.#setPaused(!this.#isPaused);
    this.#resume();
    this.count();
  }

  jumpToNewest() {
    if (!this.isLive) {
      if (this.#offscreen) location.assign(this.#addressOfEnd());
      return;
    }
    this.#setPaused(false);
    this.#scrollPosition.goToEdge();
    this.#resume();
    this.count(); // a shorter state may move the list
    this.#scrollPosition.goToEdge();
  }

  count() {
    const inQueue = this.#queued.reduce((sum, [{ count, skipped }]) => sum + count + skipped, 0);
    this.#status.count({
      isPaused: this.#isPaused,
      isAway: this.isLive ? this.#scrollPosition.isAway : this.#offscreen > 0,
      queued: inQueue + this.#waiting,
      offscreen: this.#offscreen,
      newestFirst: this.#rows.newestFirst,
    });
  }

  get #isStill() {
    return this.#isPaused || (this.#scrollPosition.isAway && (this.#rows.newestFirst || this.#rows.isFull));
  }

  #show(frame, acknowledge) {
    if (this.#scrollPosition.isAway) this.#offscreen += frame.count;
    this.#rows.advance(frame.cursor);
    this.#rows.add(frame);
    acknowledge();
    send(this.element, LIVE, { count: frame.count + frame.skipped });
  }

  // Show the held frames. The newest of the waiting events follow, and one row for those between.
  #resume() {
    if (this.#isStill) return;
    const frames = this.#queued;
    this.#queued = [];
    if (frames.length || this.#waiting) this.#rows.markSeen();
    if (this.#waiting) this.#connection.jump(); // before the acknowledgements, which would bring later events first
    this.#waiting = 0;
    for (const [frame, acknowledge] of frames) this.#show(frame, acknowledge);
  }

  // Held frames were received: without their acknowledgement the server would send nothing else.
  #release() {
    const frames = this.#queued;
    this.#queued = [];
    for (const [, acknowledge] of frames) acknowledge();
  }

  #moved() {
    if (!this.#scrollPosition.isAway) {
      this.#offscreen = 0;
      if (this.#queued.length || this.#waiting) this.#resume();
    }
    this.count();
  }

  #setPaused(isPaused) {
    this.#isPaused = isPaused;
    const address = new URL(location.href);
    address.searchParams.delete("paused");
    if (isPaused) address.searchParams.set("paused", latest(Object.values(this.#rows.cursor)));
    history.replaceState(history.state, "", address);
  }

  // `?end=1` names the newest events. A list with the newest first starts with them.
  #startsAtEnd() {
    const { searchParams: parameters, hash } = new URL(location.href);
    const isElsewhere = ["at", "before", "after"].some((name) => parameters.has(name)) || hash;
    return !this.#rows.newestFirst && parameters.get("end") === "1" && !isElsewhere;
  }

  #goToEnd() {
    this.#scrollPosition.goToEdge();
    this.#moved();
  }

  #addressOfEnd() {
    const address = new URL(location.href);
    for (const name of ["before", "after", "at", "paused"]) address.searchParams.delete(name);
    address.searchParams.set("end", "1");
    return address;
  }
}
