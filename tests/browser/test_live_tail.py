"""The live tail in a browser: pausing, bursts, lost connections, many rows."""

from __future__ import annotations

import re
from itertools import count

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from evdash.streams.publisher import NewEvent, Publisher

pytestmark = pytest.mark.browser

_sessions = count()


@pytest.fixture
def session() -> str:
    """A session of the test's own."""
    return f"tail-{next(_sessions)}"


@pytest.fixture
def sockets(page: Page) -> list[WebSocketRoute]:
    """The page's connections to the server, to be cut."""
    made: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        made.append(socket)

    page.route_web_socket("**/live/socket/", pass_through)
    return made


def publish(publisher: Publisher, session: str, *texts: str) -> list[str]:
    """The entry IDs of new events."""
    events = [NewEvent("message.added", session, "tail", {"content": text}) for text in texts]
    return [str(entry_id) for entry_id in publisher.publish_many(events)]


def is_in_state(page: Page, state: str) -> None:
    expect(page.locator(f"[data-live-status][data-state='{state}']")).to_be_visible()


def shown(page: Page) -> list[str]:
    """The entry IDs of the rows, as they stand."""
    entries = page.locator("[data-entry]").evaluate_all("rows => rows.map(row => row.dataset.entry)")
    return [entry.rpartition(" ")[2] for entry in entries]


def rows(page: Page) -> Locator:
    return page.locator("[data-entry]")


def test_a_paused_page_counts_and_shows_them_when_asked(page: Page, publisher: Publisher, session: str) -> None:
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    publish(publisher, session, "seen")
    expect(rows(page)).to_have_count(1)
    page.keyboard.press("l")
    is_in_state(page, "paused")
    ids = publish(publisher, session, *"abc")
    toggle = page.get_by_role("button", name="3 new, show them")
    expect(toggle).to_be_visible()
    expect(rows(page)).to_have_count(1)
    toggle.click()
    is_in_state(page, "live")
    expect(rows(page)).to_have_count(4)
    assert shown(page)[:3] == ids[::-1]


def test_a_burst_is_shown_by_its_newest_and_the_rest_can_be_loaded(
    page: Page, publisher: Publisher, session: str
) -> None:
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    page.keyboard.press("l")
    ids = publish(publisher, session, *map(str, range(1_500)))
    expect(page.get_by_role("button", name="1,500 new, show them")).to_be_visible()
    page.keyboard.press("l")
    gaps = page.locator(".live-gap")
    expect(gaps.first).to_contain_text("skipped")
    for _ in range(200):
        skipped = sum(int(re.sub(r"\D", "", text)) for text in gaps.all_inner_texts())
        if len(shown(page)) + skipped == len(ids):
            break
        page.wait_for_timeout(50)
    assert len(shown(page)) + skipped == len(ids)
    in_page = shown(page)
    assert in_page == [entry_id for entry_id in reversed(ids) if entry_id in in_page]
    first_skipped = next(entry_id for entry_id in ids if entry_id not in in_page)
    gaps.last.get_by_role("link").click()
    expect(page.locator(f"[data-entry$=' {first_skipped}']")).to_be_visible()


def test_whatever_connections_are_cut_each_event_is_shown_once_in_order(
    page: Page, publisher: Publisher, session: str, sockets: list[WebSocketRoute]
) -> None:
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    ids = publish(publisher, session, "before")
    for cut in range(3):
        expect(rows(page)).to_have_count(len(ids))
        ids += publish(publisher, session, *(f"{cut} shown or on its way {number}" for number in range(5)))
        sockets[-1].close(code=1012)
        ids += publish(publisher, session, *(f"{cut} while away {number}" for number in range(5)))
        is_in_state(page, "reconnecting")
        is_in_state(page, "live")
        ids += publish(publisher, session, f"{cut} after")
    expect(rows(page)).to_have_count(len(ids))
    assert shown(page) == ids[::-1]
    assert len(sockets) == 4


def test_the_page_keeps_its_newest_rows_and_says_where_the_others_are(
    page: Page, publisher: Publisher, session: str
) -> None:
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    ids: list[str] = []
    for batch in range(12):
        ids += publish(publisher, session, *(f"{batch}-{number}" for number in range(100)))
        page.locator(f"[data-entry$=' {ids[-1]}']").wait_for(state="attached")
    expect(rows(page)).to_have_count(1_000)
    assert shown(page) == ids[:-1_001:-1]
    note = page.locator(".live-gap")
    expect(note).to_have_text("Earlier events are no longer on this page. Load them")
    note.get_by_role("link").click()
    expect(page.locator(f"[data-entry$=' {ids[-1_001]}']")).to_be_visible()


def test_what_is_read_and_what_is_open_stays_where_it_is(page: Page, publisher: Publisher, session: str) -> None:
    publish(publisher, session, *map(str, range(90)))
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    row = rows(page).nth(50)
    row.locator("summary").click()
    expect(row.locator("> details")).to_have_attribute("open", "")
    entry = row.get_attribute("data-entry")
    read = page.locator(f"[data-entry='{entry}']")
    read.scroll_into_view_if_needed()
    read.locator(".opened").get_by_role("link").first.wait_for()
    before = read.bounding_box()
    publish(publisher, session, *map(str, range(20)))
    expect(rows(page)).to_have_count(110)
    after = read.bounding_box()
    assert before
    assert after
    assert abs(before["y"] - after["y"]) < 2
    expect(read.locator("> details")).to_have_attribute("open", "")


def test_another_filter_goes_on_without_loading_the_page(page: Page, publisher: Publisher, session: str) -> None:
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    page.fill("#q", f"session:{session} type:tool.called")
    page.keyboard.press("Enter")
    page.wait_for_url("**type*")
    is_in_state(page, "live")
    publish(publisher, session, "another type")
    publisher.publish("tool.called", session, "tail", tool="search")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("tool.called")
    expect(page.locator("[data-live-toggle]")).to_have_count(1)


def test_a_signed_out_page_says_so(page: Page, publisher: Publisher, sockets: list[WebSocketRoute]) -> None:
    page.goto("/live/")
    is_in_state(page, "live")
    sockets[-1].close(code=4401)
    expect(page.locator("[data-live-status]")).to_have_text("Signed out: reload the page to sign in")
