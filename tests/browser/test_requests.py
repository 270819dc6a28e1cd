"""Requests of htmx that take long or fail: the page stays, and one line offers Cancel or Retry."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from evdash.streams.publisher import Publisher
from tests.browser.test_pages import publish_session

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def _events(publisher: Publisher) -> None:
    publish_session(publisher, "requests", "requests-user")


@pytest.fixture
def failing(context: BrowserContext) -> Page:
    """A page whose console may report failures: htmx reports a request that fails."""
    return context.new_page()


def errors_link(page: Page) -> None:
    page.goto("/events/?q=user:requests-user")
    expect(page.locator("#results .row").first).to_be_visible()
    page.get_by_role("link", name="Errors only").click()


def is_unchanged(page: Page) -> None:
    expect(page.locator("#results .row").first).to_be_visible()
    assert page.url.endswith("/events/?q=user:requests-user")


def test_a_long_request_can_be_canceled(failing: Page) -> None:
    page = failing
    held: list[Route] = []
    page.route("**/*is%3Aerror*", lambda route: held.append(route))
    errors_link(page)
    line = page.locator("#requests")
    expect(line).to_have_text("Loading…")
    cancel = line.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    cancel.click()
    expect(line).to_be_empty()
    is_unchanged(page)


def test_a_request_that_takes_a_moment_is_not_announced(page: Page) -> None:
    page.goto("/events/?q=user:requests-user")
    page.evaluate(
        """() => new MutationObserver(([change]) => (window.said = change.target.textContent))
          .observe(document.getElementById("requests"), { childList: true })"""
    )
    page.get_by_role("link", name="Errors only").click()
    page.wait_for_url("**is%3Aerror**")
    assert page.evaluate("window.said ?? null") is None


@pytest.mark.parametrize(("status", "words"), [(0, "no response"), (503, "Service Unavailable")])
def test_a_request_that_fails_keeps_the_page_and_can_be_repeated(failing: Page, status: int, words: str) -> None:
    page = failing
    page.route("**/*is%3Aerror*", lambda route: route.fulfill(status=status) if status else route.abort())
    errors_link(page)
    line = page.locator("#requests")
    expect(line).to_contain_text(f"Not loaded ({words}).")
    is_unchanged(page)
    line.get_by_role("button", name="Retry").click()
    expect(line).to_contain_text(f"Not loaded ({words}).")
    page.unroute("**/*is%3Aerror*")
    line.get_by_role("button", name="Retry").click()
    page.wait_for_url("**is%3Aerror**")
    expect(line).to_be_empty()
    expect(page.locator(".sentence")).to_contain_text("errors")


def test_what_is_sent_is_not_repeated_by_the_line(failing: Page) -> None:
    page = failing
    page.goto("/events/")
    page.route("**/views/**", lambda route: route.abort())
    page.get_by_text("Save view", exact=True).click()
    page.get_by_label("Name").fill(f"requests {time.time_ns()}")
    page.get_by_label("Name").press("Enter")
    line = page.locator("#requests")
    expect(line).to_contain_text("Not sent (no response).")
    assert line.get_by_role("button").all_text_contents() == ["Close"]
    line.get_by_role("button", name="Close").click()
    expect(line).to_be_empty()
