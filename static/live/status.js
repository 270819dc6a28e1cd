// The live status of a page: the state in words, the button that pauses, and the button that jumps to the newest events.
const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

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
const NOTHING = { isPaused: false, isAway: false, queued: 0, offscreen: 0, newestFirst: true };

export class Status {
  #state = "connecting";
  #reason = "";
  #counted = NOTHING;
  #jump = document.createElement("button");

  constructor({ toggle, jump }) {
    this.#jump.type = "button";
    this.#jump.className = "live-jump";
    this.#jump.title = "Jump to now (n)";
    this.#jump.hidden = true;
    this.#jump.addEventListener("click", jump);
    document.body.append(this.#jump);
    document.addEventListener("click", (event) => event.target.closest?.("[data-live-toggle]") && toggle());
  }

  setState(state, reason) {
    this.#state = state;
    this.#reason = reason;
    this.#write();
  }

  count(counted = NOTHING) {
    this.#counted = counted;
    this.#write();
  }

  // htmx has exchanged the content of the page.
  renew(canPause) {
    for (const button of document.querySelectorAll("[data-live-toggle]")) button.hidden = !canPause;
    this.#write();
  }

  #write() {
    const { isPaused, isAway, queued, offscreen, newestFirst } = this.#counted;
    const isReading = isAway && newestFirst; // such a list holds frames back meanwhile
    const isStill = (isPaused || isReading) && FLOWING.includes(this.#state);
    const words = isStill ? (isPaused ? "Paused" : "Paused while scrolled") : WORDS[this.#state](this.#reason);
    for (const place of document.querySelectorAll("[data-live-status]")) {
      place.dataset.state = isStill ? "paused" : this.#state;
      if (place.textContent !== words) place.textContent = words;
    }
    const action = !isPaused ? "Pause" : queued ? `Show ${number.format(queued)} new` : "Resume";
    for (const button of document.querySelectorAll("[data-live-toggle]")) {
      if (button.textContent !== action) button.textContent = action;
    }
    const ahead = queued + offscreen;
    this.#jump.hidden = !isAway || !ahead;
    this.#jump.classList.toggle("is-below", !newestFirst);
    const label = `${number.format(ahead)} ${newestFirst || queued ? "new" : "more below"}, jump to now`;
    if (!this.#jump.hidden && this.#jump.textContent !== label) this.#jump.textContent = label;
  }
}
