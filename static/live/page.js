// The live connection of a page: for its list of events (static/live.js), or for news on which the page refreshes itself
// (static/refresh.js).
import { AT_END, LIVE, REFRESHED, STATE, SYNCED, send } from "../events.js";
import { LiveList } from "../live.js";
import { isTyping } from "../typing.js";
import { Connection } from "./connection.js";
import { Status } from "./status.js";

class LivePage {
  #list = null;
  #notifyQuery = null; // of a page that subscribes to counts of new events
  #status = new Status({ toggle: () => this.#togglePause(), jump: () => this.#list?.jumpToNewest() });
  #connection = new Connection({
    subscription: () => this.#subscription(),
    state: (state, reason) => {
      this.#status.setState(state, reason);
      send(document, STATE, { state });
    },
    rows: (frame, acknowledge) => this.#list.receive(frame, acknowledge),
    alive: ({ cursor }) => this.#isLive && cursor && this.#list.advance(cursor),
    waiting: ({ count }) => this.#list?.setWaiting(count),
    news: ({ count }) => {
      this.#list?.addOffscreen(count); // it comes after the end of a list that is not live
      send(document, LIVE, { count });
    },
    subscribed: () => {
      this.#list?.restart();
      if (!this.#isLive) send(document, LIVE, { count: 0 }); // events may have come before the subscription
    },
  });

  constructor() {
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
      if (event.key === "l") this.#togglePause();
      else if (event.key === "n") this.#list?.jumpToNewest();
    });
    document.addEventListener(AT_END, () => this.#follow());
    document.addEventListener(SYNCED, ({ detail }) => detail.list && this.#list?.compare(detail.list));
    document.addEventListener(REFRESHED, () => this.#connection.confirmRefresh());
    // htmx exchanges the content of a page without a new load.
    for (const change of ["htmx:afterSettle", "htmx:historyRestore"]) {
      document.addEventListener(change, () => this.#update());
    }
    window.addEventListener("pageshow", (event) => event.persisted && this.#connection.renew());
    this.#update();
  }

  get #isLive() {
    return Boolean(this.#list?.isLive);
  }

  #subscription() {
    if (this.#isLive) return this.#list.subscription;
    const query = this.#queryOfNotices();
    return query === null ? null : { query, cursor: {}, rows: false };
  }

  // The filter of the events that change the page without a row of their own.
  #queryOfNotices() {
    if (document.querySelector("main[data-refresh]")) return "";
    return document.querySelector("ol.rows[data-notify-query]:not([data-live])")?.dataset.notifyQuery ?? null;
  }

  #togglePause() {
    if (this.#isLive && !this.#connection.isOver) this.#list.togglePause();
  }

  #update() {
    const element = document.querySelector("ol.rows[data-live-order]");
    if (element !== (this.#list?.element ?? null)) {
      this.#list?.close();
      this.#list = element && new LiveList(element, this.#connection, this.#status);
      if (this.#isLive) return this.#follow();
    } else if (this.#isLive) return;
    this.#status.renew(false);
    this.#subscribeToNews();
    if (this.#list) this.#list.count();
    else this.#status.count();
  }

  #follow() {
    this.#status.renew(true);
    this.#notifyQuery = null;
    this.#list.follow();
    this.#connection.subscribe();
    this.#list.count();
  }

  #subscribeToNews() {
    const query = this.#queryOfNotices();
    if (query === null) this.#connection.close();
    else if (query !== this.#notifyQuery || !this.#connection.isUsed) this.#connection.subscribe();
    this.#notifyQuery = query;
  }
}

new LivePage();
