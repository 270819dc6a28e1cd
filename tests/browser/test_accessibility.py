"""No page has a violation of axe-core's rules, in either scheme and at either width."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from evdash.config.environment import CHECKOUT
from evdash.streams.publisher import Publisher
from tests.browser.conftest import Running
from tests.browser.test_pages import publish_session
from tests.shots import SCHEMES, WIDTHS, paths

pytestmark = pytest.mark.browser

AXE = (CHECKOUT / "node_modules/axe-core/axe.min.js").read_text
VIOLATIONS = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}"""


def violations(page: Page) -> list[str]:
    """Return axe-core's violations of the page as it is now, each with its rule and element."""
    page.evaluate(AXE())
    return list(page.evaluate(VIOLATIONS))


@pytest.fixture(scope="module")
def filled(publisher: Publisher) -> None:
    """Two sessions with the usual events, and one that has not ended."""
    for number in range(2):
        publish_session(publisher, f"axe-{number}", f"axe-user-{number}")
        publisher.publish("session.ended", f"axe-{number}", f"axe-user-{number}", outcome="resolved")
    publisher.publish("search.performed", "axe-2", "axe-user", query="parcel", results=["a"], data={"order": {"id": 1}})


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_has_a_violation(page: Page, running: Running, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto("/events/?q=is:error")
    page.get_by_text("Save view", exact=True).click()
    page.get_by_label("Name").fill(f"axe {width} {scheme}")
    found = {"save view": violations(page)}
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Saved as")).to_be_visible()
    found["saved view"] = violations(page)
    for name, path in paths(page, running.address).items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        found[name] = violations(page)
        if name in ("events", "session", "session-conversation"):
            page.locator(".row summary").first.click()
            page.locator(".row .opened-head").first.wait_for()
            if name != "events":  # a part that loads is faded
                expect(page.locator("#session-state h2")).to_have_count(1)
            found[f"{name} with an open row"] = violations(page)
        if name == "overview":
            page.keyboard.press("?")
            found["keys"] = violations(page)
            page.keyboard.press("Escape")
            page.keyboard.press("Control+k")
            page.locator("#palette [aria-selected=true]").wait_for()
            found["palette"] = violations(page)
        if name == "views":
            page.get_by_role("link", name="Edit").first.click()
            page.get_by_role("button", name="Delete view").wait_for()
            found["view"] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_the_sign_in_page_has_no_violation(browser: Browser, running: Running) -> None:
    context = browser.new_context(base_url=running.address)
    page = context.new_page()
    page.goto("/sign-in/")
    assert violations(page) == []
    context.close()
