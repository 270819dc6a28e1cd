"""From a selected text to the events that contain it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.publisher import Publisher
from tests.browser.test_pages import publish_session

pytestmark = pytest.mark.browser


def test_a_selected_text_leads_to_the_events_that_contain_it(page: Page, publisher: Publisher) -> None:
    publish_session(publisher, "traced", "tracer")
    page.goto("/sessions/traced/")
    button = page.get_by_role("link", name="Where from")
    expect(button).to_have_count(0)
    page.locator(".session-list").get_by_text("parcel 5 not found").evaluate(
        "text => getSelection().setBaseAndExtent(text.firstChild, 0, text.firstChild, 'parcel 5'.length)"
    )
    button.click()
    panel = page.get_by_role("region", name="Where from")
    expect(panel.locator("code")).to_have_text("parcel 5")
    expect(panel).to_contain_text("First stated by an error of track_parcel")
    page.get_by_role("link", name="Close").click()
    expect(panel).to_have_count(0)
