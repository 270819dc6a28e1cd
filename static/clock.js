// Times in UTC, as the server writes them, or in the local time zone. The title of a time has both.
const KEY = "evdash-clock";
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

let isLocal = localStorage.getItem(KEY) === "local";
const asWritten = new WeakMap();

const TIMES = ".row-time time, time[data-form=full]";

const two = (number) => String(number).padStart(2, "0");
const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

function write(time) {
  const date = new Date(time.dateTime);
  if (isNaN(date)) return;
  if (!asWritten.has(time))
    asWritten.set(
      time,
      [...time.childNodes].map((node) => node.cloneNode(true)),
    );
  if (!isLocal) {
    time.replaceChildren(...asWritten.get(time).map((node) => node.cloneNode(true)));
  } else if (time.parentElement?.matches(".row-time")) {
    const isThisYear = date.getFullYear() === new Date().getFullYear();
    const span = document.createElement("span");
    span.className = "day";
    span.textContent = isThisYear ? `${two(date.getDate())} ${MONTHS[date.getMonth()]}` : day(date);
    const fraction = isThisYear ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : "";
    time.replaceChildren(span, ` ${clock(date)}${fraction}`);
  } else {
    time.textContent = `${day(date)} ${clock(date)}`;
  }
}

const times = (root) => root.querySelectorAll?.(TIMES) ?? [];

function show() {
  for (const time of times(document)) write(time);
  for (const button of document.querySelectorAll("[data-clock-switch]")) {
    button.textContent = isLocal ? "Local" : "UTC";
    button.setAttribute(
      "aria-label",
      isLocal ? `Time zone: ${ZONE}. Switch to UTC` : `Time zone: UTC. Switch to ${ZONE}`,
    );
  }
}

// Add the local time to a title on demand: a page may have thousands of times.
document.addEventListener("pointerover", (event) => {
  const titled = event.target.closest?.(".row-time, time[datetime]");
  if (!titled || titled.dataset.titled) return;
  const time = titled.dateTime ? titled : [...titled.children].find((each) => each.checkVisibility());
  const date = new Date(time?.dateTime);
  if (isNaN(date)) return;
  titled.dataset.titled = "yes";
  const [utc, ...rest] = titled.title.split("\n");
  const local = `${day(date)} ${clock(date)} ${ZONE}`;
  titled.title = (titled === time ? [utc, local, ...rest] : [utc, ...rest, local]).join("\n");
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-clock-switch]")) return;
  isLocal = !isLocal;
  localStorage.setItem(KEY, isLocal ? "local" : "utc");
  show();
});

show();
// Rows that htmx or live push add.
new MutationObserver((changes) => {
  if (!isLocal) return;
  for (const change of changes) {
    for (const node of change.addedNodes) {
      if (node.nodeType !== Node.ELEMENT_NODE) continue;
      if (node.matches(TIMES)) write(node);
      else if (!node.closest("time")) times(node).forEach(write);
    }
  }
}).observe(document.body, { childList: true, subtree: true });
