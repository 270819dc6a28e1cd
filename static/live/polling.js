// Asking over HTTP for what lies beyond the cursor, again and again, where WebSockets do not get through.
const EVERY_MS = 3_000;

export class Polling {
  isOn = false; // and the server has answered: before that the network may be gone altogether
  #isWanted = false;
  #handlers;
  #timer = 0;

  constructor(handlers) {
    this.#handlers = handlers;
  }

  start() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#ask();
  }

  stop() {
    this.#isWanted = this.isOn = false;
    clearTimeout(this.#timer);
  }

  // Ask now instead of after the pause.
  soon() {
    clearTimeout(this.#timer);
    this.#ask();
  }

  async #ask() {
    const subscription = this.#handlers.subscription();
    if (subscription) await this.#read(subscription);
    clearTimeout(this.#timer);
    if (this.#isWanted) this.#timer = setTimeout(() => this.#ask(), EVERY_MS);
  }

  async #read({ query, cursor, reading = "events" }) {
    const address = new URL(document.body.dataset.missed, location.href);
    address.search = new URLSearchParams({ query, cursor: JSON.stringify(cursor), reading });
    try {
      const answer = await fetch(address, { headers: { "HX-Request": "true" } });
      if (answer.headers.has("HX-Redirect")) return this.#handlers.signedOut();
      if (answer.status === 404) return this.#handlers.gone();
      if (!answer.ok) throw new Error(answer.statusText);
      const message = await answer.json();
      // Meanwhile the page may have asked for something else, or a socket may have answered.
      const asked = this.#handlers.subscription();
      if (!this.#isWanted || asked?.query !== query || JSON.stringify(asked.cursor) !== JSON.stringify(cursor)) return;
      this.isOn = true;
      this.#handlers.heard(message, EVERY_MS / 1000);
    } catch {
      const wasOn = this.isOn;
      this.stop();
      if (wasOn) this.#handlers.failed(); // else the socket's own tries tell, and come back here
    }
  }
}
