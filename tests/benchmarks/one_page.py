"""One open Live page in a browser while very many events come: whether it stays usable."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from playwright.sync_api import CDPSession, Page, WebSocket, sync_playwright

from tests.benchmarks.figures import Spread, spread
from tests.benchmarks.load import Load
from tests.benchmarks.served import served
from tests.browser.conftest import FLAGS, browser_path

COMPLETE_WITHIN_S = 30.0
PAUSE_EVERY_S = 2.0
PAUSED_S = 0.7

# In the page, before its own scripts. An event's time stamp is when the browser had the click, busy page or not.
_MEASURE = """
window.measured = {frameGaps: [], longTasks: [], pauses: []};
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) measured.longTasks.push(task.duration);
}).observe({type: "longtask"});
let lastFrame = performance.now();
requestAnimationFrame(function frame(now) {
  measured.frameGaps.push(now - lastFrame);
  lastFrame = now;
  requestAnimationFrame(frame);
});
addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-live-toggle]");
  if (!button || button.textContent !== "Pause") return;
  new MutationObserver((_, observer) => {
    measured.pauses.push(performance.now() - event.timeStamp);
    observer.disconnect();
  }).observe(button, {childList: true, characterData: true, subtree: true});
}, true);
"""


@dataclass(frozen=True, slots=True)
class OnePage:
    """What one run has shown, in the page and of the web server's process."""

    published: int
    published_per_s: float
    rows: int
    skipped: int
    frame_gap: Spread
    long_tasks: Spread  # of 50 ms and more on the main thread
    pause: Spread  # from the click on Pause to the button's other text
    rows_in_page_max: int
    heap_before_mib: float
    heap_after_mib: float  # both after a garbage collection
    main_thread_s: float  # at work; of it:
    scripts_s: float
    styles_s: float
    layout_s: float
    server_rss_before_mib: float
    server_rss_after_mib: float
    server_cpu_s: float
    server_waited_s: float  # for a processor; 0 where the system does not say
    complete_after_s: float  # from the last XADD until the page has it all
    problems: tuple[str, ...]


class _Frames:
    """What the page's sockets bring it."""

    def __init__(self, page: Page) -> None:
        self.counts: Counter[str] = Counter()
        page.on("websocket", self._opened)

    @property
    def accounted(self) -> int:
        return self.counts["rows"] + self.counts["skipped"]

    def _opened(self, socket: WebSocket) -> None:
        self.counts["sockets"] += 1
        socket.on("framereceived", self._received)

    def _received(self, payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["type"] == "rows":
            self.counts.update(rows=message["count"], skipped=message["skipped"])


def run(rate: int, seconds: float) -> OnePage:
    """Publishes for so long; the page shows everything, and somebody pauses and resumes it again and again."""
    with served() as evdash, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(playwright), args=list(FLAGS))
        page = browser.new_page(base_url=evdash.address)
        page.set_default_timeout(30_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(f"The page's script failed: {error}."))
        page.goto(evdash.link)
        page.locator("form button").first.click()
        page.wait_for_url(f"{evdash.address}/")
        page.add_init_script(_MEASURE)
        frames = _Frames(page)
        page.goto("/live/")
        page.locator("[data-live-status][data-state='live']").wait_for()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        chromium_before = _chromium(session)
        before = evdash.cost()
        load = Load(evdash.redis_url, rate, seconds)
        try:
            page.evaluate("for (const list of Object.values(measured)) list.length = 0")
            load.start()
            rows_in_page_max = _pause_and_resume(page, load)
            published = load.published()
        finally:
            load.end()
        complete_after_s = _wait_until_complete(page, frames, len(published.entry_ids))
        after = evdash.cost()
        measured: dict[str, list[float]] = page.evaluate("measured")
        problems = [*complaints, *_problems(page, frames, published.entry_ids)]
        chromium_after = _chromium(session)
        browser.close()
    worked = {name: chromium_after[name] - chromium_before[name] for name in chromium_after}
    return OnePage(
        published=len(published.entry_ids),
        published_per_s=published.rate,
        rows=frames.counts["rows"],
        skipped=frames.counts["skipped"],
        frame_gap=spread(measured["frameGaps"]),
        long_tasks=spread(measured["longTasks"]),
        pause=spread(measured["pauses"]),
        rows_in_page_max=rows_in_page_max,
        heap_before_mib=chromium_before["JSHeapUsedSize"] / 2**20,
        heap_after_mib=chromium_after["JSHeapUsedSize"] / 2**20,
        main_thread_s=worked["TaskDuration"],
        scripts_s=worked["ScriptDuration"],
        styles_s=worked["RecalcStyleDuration"],
        layout_s=worked["LayoutDuration"],
        server_rss_before_mib=before.rss_mib,
        server_rss_after_mib=after.rss_mib,
        server_cpu_s=after.cpu_s - before.cpu_s,
        server_waited_s=after.waited_s - before.waited_s,
        complete_after_s=complete_after_s,
        problems=tuple(problems),
    )


def _pause_and_resume(page: Page, load: Load) -> int:
    """Until everything is published. Returns how many rows the page had at most."""
    most = 0
    while not load.is_over(0.0):
        for waits_s in (PAUSE_EVERY_S - PAUSED_S, PAUSED_S):
            page.wait_for_timeout(waits_s * 1000)  # lets the browser's events in, as time.sleep would not
            most = max(most, page.locator("[data-entry]").count())
            # A person's click waits for no quiet moment of the page, as Playwright's own would.
            button = page.locator("[data-live-toggle]").first.bounding_box()
            assert button is not None
            page.mouse.click(button["x"] + 10, button["y"] + button["height"] / 2)
    return most


def _wait_until_complete(page: Page, frames: _Frames, published: int) -> float:
    """Seconds that it took; ends without it after COMPLETE_WITHIN_S."""
    started = time.monotonic()
    while frames.accounted < published and time.monotonic() - started < COMPLETE_WITHIN_S:
        page.wait_for_timeout(50)
    return time.monotonic() - started


def _problems(page: Page, frames: _Frames, entry_ids: list[str]) -> list[str]:
    problems = []
    if frames.accounted != len(entry_ids):
        received = f"{frames.counts['rows']} rows and {frames.counts['skipped']} skipped ones"
        problems.append(f"{len(entry_ids)} events were published, {received} came into the page.")
    if frames.counts["sockets"] != 1:
        problems.append(f"The page connected {frames.counts['sockets']} times.")
    cursor = json.loads(page.locator("[data-live]").get_attribute("data-live-cursor") or "{}")
    if entry_ids[-1] not in cursor.values():
        problems.append(f"The page says that it has everything up to {cursor}; the newest event is {entry_ids[-1]}.")
    number_of = {entry_id: number for number, entry_id in enumerate(entry_ids)}
    entries: list[str] = page.locator("[data-entry]").evaluate_all("rows => rows.map(row => row.dataset.entry)")
    numbers = [number_of.get(entry.rpartition(" ")[2], -1) for entry in entries]
    if any(one <= other for one, other in pairwise(numbers)):
        problems.append("The page's rows are there twice or not in order.")
    return problems


def _chromium(session: CDPSession) -> dict[str, float]:
    """What Chromium says of the page: seconds at work until now, and bytes after a garbage collection."""
    session.send("HeapProfiler.collectGarbage")
    metrics: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return {str(each["name"]): float(each["value"]) for each in metrics}
