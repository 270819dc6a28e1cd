"""Open pages grow by themselves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.publisher import Publisher

pytestmark = pytest.mark.browser


def say(publisher: Publisher, session: str, text: str) -> None:
    publisher.publish("message.added", session, "live-user", role="user", content=text)


@pytest.mark.parametrize(
    "address", ["/live/?q=session:{s}", "/events/?q=session:{s}", "/sessions/{s}/", "/users/live-user/?q=session:{s}"]
)
def test_an_open_page_shows_new_events_of_its_filter_once(page: Page, publisher: Publisher, address: str) -> None:
    session = f"live-{abs(hash(address)) % 10_000}"
    say(publisher, session, "first")
    page.goto(address.format(s=session))
    expect(page.locator("[data-entry]")).to_have_count(1)
    expect(page.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    say(publisher, session, "second")
    say(publisher, "another", "not of this filter")
    say(publisher, session, "third")
    rows = page.locator("[data-entry]")
    expect(rows).to_have_count(3)
    texts = [re.findall("first|second|third", text)[0] for text in rows.all_inner_texts()]
    newest_first = "/sessions/" not in address and "/users/" not in address
    assert texts == (["third", "second", "first"] if newest_first else ["first", "second", "third"])


def test_a_new_error_comes_to_the_errors_page(page: Page, publisher: Publisher) -> None:
    page.goto("/errors/?q=session:live-errors")
    expect(page.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    say(publisher, "live-errors", "no error")
    publisher.publish("error.occurred", "live-errors", "live-user", error="it broke just now")
    expect(page.locator("[data-entry]", has_text="it broke just now")).to_have_count(1)
    expect(page.locator("[data-entry]")).to_have_count(1)


def test_what_stands_around_a_growing_session_follows_it(page: Page, publisher: Publisher) -> None:
    say(publisher, "live-facts", "first")
    page.goto("/sessions/live-facts/")
    expect(page.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    expect(page.locator("#filter-says")).to_contain_text("1 event")
    say(publisher, "live-facts", "second")
    publisher.publish("error.occurred", "live-facts", "live-user", error="it broke")
    expect(page.locator("[data-entry]")).to_have_count(3)
    expect(page.locator("#filter-says")).to_contain_text("3 events")
    expect(page.locator(".facts-head")).to_contain_text("live-user")
    expect(page.locator("[data-timeline] [data-mark]")).to_have_count(3)
