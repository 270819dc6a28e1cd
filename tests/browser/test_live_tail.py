"""The live tail in a browser: pausing, bursts, lost connections, many rows."""

from __future__ import annotations

import re
from itertools import count

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from evdash.streams.publisher import NewEvent, Publisher

pytestmark = pytest.mark.browser

_sessions = count()
TOP_ROW = """() => {
  const head = document.querySelector(".row-head").getBoundingClientRect();
  return document.elementFromPoint(innerWidth / 2, head.bottom + 8).closest("[data-entry]").dataset.entry;
}"""
"""The row below the names of the columns."""


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
    toggle = page.get_by_role("button", name="Show 3 new")
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
    expect(page.get_by_role("button", name="Show 1,500 new")).to_be_visible()
    page.keyboard.press("l")
    gaps = page.locator(".live-gap")
    expect(gaps.first).to_contain_text("skipped. Load 100")
    expect(rows(page).first).to_have_attribute("data-entry", re.compile(ids[-1]))
    in_page = shown(page)
    assert in_page == [entry_id for entry_id in reversed(ids) if entry_id in in_page]
    counts = gaps.evaluate_all("gaps => gaps.map(gap => Number(gap.dataset.count))")
    assert len(in_page) + sum(counts) == len(ids)
    while gaps.count():
        had = rows(page).count()
        gaps.first.get_by_role("link").click()
        expect(rows(page)).not_to_have_count(had)
    assert shown(page) == ids[::-1]


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
    expect(note).to_have_text("Earlier events were unloaded. Load")
    for count_of_rows in (1_100, 1_200):
        note.get_by_role("link").click()
        expect(rows(page)).to_have_count(count_of_rows)
    expect(note).to_have_count(0)
    assert shown(page) == ids[::-1]


def test_who_scrolls_into_the_list_reads_undisturbed_and_jumps_to_now(
    page: Page, publisher: Publisher, session: str
) -> None:
    publish(publisher, session, *map(str, range(90)))
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    row = rows(page).nth(50)
    row.locator("summary").click()
    expect(row.locator("> details")).to_have_attribute("open", "")
    entry = row.get_attribute("data-entry")
    read = page.locator(f"[data-entry='{entry}']")
    read.scroll_into_view_if_needed()
    read.locator(".opened-head").wait_for()
    before = read.bounding_box()
    publish(publisher, session, *map(str, range(20)))
    jump = page.get_by_role("button", name="20 new, jump to now")
    expect(jump).to_be_visible()
    publish(publisher, session, "one more")
    expect(page.get_by_role("button", name="21 new, jump to now")).to_be_visible()
    assert read.bounding_box() == before
    page.keyboard.press("n")
    expect(rows(page)).to_have_count(111)
    expect(rows(page).first.locator("summary")).to_be_in_viewport()
    assert page.evaluate(TOP_ROW) == rows(page).first.get_attribute("data-entry")
    expect(page.locator("[data-entry]:nth-child(21) + .row-here + [data-entry]")).to_contain_text("89")
    expect(page.locator(".live-jump")).to_be_hidden()
    expect(read.locator("> details")).to_have_attribute("open", "")
    publish(publisher, session, "and on it goes")
    expect(rows(page)).to_have_count(112)


def test_scrolling_back_to_the_newest_goes_on(page: Page, publisher: Publisher, session: str) -> None:
    publish(publisher, session, *map(str, range(90)))
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    page.mouse.move(600, 400)
    page.mouse.wheel(0, 1_000)
    expect(rows(page).first).not_to_be_in_viewport()
    publish(publisher, session, "new")
    expect(page.locator(".live-jump")).to_have_text("1 new, jump to now")
    expect(rows(page)).to_have_count(90)
    page.mouse.wheel(0, -2_000)
    expect(rows(page)).to_have_count(91)
    expect(page.locator(".live-jump")).to_be_hidden()


def test_a_paused_page_has_an_address_that_shows_the_same(page: Page, publisher: Publisher, session: str) -> None:
    ids = publish(publisher, session, *"ab")
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    page.keyboard.press("l")
    page.wait_for_url("**paused=**")
    later = publish(publisher, session, *"cde")
    expect(page.get_by_role("button", name="Show 3 new")).to_be_visible()
    page.reload()
    is_in_state(page, "paused")
    expect(page.get_by_role("button", name="Show 3 new")).to_be_visible()
    assert shown(page) == ids[::-1]
    page.keyboard.press("l")
    expect(rows(page)).to_have_count(5)
    assert shown(page) == [*ids, *later][::-1]
    assert "paused" not in page.url


def test_selected_text_and_its_row_stay(page: Page, publisher: Publisher, session: str) -> None:
    publish(publisher, session, "a sentence to be quoted")
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "live")
    page.locator(".row-says", has_text="a sentence to be quoted").dblclick()
    selected = page.evaluate("getSelection().toString()")
    assert selected
    last = publish(publisher, session, *map(str, range(30)))[-1]
    page.locator(f"[data-entry$=' {last}']").wait_for()
    assert page.evaluate("getSelection().toString()") == selected


def test_a_session_grows_at_its_end_without_moving_who_reads_its_beginning(
    page: Page, publisher: Publisher, session: str
) -> None:
    publish(publisher, session, *map(str, range(60)))
    page.goto(f"/sessions/{session}/")
    is_in_state(page, "live")
    first = rows(page).first
    before = first.bounding_box()
    publish(publisher, session, *"abc")
    expect(rows(page)).to_have_count(63)
    assert first.bounding_box() == before
    page.get_by_role("button", name="3 more below, jump to now").click()
    expect(rows(page).last).to_be_in_viewport()
    publish(publisher, session, "followed")
    expect(rows(page).last).to_contain_text("followed")
    expect(rows(page).last).to_be_in_viewport()


@pytest.fixture
def blocked(page: Page) -> dict[str, bool]:
    """A network that lets no WebSocket through, until told otherwise."""
    network = {"is_blocked": True}

    def block(socket: WebSocketRoute) -> None:
        if network["is_blocked"]:
            socket.close(code=1012)
        else:
            socket.connect_to_server()

    page.route_web_socket("**/live/socket/", block)
    return network


def test_without_websockets_the_page_asks_over_http_and_says_so(
    page: Page, publisher: Publisher, session: str, blocked: dict[str, bool]
) -> None:
    ids = publish(publisher, session, "before")
    page.goto(f"/live/?q=session:{session}")
    is_in_state(page, "polling")
    expect(page.locator("[data-live-status]")).to_have_text("Live, every 3 s (WebSocket blocked)")
    ids += publish(publisher, session, *map(str, range(130)))
    expect(page.locator(".live-gap")).to_contain_text("30 events skipped")
    ids += publish(publisher, session, "after")
    expect(rows(page).first).to_have_attribute("data-entry", re.compile(ids[-1]))
    page.locator(".live-gap a").click()
    expect(rows(page)).to_have_count(len(ids))
    assert shown(page) == ids[::-1]
    page.keyboard.press("l")
    ids += publish(publisher, session, *"ab")
    expect(page.get_by_role("button", name="Show 2 new")).to_be_visible()
    page.keyboard.press("n")
    expect(rows(page)).to_have_count(len(ids))
    blocked["is_blocked"] = False
    page.evaluate("dispatchEvent(new Event('online'))")
    is_in_state(page, "live")
    ids += publish(publisher, session, "by socket")
    expect(rows(page)).to_have_count(len(ids))
    assert shown(page) == ids[::-1]


def test_numbers_follow_without_websockets_too(page: Page, publisher: Publisher, blocked: dict[str, bool]) -> None:
    page.goto("/sessions/")
    is_in_state(page, "polling")
    publish(publisher, "polled", "hello")
    expect(page.locator("tbody th a", has_text="polled")).to_have_count(1, timeout=20_000)


def test_a_session_that_moves_up_its_list_is_marked(page: Page, publisher: Publisher) -> None:
    publish(publisher, "list-moves-1", "hello")
    publish(publisher, "list-moves-2", "hello")
    page.goto("/sessions/")
    first = page.locator(".results tbody tr").first
    expect(first).to_contain_text("list-moves-2")
    publish(publisher, "list-moves-1", "again")
    expect(first).to_contain_text("list-moves-1")
    expect(first).to_have_class(re.compile("is-new"))


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
    expect(page.locator("[data-live-status]")).to_have_text("Signed out. Reload to sign in")
