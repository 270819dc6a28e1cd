"""A Redis that hangs: pages come in time and say so, and recover by themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from evdash.streams.client import call, open_client
from tests.builders import STREAM
from tests.faults.site import Site
from tests.running import suspend

pytestmark = pytest.mark.browser

RECOVERED_WITHIN_MS = 30_000
# The page has 2 s for Redis; the rest is for making it and for the browser.
PAGE_WITHIN_S = 3.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("outage")) as site:
        yield site


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(base_url=site.address)
    page = context.new_page()
    page.goto(site.sign_in_link())
    if "/sign-in/" in page.url:
        page.locator("form button").first.click()
    page.wait_for_url(f"{site.address}/")
    yield page
    context.close()


def write(site: Site, content: str) -> None:
    with open_client(site.redis_url) as client:
        call(client, "XADD", STREAM, "*", "type", "message.added", "session_id", "s-1", "content", content)


@pytest.mark.parametrize("address", ["/", "/events/", "/sessions/", "/sessions/s-1/", "/errors/"])
def test_a_page_of_a_hanging_redis_comes_in_time_says_so_and_recovers_without_a_reload(
    site: Site, page: Page, address: str
) -> None:
    write(site, "before the outage")
    page.goto("/sessions/s-1/")
    with open_client(site.redis_url) as client:
        pid = int(client.info("server")["process_id"])
    notice = page.get_by_text("Showing the event log only.")
    suspend(pid)
    try:
        begun_s = time.monotonic()
        page.goto(address, wait_until="domcontentloaded")
        took_s = time.monotonic() - begun_s
        expect(notice).to_be_visible()
        expect(notice).to_contain_text("Last answer:")
        assert took_s < PAGE_WITHIN_S
        page.evaluate("window.isTheSame = true")
    finally:
        os.kill(pid, signal.SIGCONT)
    write(site, f"after the outage of {address}")
    expect(notice).to_be_hidden(timeout=RECOVERED_WITHIN_MS)
    if address in ("/events/", "/sessions/s-1/"):
        row = page.locator("li:visible", has_text=f"after the outage of {address}").first
        expect(row).to_be_visible(timeout=RECOVERED_WITHIN_MS)
    assert page.evaluate("window.isTheSame")
