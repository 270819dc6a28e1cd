// What the page says about being live: the state in words, the button that pauses, and the one that leads to now.
const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

const WORDS = {
  connecting: () => "Connecting",
  "catching up": () => "Catching up",
  live: () => "Live",
  asking: (seconds) => `Live, every ${seconds} s`,
  polling: (seconds) => `Live, every ${seconds} s (WebSocket blocked)`,
  reconnecting: (since) => `Reconnecting since ${clock.format(since)}`,
  unreachable: (reason) => reason,
  gone: () => "Sandbox deleted or expired",
  "signed out": () => "Signed out. Reload to sign in",
  refused: (reason) => reason || "Connection refused",
};
const FLOWING = ["live", "asking", "polling"];

export class Status {
  #state = "connecting";
  #reason = "";
  #counted = { isPaused: false, isAway: false, held: 0, below: 0, newestFirst: true };
  #jump = document.createElement("button");

  constructor({ toggle, jump }) {
    this.#jump.type = "button";
    this.#jump.className = "live-jump";
    this.#jump.title = "Key n";
    this.#jump.hidden = true;
    this.#jump.addEventListener("click", jump);
    document.body.append(this.#jump);
    document.addEventListener("click", (event) => event.target.closest?.("[data-live-toggle]") && toggle());
  }

  tell(state, reason) {
    this.#state = state;
    this.#reason = reason;
    this.#write();
  }

  count(counted) {
    this.#counted = counted;
    this.#write();
  }

  // The page has other elements now.
  renew(canPause) {
    if (!canPause) document.querySelector("[data-live-toggle]")?.remove();
    for (const place of document.querySelectorAll("[data-live-status]")) {
      place.setAttribute("role", "status");
      if (!canPause || document.querySelector("[data-live-toggle]")) continue;
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
    const { isPaused, isAway, held, below, newestFirst } = this.#counted;
    const isReading = isAway && newestFirst; // scrolled into the list, which stands still meanwhile
    const saysPaused = (isPaused || isReading) && FLOWING.includes(this.#state);
    const words = saysPaused ? (isPaused ? "Paused" : "Paused while scrolled") : WORDS[this.#state](this.#reason);
    for (const place of document.querySelectorAll("[data-live-status]")) {
      place.dataset.state = saysPaused ? "paused" : this.#state;
      if (place.textContent !== words) place.textContent = words;
    }
    const does = !isPaused ? "Pause" : held ? `Show ${number.format(held)} new` : "Resume";
    for (const button of document.querySelectorAll("[data-live-toggle]")) {
      if (button.textContent !== does) button.textContent = does;
    }
    const ahead = held + below;
    this.#jump.hidden = !isAway || !ahead;
    this.#jump.classList.toggle("is-below", !newestFirst);
    const leads = newestFirst || held ? `${number.format(ahead)} new, jump to now` : `${number.format(ahead)} more below, jump to now`;
    if (!this.#jump.hidden && this.#jump.textContent !== leads) this.#jump.textContent = leads;
  }
}
