// Completion of filter keys and values in the filter box. The server finds the values (web/pages/completions.py).
// A combobox of the ARIA practices: arrows choose, Enter or Tab completes, Escape closes.
const LIST_ID = "filter-completions";
const MOST = 12;
const REQUEST_AFTER_MS = 120; // a pause in typing

let list = null;
let chosen = -1;
let pending = new AbortController();

const box = () => document.querySelector("[data-complete] input");

function word(input) {
  const start = input.value.slice(0, input.selectionStart).search(/\S*$/);
  return { start, text: input.value.slice(start, input.selectionStart) };
}

const isPlain = (value) => /^(?![<>])[\w.\/@~+#$%&=?!;,<>|{}()^-]+$/u.test(value);
const quoted = (value) => (isPlain(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);

async function offers(input, signal) {
  const { text } = word(input);
  const bare = text.replace(/^-/, "");
  const minus = text.slice(0, text.length - bare.length);
  const colon = bare.indexOf(":");
  if (colon === -1 && bare.startsWith("field.")) {
    const names = await request(input, "field.", bare.slice("field.".length), signal);
    return names
      .filter(({ value }) => /^[\w.-]+$/.test(value))
      .map(({ value }) => ({ text: `${minus}field.${value}:`, goesOn: true }));
  }
  if (colon === -1) {
    if (!bare) return [];
    const keys = input.closest("[data-complete]").dataset.complete.split(" ");
    return keys
      .filter((key) => key.startsWith(bare.toLowerCase()))
      .map((key) => ({ text: `${minus}${key}:`, goesOn: true }));
  }
  const [key, typed] = [bare.slice(0, colon), bare.slice(colon + 1).replace(/^"/, "")];
  if (key === "is") return [{ text: `${minus}is:error` }];
  if (key === "since" || key === "until")
    return ["15m", "1h", "6h", "24h", "7d"]
      .filter((span) => span.startsWith(typed))
      .map((span) => ({ text: `${key}:${span}` }));
  const values = await request(input, key, typed, signal);
  return values.map(({ value, count }) => ({
    text: `${minus}${key}:${quoted(value)}`,
    count: count?.toLocaleString("en"),
  }));
}

// Request values that begin so from the server, after a pause in typing. Without an answer there are none.
async function request(input, key, start, signal) {
  await new Promise((resolve) => setTimeout(resolve, REQUEST_AFTER_MS));
  if (signal.aborted) return [];
  const address = new URL(input.closest("[data-complete]").dataset.completeFrom, location.href);
  address.searchParams.set("key", key);
  address.searchParams.set("start", start);
  try {
    const answer = await fetch(address, { signal });
    return answer.ok ? (await answer.json()).values : [];
  } catch {
    return [];
  }
}

function close() {
  pending.abort();
  list?.remove();
  list = null;
  chosen = -1;
  box()?.setAttribute("aria-expanded", "false");
  box()?.removeAttribute("aria-activedescendant");
}

async function open(input) {
  pending.abort();
  pending = new AbortController();
  const { signal } = pending;
  const found = (await offers(input, signal)).filter((offer) => offer.text !== word(input).text).slice(0, MOST);
  if (signal.aborted) return;
  close();
  if (!found.length || document.activeElement !== input) return;
  list = document.createElement("ul");
  list.id = LIST_ID;
  list.className = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  found.forEach((offer, index) => {
    const item = document.createElement("li");
    item.id = `${LIST_ID}-${index}`;
    item.setAttribute("role", "option");
    item.append(offer.text);
    if (offer.count) item.append(Object.assign(document.createElement("span"), { textContent: offer.count }));
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(input, offer);
    });
    list.append(item);
  });
  list.offers = found;
  list.word = word(input).text;
  input.after(list);
  input.setAttribute("aria-expanded", "true");
}

function choose(input, index) {
  const items = list.children;
  chosen = (index + items.length) % items.length;
  [...items].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
  items[chosen].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", items[chosen].id);
}

function take(input, offer) {
  const { start } = word(input);
  const end = input.selectionStart;
  const text = offer.goesOn ? offer.text : `${offer.text} `;
  input.setRangeText(text, start, end, "end");
  offer.goesOn ? open(input) : close();
}

document.addEventListener("input", (event) => event.target === box() && open(event.target));
document.addEventListener("focusout", (event) => event.target === box() && close());
document.addEventListener("focusin", (event) => {
  if (event.target !== box()) return;
  for (const [name, value] of [
    ["role", "combobox"],
    ["aria-autocomplete", "list"],
    ["aria-expanded", "false"],
    ["aria-controls", LIST_ID],
  ]) {
    event.target.setAttribute(name, value);
  }
});
document.addEventListener(
  "keydown",
  (event) => {
    const input = box();
    if (event.target !== input || event.isComposing) return;
    if (event.key === "ArrowDown" && !list) open(input);
    if (!list) return;
    if (event.key === "ArrowDown") choose(input, chosen + 1);
    else if (event.key === "ArrowUp") choose(input, chosen - 1);
    else if (event.key === "Escape") close();
    else if (list.word !== word(input).text)
      return; // new offers are on their way
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(input, list.offers[chosen]);
    else if (event.key === "Tab" && list.offers.length === 1) take(input, list.offers[0]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);
