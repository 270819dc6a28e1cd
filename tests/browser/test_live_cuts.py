"""Whatever is cut, refused, delayed, stalled, restarted or put to sleep: in the end a page has no hole, no double."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from evdash.streams.client import StreamsUnavailable, call, open_client
from tests.builders import STREAM
from tests.faults.proxy import Proxy
from tests.faults.site import Site

pytestmark = pytest.mark.browser

FAULTS_S = 14.0
# The page's longest pause between two attempts is 15 s, and the tail's 5 s.
SETTLED_WITHIN_S = 40.0
WRITE_EVERY_S = 0.05


class Writer:
    """Writes events of one session steadily, now and then a burst, through every outage of Valkey."""

    def __init__(self, redis_url: str, session: str, chance: random.Random) -> None:
        self._url, self._session, self._chance = redis_url, session, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _run(self) -> None:
        number = 0
        with open_client(self._url) as client:
            while not self._over.wait(WRITE_EVERY_S):
                for _ in range(self._chance.choices([1, 4, 130], [70, 30, 1])[0]):
                    number += 1
                    fields = ("type", "message.added", "session_id", self._session, "content", f"number {number}")
                    try:
                        call(client, "XADD", STREAM, "*", *fields)
                        call(client, "XADD", STREAM, "*", "type", "message.added", "session_id", "another")
                    except StreamsUnavailable:
                        break  # written or not: the stream is asked in the end


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def visitor(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """The browser of a signed-in person."""
    context = browser.new_context(base_url=site.address)
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(site.sign_in_link())
    if "/sign-in/" in page.url:
        page.locator("form button").first.click()
    page.wait_for_url(f"{site.address}/")
    page.close()
    yield context
    context.close()


@pytest.fixture
def pages(visitor: BrowserContext) -> Iterator[tuple[Page, Page]]:
    """Two tabs; an error in their scripts fails the test."""
    complaints: list[str] = []
    tabs = visitor.new_page(), visitor.new_page()
    for tab in tabs:
        tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tabs
    for tab in tabs:
        tab.close()
    assert complaints == []


class Trouble:
    """A seeded sequence of faults, each over before the next one begins."""

    def __init__(self, chance: random.Random, site: Site, pages: tuple[Page, Page]) -> None:
        self._chance, self._site, self._pages = chance, site, pages
        self._clients: list[CDPSession] = [page.context.new_cdp_session(page) for page in pages]
        self.done: list[str] = []

    def make(self, seconds: float) -> None:
        """One fault after another for so long, each of them once at least if there is time."""
        kinds: list[tuple[str, Callable[[], None]]] = [
            ("cut", self._cut),
            ("refusal", self._refusal),
            ("delay", self._delay),
            ("stall", self._stall),
            ("restarted web server", self._restarted_web),
            ("restarted Valkey", self._restarted_valkey),
            ("offline", self._offline),
            ("frozen", self._frozen),
            ("paused", self._paused),
        ]
        deadline = time.monotonic() + seconds
        waiting: list[tuple[str, Callable[[], None]]] = []
        while time.monotonic() < deadline:
            if not waiting:
                waiting = self._chance.sample(kinds, len(kinds))
            name, fault = waiting.pop()
            self.done.append(name)
            fault()
            self._for(0.1, 0.6)

    def _for(self, least_s: float, most_s: float) -> None:
        """Let time pass while the browser's events are heard."""
        self._pages[0].wait_for_timeout(self._chance.uniform(least_s, most_s) * 1000)

    def _proxy(self) -> Proxy:
        return self._chance.choice([self._site.web_proxy, self._site.web_proxy, self._site.redis_proxy])

    def _cut(self) -> None:
        proxy = self._proxy()
        for _ in range(self._chance.randint(1, 3)):
            proxy.cut()
            self._for(0.0, 0.8)

    def _refusal(self) -> None:
        proxy = self._proxy()
        proxy.refuse()
        proxy.cut()
        self._for(0.2, 1.5)
        proxy.restore()

    def _delay(self) -> None:
        proxy = self._proxy()
        proxy.delay(self._chance.uniform(0.05, 0.4))
        self._for(0.5, 1.0)
        if self._chance.random() < 0.5:
            proxy.cut()
            self._for(0.2, 0.6)
        proxy.restore()

    def _stall(self) -> None:
        proxy = self._proxy()
        proxy.stall(self._chance.choice(["to server", "to client"]))
        self._for(0.5, 1.5)
        if self._chance.random() < 0.5:
            proxy.cut()
        proxy.restore()

    def _restarted_web(self) -> None:
        self._chance.choice([self._site.kill_web, self._site.stop_web])()
        self._for(0.0, 0.5)
        self._site.start_web()

    def _restarted_valkey(self) -> None:
        self._site.valkey.stop()
        self._for(0.0, 0.5)
        self._site.valkey.start()

    def _offline(self) -> None:
        context = self._pages[0].context
        context.set_offline(True)
        self._site.web_proxy.cut()  # Chromium leaves open sockets as they are
        self._for(0.3, 1.5)
        context.set_offline(False)

    def _frozen(self) -> None:
        client = self._chance.choice(self._clients)
        client.send("Page.setWebLifecycleState", {"state": "frozen"})
        self._for(0.5, 1.5)
        if self._chance.random() < 0.5:
            self._site.web_proxy.cut()
            self._for(0.1, 0.5)
        client.send("Page.setWebLifecycleState", {"state": "active"})

    def _paused(self) -> None:
        page = self._chance.choice(self._pages)
        page.keyboard.press("l")
        self._for(0.5, 1.0)
        if self._chance.random() < 0.5:
            self._site.web_proxy.cut()
            self._for(0.1, 0.5)
        page.keyboard.press("l")


def written(site: Site, session: str) -> list[str]:
    """The entry IDs of the session's events, oldest first, as the stream has them."""
    with open_client(site.redis_url) as client:
        entries = call(client, "XRANGE", STREAM, "-", "+")
    return [raw_id.decode() for raw_id, pairs in entries if session.encode() in pairs]


def in_page(page: Page, *, newest_first: bool) -> list[str | int]:
    """Entry IDs and the counts of gaps, oldest first, as they stand in the page."""
    items: list[str | int] = page.locator("[data-live] > li:not(.row-here)").evaluate_all(
        """items => items.map(item => item.dataset.entry
            ? item.dataset.entry.slice(item.dataset.entry.lastIndexOf(" ") + 1) : Number(item.dataset.count))"""
    )
    return items[::-1] if newest_first else items


def difference(ids: list[str], items: list[str | int]) -> str:
    """In words, what the page does not say as it was written; "" if it is all there, once, in order.

    Each gap has to stand where as many entries are missing as it counts.
    """
    place = skipped = 0
    for item in items:
        if isinstance(item, int):
            skipped += item
        elif item not in ids:
            return f"{item} was never written"
        elif ids.index(item) < place:
            return f"{item} stands twice, or in another order than it was written in"
        elif ids.index(item) != place + skipped:
            return f"{ids.index(item) - place} entries are missing before {item}, where {skipped} are said to be"
        else:
            place, skipped = ids.index(item) + 1, 0
    if place + skipped != len(ids):
        return f"{len(ids) - place} entries are missing at the end, where {skipped} are said to be"
    return ""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_any_sequence_of_faults_a_page_has_each_event_once_in_order(
    site: Site, pages: tuple[Page, Page], seed: int
) -> None:
    chance = random.Random(seed)
    session = f"cuts-{seed}"
    live, of_session = pages
    trouble = Trouble(chance, site, pages)
    with open_client(site.redis_url) as client:  # a session's page is there when the session is
        call(client, "XADD", STREAM, "*", "type", "session.started", "session_id", session)
    live.goto(f"/live/?q=session:{session}")
    of_session.goto(f"/sessions/{session}/")
    for page in pages:
        expect(page.locator("[data-live-status]").first).to_have_attribute("data-state", "live")
    with Writer(site.redis_url, session, random.Random(seed)):
        trouble.make(FAULTS_S)
    ids = written(site, session)
    deadline = time.monotonic() + SETTLED_WITHIN_S
    for page, newest_first in ((live, True), (of_session, False)):
        while problem := difference(ids, in_page(page, newest_first=newest_first)):
            if time.monotonic() > deadline:
                state = page.locator("[data-live-status]").first.inner_text()
                raise AssertionError(f"{page.url} ({state}): {problem}\nafter {', '.join(trouble.done)}")
            page.wait_for_timeout(100)
        expect(page.locator("[data-live-status]").first).to_have_attribute("data-state", "live", timeout=20_000)
