// The WebSocket of a page. It reconnects with growing pauses and assigns answers to subscriptions. If the server answers
// but WebSockets are blocked, the same events are read over HTTP.
import { Polling } from "./polling.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const CHECK_EVERY_MS = 5_000;
const SILENCE_MS = 75_000; // the server sends something every 30 s
const OPENING_MS = 8_000;
const ASLEEP_MS = 20_000; // the computer slept if no timer ran for this time
const FAILURES_UNTIL_POLLING = 3;
// While polling: soon at first, because the server may only have started again, and rarely where sockets are blocked.
const SOCKET_RETRY_MS = 3_000;
const LONGEST_SOCKET_RETRY_MS = 60_000;
const WAITING_SEEN_MS = 500;
const SIGNED_OUT = 4401;
const REFUSED = 4400; // a message that the pages of evdash do not send
const TOO_MANY = 4429;
const TOO_MANY_RETRY_MS = 20_000; // until then other sockets may be closed

// A sandbox has no tail that could push its entries.
const isByPolling = () => document.body.dataset.liveBy === "polling";

/**
 * @typedef {object} Handlers
 * @property {() => ?object} subscription - Returns what the page subscribes to, without `type` and `number`; or null.
 * @property {(state: string, reason: ?(string|number|Date)) => void} state - The connection has this state.
 * @property {(frame: object, acknowledge: () => void) => void} rows - A frame of rows for the list.
 * @property {(message: object) => void} alive - Nothing new up to a cursor.
 * @property {(message: object) => void} waiting - The count of events beyond the credit.
 * @property {(message: object) => void} news - The count of new events, for a subscription without rows.
 * @property {() => void} subscribed - The last subscription is in effect.
 */
export class Connection {
  #socket = null;
  #handlers;
  #number = 0; // of the last subscription
  #answered = 0; // of the last subscription with an answer: messages belong to it
  #acknowledged = 0; // frames, on this socket
  #delayMs = FIRST_DELAY_MS;
  #socketRetryMs = SOCKET_RETRY_MS;
  #timer = 0;
  #openedAt = 0;
  #receivedAt = 0;
  #checkedAt = Date.now();
  #lostAt = null;
  #failures = 0; // consecutive sockets without an answer
  #isOver = false; // signed out or refused: the page must be loaded again
  #reason = "";
  #polling;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#polling = new Polling({
      subscription: handlers.subscription,
      received: (message, everyS) => this.#polled(message, everyS),
      signedOut: () => this.#end("signed out"),
      gone: () => this.#end("gone"),
      failed: () => this.#pollingFailed(),
    });
    setInterval(() => this.#check(), CHECK_EVERY_MS);
    window.addEventListener("online", () => this.renew());
    document.addEventListener("visibilitychange", () => document.hidden || this.#check());
  }

  get isOver() {
    return this.#isOver;
  }

  get isUsed() {
    return Boolean(this.#socket) || this.#polling.isOn;
  }

  // Subscribe to the current subscription of the page, on the open socket or on a new one.
  subscribe() {
    if (this.#isOver) return;
    if (this.#polling.isOn) this.#polling.pollNow();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#sendSubscription();
    else if (!this.#socket) this.#connect();
  }

  // Replace a connection that may be dead without a sign of it.
  renew() {
    if (this.#socket) this.#drop();
    this.#retry();
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#lostAt = null;
    this.#polling.stop();
    socket?.close();
  }

  // Request the newest of the events that the server only counted.
  jump() {
    this.#send({ type: "jump" });
  }

  // The page has refreshed itself after news.
  confirmRefresh() {
    this.#send({ type: "waiting-seen" });
  }

  #retry() {
    if (!this.#socket && !this.#isOver && this.#handlers.subscription()) this.#connect();
  }

  #retryIn(delayMs) {
    this.#timer = setTimeout(() => this.#retry(), delayMs);
  }

  #connect() {
    clearTimeout(this.#timer);
    if (isByPolling()) return this.#polling.start();
    if (!this.#lostAt && !this.#polling.isOn) this.#handlers.state("connecting");
    const address = new URL("/live/socket/", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.#acknowledged = 0;
    this.#answered = 0;
    this.#openedAt = this.#receivedAt = Date.now();
    const isCurrent = () => this.#socket === socket;
    socket.addEventListener("open", () => isCurrent() && this.#sendSubscription());
    socket.addEventListener("message", (event) => isCurrent() && this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => isCurrent() && this.#closed(event.code));
  }

  #sendSubscription() {
    const subscription = this.#handlers.subscription();
    if (subscription) this.#send({ type: "subscribe", number: ++this.#number, ...subscription });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    this.#receivedAt = Date.now();
    if (message.type === "refused") this.#reason = message.reason;
    else if (message.type === "subscribed") this.#subscribed(message.number);
    else if (message.type === "state") this.#handlers.state(message.state, message.reason);
    else if (message.type === "rows") this.#receiveRows(message);
    else if (this.#answered !== this.#number) return;
    else if (message.type === "alive") this.#handlers.alive(message);
    else if (message.type === "news") this.#handlers.news(message);
    else if (message.type === "waiting") {
      this.#handlers.waiting(message);
      setTimeout(() => this.#send({ type: "waiting-seen" }), WAITING_SEEN_MS);
    }
  }

  #subscribed(number) {
    this.#answered = number;
    this.#delayMs = FIRST_DELAY_MS;
    this.#socketRetryMs = SOCKET_RETRY_MS;
    this.#lostAt = null;
    this.#failures = 0;
    this.#polling.stop();
    if (number === this.#number) this.#handlers.subscribed();
  }

  #receiveRows(frame) {
    const socket = this.#socket;
    const acknowledge = () => {
      // A frame that was held over a lost connection does not count on the new one.
      if (socket === this.#socket) this.#send({ type: "ack", messages: ++this.#acknowledged });
    };
    if (this.#answered === this.#number) this.#handlers.rows(frame, acknowledge);
    else acknowledge(); // of an earlier subscription
  }

  #polled(message, everyS) {
    // The open socket has the same subscription and brings the same events.
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    this.#handlers.subscribed();
    if (message.type === "state") return this.#handlers.state(message.state, message.reason);
    this.#handlers.state(isByPolling() ? "asking" : "polling", everyS);
    if (message.type === "rows") this.#handlers.rows(message, () => {});
    else this.#handlers.alive(message);
  }

  #pollingFailed() {
    if (this.#isOver || this.#socket) return;
    this.#handlers.state("reconnecting", (this.#lostAt ??= new Date()));
    clearTimeout(this.#timer);
    this.#retryIn(this.#delayMs);
  }

  #closed(code) {
    const hadAnswered = this.#answered > 0;
    this.#socket = null;
    if (code === SIGNED_OUT) return this.#end("signed out");
    if (code === REFUSED) return this.#end("refused");
    if (code === TOO_MANY) {
      this.#handlers.state("refused", this.#reason);
      return this.#retryIn(TOO_MANY_RETRY_MS);
    }
    this.#failures = hadAnswered ? 0 : this.#failures + 1;
    if (this.#failures >= FAILURES_UNTIL_POLLING) this.#polling.start();
    this.#lostAt ??= new Date();
    if (!this.#polling.isOn) this.#handlers.state("reconnecting", this.#lostAt);
    if (this.#polling.isOn) {
      this.#retryIn(this.#socketRetryMs);
      this.#socketRetryMs = Math.min(this.#socketRetryMs * 2, LONGEST_SOCKET_RETRY_MS);
      return;
    }
    this.#retryIn(this.#delayMs * (0.5 + Math.random() / 2));
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
  }

  #end(state) {
    const reason = this.#reason;
    this.close();
    this.#isOver = true;
    this.#handlers.state(state, reason);
  }

  // A socket can be dead without a close event.
  #check() {
    const now = Date.now();
    const slept = now - this.#checkedAt > ASLEEP_MS && !document.hidden;
    this.#checkedAt = now;
    if (!this.#socket) return slept ? this.#retry() : undefined;
    const isStuck = this.#answered === 0 && now - this.#openedAt > OPENING_MS;
    if (slept) this.renew();
    else if (isStuck || now - this.#receivedAt > SILENCE_MS) this.#drop();
  }

  #drop() {
    const socket = this.#socket;
    this.#closed(0);
    socket.close();
  }
}
