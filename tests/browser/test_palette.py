"""The command palette is used with the keyboard and the mouse, and a list is saved as a view."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from evdash.streams.publisher import NewEvent, Publisher

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def _published(publisher: Publisher) -> None:
    publisher.publish_many([NewEvent("message.added", f"palette-{n}", "palette-user") for n in range(3)])


@pytest.mark.usefixtures("_published")
def test_a_typed_id_opens_its_page_and_escape_returns_the_focus(page: Page) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto("/events/")
    dialog, options = page.locator("#palette"), page.locator("#palette [role=option]")

    page.locator("#q").focus()
    assert not [url for url in requests if url.endswith("palette.js")]  # it loads when it is first opened
    page.keyboard.press("Control+k")
    expect(dialog.get_by_role("combobox")).to_be_focused()
    expect(options.first).to_have_text(re.compile("Overview"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#q")).to_be_focused()

    page.keyboard.press("Control+k")
    page.keyboard.type("palette-")
    expect(options).to_have_text(
        ["palette-0session", "palette-1session", "palette-2session", "palette-useruser", "Search events for palette-"]
    )
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(dialog.get_by_role("combobox")).to_have_attribute("aria-activedescendant", "palette-1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.nth(4)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sessions/palette-1/$"))


@pytest.mark.usefixtures("_published")
def test_enter_does_not_wait_for_the_server(page: Page) -> None:
    page.route("**/palette/?q=palette*", lambda route: None)
    page.goto("/streams/")
    page.locator("[data-palette]").click()
    page.keyboard.type("palette-2")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sessions/palette-2/$"))


@pytest.mark.usefixtures("_published")
def test_a_late_answer_to_an_earlier_text_is_ignored(page: Page) -> None:
    page.goto("/streams/")
    held: list[Route] = []
    page.route("**/palette/?q=palette-1", lambda route: held.append(route))
    page.keyboard.press("Control+k")
    with page.expect_request("**/palette/?q=palette-1"):
        page.keyboard.type("palette-1")
    options = page.locator("#palette [role=option]")
    page.keyboard.press("Backspace")
    page.keyboard.type("2")
    expect(options).to_have_text(["palette-2session", "Search events for palette-2"])
    held[0].continue_()
    expect(options).to_have_text(["palette-2session", "Search events for palette-2"])


@pytest.mark.usefixtures("_published")
def test_a_list_is_saved_from_the_palette_and_the_view_is_current(page: Page) -> None:
    page.goto("/events/?q=session:palette-1&by=type")
    page.keyboard.press("Control+k")
    page.keyboard.type("save")
    page.keyboard.press("Enter")
    name = page.get_by_label("Name")
    expect(name).to_be_focused()
    name.fill("Palette, one session")
    page.keyboard.press("Enter")
    view = page.locator("#views").get_by_role("link", name="Palette, one session")
    expect(view).to_have_attribute("aria-current", "true")
    expect(page.locator(".save-view [role=status]")).to_have_text("Saved as Palette, one session")
    expect(name).to_be_hidden()

    page.get_by_role("link", name="Remove session:palette-1").click()
    expect(page).to_have_url(re.compile("by=type$"))
    expect(view).not_to_have_attribute("aria-current", "true")
    page.go_back()
    expect(view).to_have_attribute("aria-current", "true")

    page.goto("/streams/")
    page.keyboard.press("Control+k")
    page.keyboard.type("one session")
    option = page.get_by_role("option", name="Palette, one session")
    option.hover()
    expect(option).to_have_attribute("aria-selected", "true")
    option.click()
    expect(page).to_have_url(re.compile(r"/events/\?q=session%3Apalette-1&by=type$"))
    expect(view).to_have_attribute("aria-current", "true")


def test_actions_of_the_page_are_run(page: Page) -> None:
    page.goto("/live/")
    switch = page.locator("[data-clock-switch]")
    expect(switch).to_have_text("UTC")
    page.keyboard.press("Control+k")
    page.keyboard.type("time zone")
    page.keyboard.press("Enter")
    expect(switch).to_have_text("Local")
    switch.click()
    page.keyboard.press("Control+k")
    page.keyboard.type("pause")
    page.keyboard.press("Enter")
    expect(page.locator("[data-live-status]").first).to_have_text("Paused")
    page.keyboard.press("?")  # the keys of the page work again
    expect(page.locator("#keys")).to_be_visible()
