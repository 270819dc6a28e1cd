"""From a session to its comparison with another one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from evdash.streams.publisher import Publisher

pytestmark = pytest.mark.browser


def publish_run(publisher: Publisher, session: str, answer: str) -> None:
    """A run whose last call is its own."""
    publisher.publish("session.started", session, "compared", agent="support", model="m-1")
    for step in range(60):
        publisher.publish("tool.called", session, "compared", tool="look", arguments={"page": step})
        publisher.publish("tool.returned", session, "compared", tool="look", result=f"page {step}")
    publisher.publish("tool.called", session, "compared", tool="pay", arguments={"note": answer})
    publisher.publish("message.added", session, "compared", role="assistant", content=f"{session} is done")
    publisher.publish("session.ended", session, "compared", outcome="resolved")


@pytest.fixture
def two_runs(publisher: Publisher) -> None:
    publish_run(publisher, "run/1 ü?#%", "The fare is 5 dollars")
    publish_run(publisher, "run/2 ü?#%", "The fare is 50 dollars")


def test_from_a_session_to_the_first_difference(page: Page, two_runs: None) -> None:
    page.goto("/sessions/run%2F1%20%C3%BC%3F%23%25/")
    page.locator(".session-bar").get_by_text("More", exact=True).click()
    page.get_by_label("Compare with").fill("run/2 ü?#%")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    on_top = page.get_by_role("region", name="First difference that matters")
    expect(on_top.locator("del")).to_have_text("5")
    expect(on_top.locator("ins")).to_have_text("50")
    page.get_by_role("link", name="Show all rows").click()
    difference = page.locator("li.compared-row.is-first")
    expect(difference).to_be_attached()
    expect(difference).not_to_be_in_viewport()
    on_top.get_by_role("link", name="Row").click()
    expect(difference).to_be_in_viewport()
    difference.locator(".side-b").get_by_role("link").click()
    expect(page.get_by_role("heading", name="run/2 ü?#%")).to_be_visible()
    assert "at=" in page.url


def test_what_is_folded_opens_in_its_place(page: Page, publisher: Publisher) -> None:
    for session in ("fold-1", "fold-2"):
        for step in range(9):
            publisher.publish("message.added", session, "compared", role="user", content=f"step {step}")
        publisher.publish("message.added", session, "compared", role="user", content=f"the end of {session}")
        publisher.publish("tool.called", session, "compared", tool="pay", arguments={"amount": 5})
    page.goto("/compare/?a=fold-1&b=fold-2")
    expect(page.get_by_text("step 4")).to_have_count(2)
    expect(page.get_by_text("step 4").first).not_to_be_visible()
    page.get_by_text("10 equal rows, 1 with other wording").click()
    expect(page.get_by_text("step 4").first).to_be_visible()
    expect(page.get_by_text("the end of").first).not_to_be_visible()
    page.get_by_text("wording differs").click()
    expect(page.get_by_text("the end of").first).to_be_visible()


def test_a_call_in_the_sequence_of_tools_opens_the_fold_with_its_row(page: Page, publisher: Publisher) -> None:
    for session in ("chips-1", "chips-2"):
        for tool in ("find", "look", "pay"):
            publisher.publish("tool.called", session, "compared", tool=tool, arguments={"amount": 5})
    page.goto("/compare/?a=chips-1&b=chips-2")
    expect(page.locator("#row-2")).not_to_be_visible()
    page.get_by_role("link", name="look").click()
    expect(page.locator("#row-2")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 400])
def test_the_comparison_fits_the_window(page: Page, two_runs: None, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/compare/?a=run%2F1%20%C3%BC%3F%23%25&b=run%2F2%20%C3%BC%3F%23%25")
    expect(page.locator("li.compared-row.is-first")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
