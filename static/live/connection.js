// The socket: connects again with growing pauses, and tells apart the answers to its subscriptions.
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const SILENCE_MS = 75_000; // the server says something every 30 s
const WAITING_SEEN_MS = 500;
const SIGNED_OUT = 4401;
const REFUSED = [4400, 4429]; // nothing that we said, too many sockets

export class Connection {
  #socket = null;
  #handlers;
  #number = 0; // of the last subscription
  #answered = 0; // messages before the answer to it belong to another
  #shown = 0; // messages with rows acknowledged on this socket
  #delayMs = FIRST_DELAY_MS;
  #timer = 0;
  #heardAt = 0;
  #lostAt = null;
  #isOver = false; // signed out or refused: only a new page helps
  #reason = "";

  constructor(handlers) {
    this.#handlers = handlers;
    setInterval(() => this.#listen(), 10_000);
    window.addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  // Ask for what `subscription` says now, on the open socket or on a new one.
  subscribe() {
    if (this.#isOver) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask();
    else if (!this.#socket) this.#connect();
  }

  // Connect at once instead of after the pause.
  retry() {
    if (!this.#socket && !this.#isOver && this.#handlers.subscription()) this.#connect();
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#lostAt = null;
    socket?.close();
  }

  #connect() {
    clearTimeout(this.#timer);
    if (!this.#lostAt) this.#handlers.state("connecting");
    const address = new URL("/live/socket/", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.#shown = 0;
    this.#heardAt = Date.now();
    socket.addEventListener("open", () => this.#ask());
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
    else if (message.type === "waiting") {
      this.#handlers.waiting(message);
      setTimeout(() => this.#say({ type: "waiting-seen" }), WAITING_SEEN_MS);
    }
  }

  #subscribed(number) {
    this.#answered = number;
    this.#delayMs = FIRST_DELAY_MS;
    this.#lostAt = null;
    if (number === this.#number) this.#handlers.subscribed();
  }

  #rows(message) {
    const socket = this.#socket;
    const acknowledge = () => {
      // What was held over a lost connection is not the new one's.
      if (socket === this.#socket) this.#say({ type: "ack", messages: ++this.#shown });
    };
    if (this.#answered === this.#number) this.#handlers.rows(message, acknowledge);
    else acknowledge(); // of a list that is no longer there
  }

  #closed(code) {
    this.#socket = null;
    if (code === SIGNED_OUT || REFUSED.includes(code)) {
      this.#isOver = true;
      this.#handlers.state(code === SIGNED_OUT ? "signed out" : "refused", this.#reason);
      return;
    }
    this.#lostAt ??= new Date();
    this.#handlers.state("reconnecting", this.#lostAt);
    this.#timer = setTimeout(() => this.retry(), this.#delayMs * (0.5 + Math.random() / 2));
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
  }

  // A connection may be gone without anybody having said so.
  #listen() {
    if (!this.#socket || Date.now() - this.#heardAt < SILENCE_MS) return;
    const socket = this.#socket;
    this.#closed(0);
    socket.close();
  }
}
