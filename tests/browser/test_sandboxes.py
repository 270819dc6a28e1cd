"""A sandbox is opened, read and followed like the watched streams."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.client import open_client
from evdash.streams.publisher import Publisher
from tests.browser.conftest import Running

pytestmark = pytest.mark.browser


def test_a_sandbox_is_made_opened_and_grows_while_one_looks(page: Page, running: Running, publisher: Publisher) -> None:
    for text in ("what is my balance", "forty two"):
        publisher.publish("message.added", "to-replay", "sand-user", role="user", content=text)
    page.goto("/sessions/to-replay/")
    page.locator(".session-bar").get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Replay to sandbox…").click()
    page.get_by_label("Sandbox", exact=True).fill("sandbox:browser")
    page.get_by_role("button", name="Preview").click()
    page.get_by_label("Reason").fill("to see it")
    page.get_by_role("button", name="Copy 2 entries").click()
    page.get_by_role("link", name="Open sandbox sandbox:browser").click()

    expect(page).to_have_url(re.compile("/sandboxes/sandbox:browser/$"))
    expect(page.locator(".mounted")).to_contain_text("replayed copies, not in any statistics")
    page.get_by_role("link", name="to-replay").click()
    expect(page.locator("[data-entry]")).to_have_count(2)
    expect(page.locator("[data-live-status]").first).to_have_text("Live, every 3 s")

    with open_client(running.redis_url) as client:
        fields = ("type", "message.added", "session_id", "to-replay", "role", "user", "content", "and another")
        client.execute_command("XADD", "sandbox:browser", "*", *fields)
    expect(page.locator("[data-entry]")).to_have_count(3)
    expect(page.locator("[data-timeline] [data-mark]")).to_have_count(3)
    page.locator("[data-entry]", has_text="and another").locator("summary").click()
    expect(page.locator("#session-state")).to_contain_text("and another")

    page.get_by_role("link", name="Exit sandbox").click()
    expect(page).to_have_url(re.compile("/streams/$"))
    page.goto("/sessions/to-replay/")
    expect(page.locator("[data-entry]")).to_have_count(2)
