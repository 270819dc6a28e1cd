// What the page says about being live: the state in words, and the button that pauses.
const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

const WORDS = {
  connecting: () => "Connecting",
  "catching up": () => "Catching up",
  live: () => "Live",
  reconnecting: (since) => `Reconnecting since ${clock.format(since)}`,
  unreachable: (reason) => reason,
  "signed out": () => "Signed out: reload the page to sign in",
  refused: (reason) => reason || "The server refused this page",
};

export class Status {
  #state = "connecting";
  #reason = "";
  #isPaused = false;
  #new = 0;

  constructor(toggle) {
    document.addEventListener("click", (event) => event.target.closest?.("[data-live-toggle]") && toggle());
  }

  tell(state, reason) {
    this.#state = state;
    this.#reason = reason;
    this.#write();
  }

  count(isPaused, events) {
    this.#isPaused = isPaused;
    this.#new = events;
    this.#write();
  }

  // The page has other elements now.
  renew() {
    for (const place of document.querySelectorAll("[data-live-status]")) {
      place.setAttribute("role", "status");
      if (document.querySelector("[data-live-toggle]")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet live-toggle";
      button.dataset.liveToggle = "";
      button.title = "Key l";
      place.after(" ", button);
    }
    this.#write();
  }

  #write() {
    const isPaused = this.#isPaused && this.#state === "live";
    const words = isPaused ? "Paused" : WORDS[this.#state](this.#reason);
    for (const place of document.querySelectorAll("[data-live-status]")) {
      place.dataset.state = isPaused ? "paused" : this.#state;
      if (place.textContent !== words) place.textContent = words;
    }
    const waits = this.#new ? `${number.format(this.#new)} new, show them` : "Resume";
    const does = this.#isPaused ? waits : "Pause";
    for (const button of document.querySelectorAll("[data-live-toggle]")) {
      if (button.textContent !== does) button.textContent = does;
    }
  }
}
