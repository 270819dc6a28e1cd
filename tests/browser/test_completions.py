"""The filter box completes values that the server finds."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.publisher import NewEvent, Publisher

pytestmark = pytest.mark.browser


def test_values_beyond_the_facets_of_the_page_are_completed(page: Page, publisher: Publisher) -> None:
    often = [NewEvent("message.added", "completions", f"often {number}") for number in range(20) for _ in range(2)]
    publisher.publish_many([*often, NewEvent("message.added", "completions", "Zoe.rare", {"mood_of_day": "calm"})])
    page.goto("/events/")
    box, offers = page.locator("#q"), page.locator("#filter-completions li")
    box.press_sequentially("us")
    expect(offers).to_have_text(["user:"])
    box.press("Tab")
    box.press_sequentially("zoe")
    expect(offers).to_have_text(["user:Zoe.rare1"])  # with its count
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("user:Zoe.rare ")
    box.press_sequentially("field.mood_")
    expect(offers).to_have_text(["field.mood_of_day:"])
    box.press("Escape")
    expect(offers).to_have_count(0)
