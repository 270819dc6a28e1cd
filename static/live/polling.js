// Reads over HTTP what is after the cursor, every few seconds, where WebSockets are blocked.
const EVERY_MS = 3_000;

export class Polling {
  isOn = false; // wanted, and the server has answered: otherwise the whole network may be down
  #isWanted = false;
  #handlers;
  #timer = 0;

  constructor(handlers) {
    this.#handlers = handlers;
  }

  start() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#poll();
  }

  stop() {
    this.#isWanted = this.isOn = false;
    clearTimeout(this.#timer);
  }

  pollNow() {
    clearTimeout(this.#timer);
    this.#poll();
  }

  async #poll() {
    const subscription = this.#handlers.subscription();
    if (subscription) await this.#read(subscription);
    clearTimeout(this.#timer);
    if (this.#isWanted) this.#timer = setTimeout(() => this.#poll(), EVERY_MS);
  }

  async #read({ query, cursor, reading = "events" }) {
    const address = new URL(document.body.dataset.catchUp, location.href);
    address.search = new URLSearchParams({ query, cursor: JSON.stringify(cursor), reading });
    try {
      const answer = await fetch(address, { headers: { "HX-Request": "true", "Evdash-Automatic": "1" } });
      if (answer.headers.has("HX-Redirect")) return this.#handlers.signedOut();
      if (answer.status === 404) return this.#handlers.gone();
      if (!answer.ok) throw new Error(answer.statusText);
      const message = await answer.json();
      // Meanwhile the page may have another subscription, or a socket may have answered.
      const current = this.#handlers.subscription();
      const isCurrent = current?.query === query && JSON.stringify(current.cursor) === JSON.stringify(cursor);
      if (!this.#isWanted || !isCurrent) return;
      this.isOn = true;
      this.#handlers.received(message, EVERY_MS / 1000);
    } catch {
      const wasOn = this.isOn;
      this.stop();
      if (wasOn) this.#handlers.failed(); // otherwise the retries of the socket start polling again
    }
  }
}
