"""Open pages follow what happens, and nothing is taken from who reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from evdash.streams.publisher import NewEvent, Publisher
from tests.browser.conftest import Running, started

pytestmark = pytest.mark.browser

SOON_MS = 20_000


def say(publisher: Publisher, session: str, text: str) -> None:
    publisher.publish("message.added", session, f"user of {session}", role="user", content=text)


def fail(publisher: Publisher, session: str, text: str) -> None:
    publisher.publish("error.occurred", session, f"user of {session}", error=text)


def test_the_overview_counts_on_and_an_opened_error_stays_open(page: Page, publisher: Publisher) -> None:
    fail(publisher, "refresh-1", "the first failure")
    page.goto("/")
    row = page.locator(".row", has_text="the first failure")
    row.locator("summary").first.click()
    expect(row.get_by_text("Raw entry")).to_be_visible()
    before = page.locator(".figures .is-error dd").first.inner_text()
    fail(publisher, "refresh-1", "the second failure")
    expect(page.locator(".row", has_text="the second failure")).to_have_count(1, timeout=SOON_MS)
    expect(page.locator(".figures .is-error dd").first).not_to_have_text(before)
    expect(row.get_by_text("Raw entry")).to_be_visible()


@pytest.mark.parametrize("place", ["sessions", "users"])
def test_a_list_gets_its_newcomers_and_the_focus_stays_on_its_row(page: Page, publisher: Publisher, place: str) -> None:
    name = f"{place}-regular"
    say(publisher, name, "hello")
    page.goto(f"/{place}/")
    link = page.locator("tbody th a", has_text=name).first
    link.focus()
    say(publisher, f"{place}-newcomer", "hello")
    newcomer = page.locator("tbody th a", has_text=f"{place}-newcomer")
    expect(newcomer).to_have_count(1, timeout=SOON_MS)
    expect(link).to_be_focused()
    assert page.locator("tbody th a").all_inner_texts().index(newcomer.inner_text()) == 0


def test_a_row_keeps_the_focus_whatever_characters_its_session_id_has(page: Page, publisher: Publisher) -> None:
    name = """refresh "quoted" \\ [and] 'more' 100%"""
    say(publisher, name, "hello")
    page.goto("/sessions/")
    link = page.locator("tbody th a", has_text=name)
    link.focus()
    say(publisher, "refresh-later", "hello")
    expect(page.locator("tbody th a").first).to_have_text("refresh-later", timeout=SOON_MS)
    expect(link).to_be_focused()
    say(publisher, name, "again")
    expect(page.locator("tbody th a").first).to_have_text(name, timeout=SOON_MS)
    expect(link).to_be_focused()


def test_an_opened_row_stays_when_later_ones_have_replaced_it(page: Page, publisher: Publisher) -> None:
    fail(publisher, "refresh-5", "the failure that is read")
    page.goto("/")
    row = page.locator(".row", has_text="the failure that is read")
    row.locator("summary").first.click()
    expect(row.get_by_text("Raw entry")).to_be_visible()
    for number in range(30):
        fail(publisher, "refresh-5", f"a later failure {number}")
    expect(page.locator(".row", has_text="a later failure 29")).to_have_count(1, timeout=SOON_MS)
    expect(row.get_by_text("Raw entry")).to_be_visible()


def test_local_times_stay_local_and_the_timeline_stays_drawn(page: Page, publisher: Publisher) -> None:
    say(publisher, "refresh-6", "first")
    page.goto("/sessions/refresh-6/")
    page.locator("[data-clock-switch]").click()
    expect(page.locator("[data-clock-switch]")).to_have_text("Local")
    started = page.locator(".facts-head time[data-form=full]").first
    before = started.inner_text()
    say(publisher, "refresh-6", "second")
    marks = page.locator("[data-timeline] [data-mark]")
    expect(marks).to_have_count(2, timeout=SOON_MS)
    expect(started).to_have_text(before)
    assert marks.evaluate_all("marks => marks.every(mark => mark instanceof SVGElement && mark.getBBox().height > 0)")


def test_what_is_typed_into_the_filter_stays_while_counts_go_on(page: Page, publisher: Publisher) -> None:
    say(publisher, "refresh-2", "hello")
    page.goto("/events/?q=session:refresh-2")
    expect(page.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    page.locator("#q").fill("session:refresh-2 is:err")
    fail(publisher, "refresh-2", "it broke")
    expect(page.locator("#filter-says")).to_contain_text("2 events, 1 error", timeout=SOON_MS)
    expect(page.locator("[data-entry]")).to_have_count(2)
    expect(page.locator("[data-live-toggle]")).to_have_count(1)
    expect(page.locator("#q")).to_have_value("session:refresh-2 is:err")
    expect(page.locator("#q")).to_be_focused()


@pytest.mark.parametrize("path", ["/events/?q=session:refresh-8", "/users/user%20of%20refresh-9/"])
def test_an_error_in_the_filter_stays_while_counts_go_on(page: Page, publisher: Publisher, path: str) -> None:
    """In a list at its newest end, and in one that begins with the oldest of many events."""
    session = "refresh-8" if "refresh-8" in path else "refresh-9"
    publisher.publish_many([NewEvent("message.added", session, f"user of {session}") for _ in range(110)])
    page.goto(path)
    counts = page.locator("#filter-says")
    expect(counts).to_contain_text("110 events, 0 errors", timeout=SOON_MS)
    page.locator("#q").fill("tpye:error")
    page.locator("#q").press("Enter")
    problem = page.locator("#filter-problem .problem")
    expect(problem).to_be_visible()
    rows = page.locator("[data-entry]").count()
    fail(publisher, session, "it broke")
    expect(counts).to_contain_text("111 events, 1 error", timeout=SOON_MS)
    expect(problem).to_contain_text("The page below shows the last valid filter.")
    assert page.locator("[data-entry]").count() >= rows
    page.locator("#q").fill(f"session:{session} type:error.occurred")
    page.locator("#q").press("Enter")
    expect(page.locator("[data-entry]")).to_have_count(1)
    expect(problem).to_have_count(0)


def test_a_late_declaration_changes_the_earlier_rows_of_open_pages(page: Page, publisher: Publisher) -> None:
    """A row is added, another one is removed, and a third one shows the user."""
    session, user = "refresh-10", "the late user"
    addresses = (f'user:"{user}"', f'session:{session} -user:"{user}"', f"session:{session}")
    pages = [page, *(page.context.new_page() for _ in addresses[1:])]
    for opened, query in zip(pages, addresses, strict=True):
        opened.goto(f"/events/?q={quote(query)}")
        expect(opened.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    early = str(publisher.publish("message.added", session, "", content="the early words"))
    for opened in pages[1:]:
        opened.bring_to_front()
        expect(opened.locator("[data-entry]")).to_have_count(1, timeout=SOON_MS)
    publisher.publish("session.started", session, user)
    other = str(publisher.publish("message.added", session, "another user", content="the words of another user"))
    publisher.publish("message.added", session, "", content="the late words")
    for opened, count in zip(pages, (3, 1, 4), strict=True):
        opened.bring_to_front()
        events = "1 event," if count == 1 else f"{count} events"
        expect(opened.locator("#filter-says")).to_contain_text(events, timeout=SOON_MS)
        expect(opened.locator("[data-entry]")).to_have_count(count)
    expect(pages[0].locator("[data-entry]").last).to_have_attribute("data-entry", re.compile(f" {early}$"))
    expect(pages[1].locator("[data-entry]")).to_have_attribute("data-entry", re.compile(f" {other}$"), timeout=SOON_MS)
    expect(pages[2].locator("[data-entry]").last.locator(".row-who")).to_have_text(user)


def test_a_page_whose_server_is_gone_says_since_when(page: Page, publisher: Publisher) -> None:
    say(publisher, "refresh-3", "hello")
    page.goto("/sessions/")
    page.route("**/sessions/", lambda route: route.abort())
    expect(page.locator("#state")).to_have_text(re.compile(r"No response since \d\d:\d\d:\d\d"))
    page.unroute("**/sessions/")
    expect(page.locator("#state")).not_to_contain_text("not answered", timeout=SOON_MS)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An evdash to whose stream nobody has written."""
    yield from started(tmp_path_factory.mktemp("empty"))


def test_empty_pages_come_alive_with_the_first_event(browser: Browser, empty: Running, tmp_path: Path) -> None:
    context = browser.new_context(base_url=empty.address)
    page = context.new_page()
    page.goto(empty.link)
    page.locator("form button").first.click()
    page.wait_for_url(f"{empty.address}/")
    pages = {path: context.new_page() for path in ("/", "/sessions/", "/users/", "/events/", "/live/", "/errors/")}
    for path, opened in pages.items():
        opened.goto(path)
        expect(opened.locator(".empty")).to_have_count(1)
        if path in ("/events/", "/live/", "/errors/"):
            expect(opened.locator("[data-live-status]").first).to_contain_text("live", ignore_case=True)
    with Publisher(empty.redis_url) as publisher:
        fail(publisher, "the-first", "the first event of all")
    for path, opened in pages.items():
        opened.bring_to_front()
        expect(opened.locator(".empty"), path).to_have_count(0, timeout=SOON_MS)
        expect(opened.locator("main"), path).to_contain_text("the-first")
    expect(pages["/"].locator(".figures dd").first).to_have_text("1")
    expect(pages["/events/"].locator("#facets")).to_contain_text("error.occurred")
    context.close()


@pytest.mark.parametrize("address", ["/sessions/awaited/", "/users/user%20of%20awaited-too/"])
def test_a_page_opened_before_its_first_event_shows_that_and_what_follows(
    page: Page, publisher: Publisher, address: str
) -> None:
    session = "awaited" if "sessions" in address else "awaited-too"
    page.goto(address)
    expect(page.locator("h1")).to_contain_text("not found")
    say(publisher, session, "the first words")
    expect(page.locator(".row", has_text="the first words")).to_have_count(1, timeout=SOON_MS)
    expect(page.locator("h1")).not_to_contain_text("not found")
    say(publisher, session, "the words after them")
    expect(page.locator(".row", has_text="the words after them")).to_have_count(1, timeout=SOON_MS)
