// The socket: connects again with growing pauses, and tells apart the answers to its subscriptions. Where no socket can
// be had although the server answers, the same read is asked for over HTTP.
import { Polling } from "./polling.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const LOOK_EVERY_MS = 5_000;
const SILENCE_MS = 75_000; // the server says something every 30 s
const OPENING_MS = 8_000;
const ASLEEP_MS = 20_000; // no timer ran for so long: the computer slept
const FAILURES_UNTIL_POLLING = 3;
const SOCKET_TRIED_AGAIN_MS = 60_000; // while polling
const WAITING_SEEN_MS = 500;
const SIGNED_OUT = 4401;
const REFUSED = 4400; // nothing that a page of ours says
const TOO_MANY = 4429;
const TOO_MANY_AGAIN_MS = 20_000; // others may have been closed

// A sandbox has no tail that a socket would be told of.
const isByPolling = () => document.body.dataset.liveBy === "polling";

export class Connection {
  #socket = null;
  #handlers;
  #number = 0; // of the last subscription
  #answered = 0; // messages before the answer to it belong to another
  #shown = 0; // messages with rows acknowledged on this socket
  #delayMs = FIRST_DELAY_MS;
  #timer = 0;
  #openedAt = 0;
  #heardAt = 0;
  #lookedAt = Date.now();
  #lostAt = null;
  #failures = 0; // sockets in a row that never answered
  #isOver = false; // signed out or refused: only a new page helps
  #reason = "";
  #polling;

  constructor(handlers) {
    this.#handlers = handlers;
    this.#polling = new Polling({
      subscription: handlers.subscription,
      heard: (message, everyS) => this.#polled(message, everyS),
      signedOut: () => this.#end("signed out"),
      gone: () => this.#end("gone"),
      failed: () => this.#pollingFailed(),
    });
    setInterval(() => this.#look(), LOOK_EVERY_MS);
    window.addEventListener("online", () => this.renew());
    document.addEventListener("visibilitychange", () => document.hidden || this.#look());
  }

  get isOver() {
    return this.#isOver;
  }

  get isUsed() {
    return Boolean(this.#socket) || this.#polling.isOn;
  }

  // Ask for what `subscription` says now, on the open socket or on a new one.
  subscribe() {
    if (this.#isOver) return;
    if (this.#polling.isOn) this.#polling.soon();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask();
    else if (!this.#socket) this.#connect();
  }

  // Connect at once instead of after the pause.
  retry() {
    if (!this.#socket && !this.#isOver && this.#handlers.subscription()) this.#connect();
  }

  // A connection that may be dead without knowing it is given up for a new one.
  renew() {
    if (this.#socket) this.#lose();
    this.retry();
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#lostAt = null;
    this.#polling.stop();
    socket?.close();
  }

  // Of what was only counted the newest are wanted.
  jump() {
    this.#say({ type: "jump" });
  }

  // The page has looked at what the news were about.
  looked() {
    this.#say({ type: "waiting-seen" });
  }

  #connect() {
    clearTimeout(this.#timer);
    if (isByPolling()) return this.#polling.start();
    if (!this.#lostAt && !this.#polling.isOn) this.#handlers.state("connecting");
    const address = new URL("/live/socket/", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.#shown = 0;
    this.#answered = 0;
    this.#openedAt = this.#heardAt = Date.now();
    socket.addEventListener("open", () => this.#socket === socket && this.#ask());
    socket.addEventListener("message", (event) => this.#socket === socket && this.#hear(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.#socket === socket && this.#closed(event.code));
  }

  #ask() {
    const subscription = this.#handlers.subscription();
    if (subscription) this.#say({ type: "subscribe", number: ++this.#number, ...subscription });
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #hear(message) {
    this.#heardAt = Date.now();
    if (message.type === "refused") this.#reason = message.reason;
    else if (message.type === "subscribed") this.#subscribed(message.number);
    else if (message.type === "state") this.#handlers.state(message.state, message.reason);
    else if (message.type === "rows") this.#rows(message);
    else if (this.#answered !== this.#number) return;
    else if (message.type === "alive") this.#handlers.alive(message);
    else if (message.type === "news") this.#handlers.news(message);
    else if (message.type === "waiting") {
      this.#handlers.waiting(message);
      setTimeout(() => this.#say({ type: "waiting-seen" }), WAITING_SEEN_MS);
    }
  }

  #subscribed(number) {
    this.#answered = number;
    this.#delayMs = FIRST_DELAY_MS;
    this.#lostAt = null;
    this.#failures = 0;
    this.#polling.stop();
    if (number === this.#number) this.#handlers.subscribed();
  }

  #rows(message) {
    const socket = this.#socket;
    const acknowledge = () => {
      // What was held over a lost connection is not the new one's.
      if (socket === this.#socket) this.#say({ type: "ack", messages: ++this.#shown });
    };
    if (this.#answered === this.#number) this.#handlers.rows(message, acknowledge);
    else acknowledge(); // of a list that is gone, or that has requested again
  }

  #polled(message, everyS) {
    // A socket has asked for the same: what it brings would stand beside this.
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
    this.#timer = setTimeout(() => this.retry(), this.#delayMs);
  }

  #closed(code) {
    const hadAnswered = this.#answered > 0;
    this.#socket = null;
    if (code === SIGNED_OUT) return this.#end("signed out");
    if (code === REFUSED) return this.#end("refused");
    if (code === TOO_MANY) {
      this.#handlers.state("refused", this.#reason);
      this.#timer = setTimeout(() => this.retry(), TOO_MANY_AGAIN_MS);
      return;
    }
    this.#failures = hadAnswered ? 0 : this.#failures + 1;
    if (this.#failures >= FAILURES_UNTIL_POLLING) this.#polling.start();
    this.#lostAt ??= new Date();
    if (!this.#polling.isOn) this.#handlers.state("reconnecting", this.#lostAt);
    const delayMs = this.#polling.isOn ? SOCKET_TRIED_AGAIN_MS : this.#delayMs * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.retry(), delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
  }

  #end(state) {
    const reason = this.#reason;
    this.close();
    this.#isOver = true;
    this.#handlers.state(state, reason);
  }

  // A connection may be gone without anybody having said so.
  #look() {
    const now = Date.now();
    const slept = now - this.#lookedAt > ASLEEP_MS && !document.hidden;
    this.#lookedAt = now;
    if (!this.#socket) return slept ? this.retry() : undefined;
    const opens = this.#answered === 0 && now - this.#openedAt > OPENING_MS;
    if (slept) this.renew();
    else if (opens || now - this.#heardAt > SILENCE_MS) this.#lose();
  }

  #lose() {
    const socket = this.#socket;
    this.#closed(0);
    socket.close();
  }
}
