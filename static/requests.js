// A request of htmx that takes long or fails has one line over the page, with Cancel or Retry. The page stays as it is.
const SHOWN_AFTER_MS = 300;
const CANCEL_AFTER_MS = 2000;

const line = document.getElementById("requests");
const running = new Map(); // requests by their xhr, with the time of their start
let failed = null; // the last one that failed: its words, its target, and how to repeat it
let shown = "";

function button(words, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: words });
  made.addEventListener("click", () => {
    action();
    show();
  });
  return made;
}

function show() {
  const longest = Math.max(0, ...[...running.values()].map((since) => performance.now() - since));
  const words =
    failed?.words ?? (longest < SHOWN_AFTER_MS ? "" : longest < CANCEL_AFTER_MS ? "Loading…" : "Still loading…");
  if (words === shown) return; // a button keeps its focus
  shown = words;
  line.classList.toggle("has-failed", failed !== null);
  line.replaceChildren(words);
  if (failed)
    line.append(
      failed.retry ? button("Retry", failed.retry) : "",
      button("Close", () => (failed = null)),
    );
  else if (longest >= CANCEL_AFTER_MS) line.append(button("Cancel", cancel));
}

function cancel() {
  for (const xhr of running.keys()) xhr.abort();
}

// What to do to repeat a request. One that writes is repeated by its own button.
function repeating({ requestConfig, pathInfo, etc, target, elt }) {
  if (requestConfig.verb !== "get") return null;
  return () => {
    failed = null;
    const source = elt.isConnected ? elt : document.body;
    window.htmx.ajax("GET", pathInfo.finalRequestPath, { source, target, swap: etc.swapOverride }).catch(() => {});
  };
}

function tell(detail, words) {
  const verb = detail.requestConfig.verb === "get" ? "loaded" : "sent";
  failed = { words: `Not ${verb} (${words}).`, target: detail.target, retry: repeating(detail) };
  show();
}

document.addEventListener("htmx:beforeSend", ({ detail }) => {
  if (failed?.target === detail.target) failed = null; // not by the request of another part
  running.set(detail.xhr, performance.now());
  for (const ms of [SHOWN_AFTER_MS, CANCEL_AFTER_MS]) setTimeout(show, ms + 1);
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  running.delete(detail.xhr);
  show();
});
document.addEventListener("htmx:responseError", ({ detail }) =>
  tell(detail, detail.xhr.statusText || `HTTP ${detail.xhr.status}`),
);
document.addEventListener("htmx:sendError", ({ detail }) => tell(detail, "no response"));
