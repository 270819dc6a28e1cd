// What stands around a list that grows by itself (the sentence and its counts, facets, pictures, a session's facts)
// follows it: asked for anew, from the same address, at most every three seconds, in what little changes.
const PARTS = ["#filter-says", "#facets", ".facts-head", "[data-timeline]", "[data-histogram]"];
const PAUSE_MS = 3000;

let timer = null;
let isAsking = false;

async function refresh() {
  timer = null;
  if (isAsking || document.hidden) return later();
  isAsking = true;
  const address = location.href;
  try {
    const answer = await fetch(address, { headers: { "HX-Request": "true" } });
    if (answer.ok && location.href === address) exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The connection's state is told by the list itself; the next event asks again.
  } finally {
    isAsking = false;
  }
}

function exchange(fresh) {
  for (const selector of PARTS) {
    const old = document.querySelector(`#main ${selector}`);
    const part = fresh.querySelector(selector);
    // Nothing is taken from under a finger, a cursor in the picture or a selection of text.
    const isInUse = old?.contains(document.activeElement) || old?.matches(":hover") || (old && getSelection().containsNode(old, true) && !getSelection().isCollapsed);
    if (!old || !part || isInUse || old.outerHTML === part.outerHTML) continue;
    const node = document.adoptNode(part);
    old.replaceWith(node);
    window.htmx?.process(node);
  }
}

function later() {
  timer ??= setTimeout(refresh, PAUSE_MS);
}

document.addEventListener("evdash:live", later);
