"""The pages as a person meets them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from evdash.streams.publisher import NewEvent, Publisher
from tests.browser.conftest import Running

pytestmark = pytest.mark.browser

PAGES = ("/", "/live/", "/sessions/", "/events/", "/errors/", "/users/", "/streams/")


def publish_session(publisher: Publisher, session: str, user: str) -> None:
    publisher.publish("session.started", session, user, agent="support", model="m-1")
    publisher.publish("message.added", session, user, role="user", content="Where is my <b>parcel</b>?", tokens=7)
    publisher.publish("tool.called", session, user, tool="track_parcel", call_id="c1", arguments={"id": 5})
    publisher.publish("error.occurred", session, user, tool="track_parcel", error="parcel 5 not found", call_id="c1")


def test_strangers_are_sent_to_sign_in(browser: Browser, running: Running) -> None:
    context = browser.new_context()
    page = context.new_page()
    for path in (*PAGES, "/sessions/x/", "/users/x/"):
        page.goto(running.address + path)
        assert "/sign-in/" in page.url
    assert context.request.get(f"{running.address}/events.ndjson").status == 401
    context.close()


def test_a_one_time_link_works_once(browser: Browser, running: Running, signed_in: object) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.link)
    if page.locator("form button").count():
        assert page.goto(f"{running.address}/") is not None
    assert "/sign-in/" in page.url
    context.close()


@pytest.mark.parametrize("width", [1440, 400])
def test_every_page_opens_without_a_complaint_and_fits_the_window(page: Page, publisher: Publisher, width: int) -> None:
    publish_session(publisher, "s/1 ü?#%", "user & <co>")
    page.set_viewport_size({"width": width, "height": 900})
    for path in PAGES:
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_list_of_events_is_sorted_by_the_time_that_it_shows(page: Page, publisher: Publisher) -> None:
    for time_s in (1_714_000_000, 1_767_225_600, 1_763_719_200):
        publisher.publish_many([NewEvent("message.added", "clocks", "u", timestamp=time_s)])
    page.goto("/events/?q=session:clocks")
    shown = page.locator(".row time:visible")
    expect(shown).to_have_count(3)
    times = [each.get_attribute("datetime") or "" for each in shown.all()]
    assert times == sorted(times, reverse=True)
    assert min(times) > "2026-01-02"
    page.goto("/sessions/clocks/")
    times = [each.get_attribute("datetime") or "" for each in page.locator(".row time:visible").all()]
    assert [time[:4] for time in times] == ["2024", "2026", "2025"]
    expect(page.locator(".row [role=img][aria-label^='Producer time is']")).to_have_count(1)


def test_a_narrow_rail_shows_the_current_page_and_marks_a_hidden_badge(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 900})
    for path in ("/", "/live/", "/sessions/", "/users/", "/errors/"):
        page.goto(path)
        expect(page.locator(".rail [aria-current]")).to_be_in_viewport(ratio=0.9)
    page.evaluate("document.getElementById('badge-streams').textContent = '2'")
    mark = "getComputedStyle(document.querySelector('.rail-more'), '::after').content"
    assert page.evaluate(mark) == '""'
    page.get_by_role("link", name="More").click()
    expect(page.locator("#badge-streams")).to_be_in_viewport(ratio=0.9)


def test_from_an_error_to_its_session_and_user(page: Page, publisher: Publisher) -> None:
    publish_session(publisher, "s/2 ü?#%", "kim/2")
    page.goto("/errors/?q=session%3A%22s%2F2+%C3%BC%3F%23%25%22")
    row = page.locator("[data-entry]", has_text="parcel 5 not found")
    expect(row).to_have_count(1)
    row.get_by_role("link", name="s/2 ü?#%").first.click()
    expect(page.locator("[data-entry]")).to_have_count(4)
    assert page.locator("b", has_text="parcel").count() == 0  # markup in an event is text
    expect(page.locator("[data-entry]", has_text="Where is my <b>parcel</b>?")).to_be_visible()
    page.get_by_role("link", name="kim/2").first.click()
    expect(page.locator("[data-entry]")).to_have_count(4)


def test_a_filter_that_cannot_be_read_says_where(page: Page) -> None:
    response = page.goto("/events/?q=type%3Aa+foo%3Abar")
    assert response is not None
    assert response.status == 400
    expect(page.get_by_text("Unknown key 'foo'").first).to_be_visible()


def test_the_filter_box_filters(page: Page, publisher: Publisher) -> None:
    publish_session(publisher, "s-3", "u-3")
    page.goto("/events/")
    box = page.locator("input[name=q]").first
    box.fill("session:s-3 is:error")
    box.press("Enter")
    expect(page.locator("[data-entry]")).to_have_count(1)
    assert "q=session" in page.url


@pytest.mark.parametrize("path", ["/", "/errors/"])
def test_an_errors_words_and_its_session_are_there_in_full(page: Page, publisher: Publisher, path: str) -> None:
    words = "Runner lost: no free executor of the pool eu-west-1b within 120 s"
    publisher.publish("error.occurred", "support-6792b1fe03", "sophia_silva_7557", error=words)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(path)
    row = page.locator(".row", has_text=words).first
    for part in (".row-says", ".row-session", ".row-type"):
        cut = row.locator(part).evaluate(
            "it => it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight + 2"
        )
        assert not cut, part


def test_on_a_telephone_facets_are_asked_for_and_errors_are_in_view(page: Page, publisher: Publisher) -> None:
    publish_session(publisher, "support-6792b1fe03", "sophia_silva_7557")
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto("/events/?q=session:support-6792b1fe03")
    facets = page.locator("#facets")
    expect(facets).to_be_hidden()
    page.get_by_role("link", name="Facets", exact=True).click()
    expect(facets.get_by_role("link", name="tool.called")).to_be_in_viewport()
    page.get_by_role("link", name="Close facets").click()
    expect(facets).to_be_hidden()
    for address, heading in (("/sessions/", "Errors"), ("/users/", "Errors")):
        page.goto(address)
        expect(page.get_by_role("columnheader", name=heading)).to_be_in_viewport(ratio=1)


def test_on_a_phone_every_page_and_the_account_are_within_reach(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto("/")
    labels = page.locator(".rail li:visible a")
    expect(labels).to_have_count(5)
    for label in labels.all():
        assert label.evaluate("link => link.scrollWidth <= link.clientWidth"), "no label is cut"
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    page.get_by_role("link", name="More").click()
    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("heading", name="Audit log")).to_be_visible()
    page.get_by_role("link", name="More").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.get_by_role("link", name="Less").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_a_click_on_a_row_of_sessions_opens_the_session_and_its_box_selects_it(
    page: Page, publisher: Publisher
) -> None:
    publish_session(publisher, "row-link", "row-link-user")
    page.goto("/sessions/?q=user:row-link-user")
    row = page.locator('[data-key="row-link"]')
    row.get_by_role("checkbox").check()
    assert "/sessions/?q=" in page.url
    row.locator("td:visible").last.click()
    page.wait_for_url("**/sessions/row-link/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("row-link")
    page.goto("/users/?q=user:row-link-user")
    page.locator('[data-key="row-link-user"] td:visible').last.click()
    page.wait_for_url("**/users/row-link-user/")


def test_a_link_far_down_a_list_opens_the_top_of_its_page(page: Page, publisher: Publisher) -> None:
    for number in range(45):
        publish_session(publisher, f"far-{number}", f"far-user-{number}")
    for path in ("/users/", "/sessions/"):
        page.goto(path)
        link = page.locator(".results tbody th a").last
        name = link.inner_text()
        link.click()
        page.wait_for_url(f"**{path}{name}/")
        expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        assert page.evaluate("scrollY") == 0
