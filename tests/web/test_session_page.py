"""The page of a session: what stands open, what was left, what was written twice, and ways through it."""

from __future__ import annotations

import re
import time
from html import unescape
from urllib.parse import parse_qs, urlencode

import pytest
from django.test import Client

from evdash.eventlog import session_snapshots
from evdash.eventlog.gaps import record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.web.event_display.row import render_row
from evdash.web.pages.session import state_panel, timeline
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db

START_MS = 1_764_000_000_000


def event(second: float, **fields: str) -> Entry:
    return entry(f"{START_MS + round(second * 1000)}-0", session_id="s", user_id="u", **fields)


def session(browser: Client, query: str = "", status: int = 200) -> Page:
    return parse_page(browser.get(f"/sessions/s/{query}"), status)


def test_a_call_without_a_return_is_drawn_open_and_told(browser: Client, write: Write) -> None:
    write(
        event(0, type="tool.called", tool="track", call_id="c1"),
        event(1, type="tool.returned", tool="track", call_id="c1"),
        event(2, type="tool.called", tool="refund", call_id="c2"),
        event(182, type="message.added", role="user", content="Hello?"),
    )
    page = session(browser)
    assert "refund: no return up to the last event (+3 min)" in page.html
    assert page.html.count("call is-open") == 1
    assert "1 drawn call without a return: refund." in page.text


def test_an_open_call_is_told_in_its_row_its_mark_and_the_state(browser: Client, write: Write) -> None:
    write(
        event(0, type="session.started"),
        event(1, type="tool.called", tool="refund", call_id="c2", arguments="order 7"),
        event(181, type="session.ended"),
    )
    words = "no return before session end (+3 min)"
    for view in ("events", "conversation"):
        page = session(browser, f"?view={view}")
        assert page.html.count('class="row-waits"') == 1
        assert words in page.text
        assert sum(label.endswith(f"\nrefund order 7\n{words}") for label in page.values("aria-label")) == 1
    assert words in session(browser, "?q=type:tool.called").text  # a filter that leaves returns out
    for query, told in ((f"&at={at(1)}", "this event"), ("", words)):
        panel = session(browser, f"?part=state{query}").text
        assert "Open calls 1 " in panel
        assert f"Open calls refund order 7 {told}" in panel


def test_an_open_call_of_a_running_session_is_told_as_of_now(browser: Client, write: Write) -> None:
    called_ms = round(time.time() * 1000) - 192_000
    write(
        entry(f"{called_ms}-0", type="tool.called", session_id="s", tool="refund"),
        entry(f"{called_ms + 1000}-0", type="message.added", session_id="s", role="user"),
    )
    page = session(browser)
    assert re.search(r"waiting for 3 min 1\d s \((\d\d \w{3} )?\d\d:\d\d:\d\d UTC\)", page.text)
    panel = session(browser, f"?part=state&at={called_ms + 1000}-0").text
    assert re.search(r"Open calls refund waiting for 3 min 1\d s \(", panel)


def test_what_comes_live_is_not_said_to_have_no_return(browser: Client, write: Write) -> None:
    assert "row-waits" not in render_row(decode(event(1, type="tool.called", tool="refund")))


def test_a_printed_list_tells_of_all_its_calls(browser: Client, write: Write) -> None:
    write(*call_at(0, returned_at=None), event(600, type="tool.called", tool="refund"))
    page = session(browser, "?rows=all")
    assert page.html.count("row-waits") == 2


def call_at(second: int, returned_at: int | None, events: int = 500) -> list[Entry]:
    """A session of an event a second, in which one tool is called and, if ever, returns."""
    kinds = {second: "tool.called", returned_at: "tool.returned"}
    return [event(n, type=kinds.get(n, "message.added"), tool="track", role="user") for n in range(events)]


def test_a_return_that_came_after_the_picture_ends_its_call(browser: Client, write: Write) -> None:
    write(*call_at(298, returned_at=420))
    page = session(browser)
    assert "Timeline: 300 of 500 events." in page.text
    assert "no return" not in page.html
    assert "track, 2 min 2 s from call to return (return after this timeline)" in page.html
    assert "call is-open" not in page.html


def test_of_a_long_session_only_what_is_known_to_its_end_is_said_to_have_no_return(
    browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*call_at(298, returned_at=None, events=700))
    assert "track: no return up to the last event (+6 min 41 s)" in session(browser).html
    monkeypatch.setattr(timeline, "READ_ON_MAX", 200)
    assert "no return" not in session(browser).html
    assert "no return" in session(browser, f"?at={at(420)}").html


def test_a_filter_that_leads_past_the_picture_tells_of_its_calls(browser: Client, write: Write) -> None:
    write(*call_at(450, returned_at=None), event(600, type="tool.called", tool="refund"))
    for query in ("?q=tool:refund", "?q=type:tool.called", f"?at={at(600)}", f"?q=tool:refund&at={at(600)}"):
        assert "no return (last event)" in session(browser, query).text
    assert session(browser, "?q=type:tool.called").html.count("row-waits") == 2


def test_a_filter_tells_of_no_call_that_returned_or_whose_end_is_far(
    browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*call_at(350, returned_at=420))
    assert "no return" not in session(browser, "?q=type:tool.called").html
    write(event(600, type="tool.called", tool="refund"), event(601, type="message.added"))
    assert session(browser, "?q=type:tool.called").html.count("row-waits") == 1
    monkeypatch.setattr(timeline, "READ_ON_MAX", 1)
    assert "row-waits" not in session(browser, "?q=type:tool.called").html


def test_nothing_is_said_of_calls_where_entries_are_missing(browser: Client, write: Write, index: Index) -> None:
    write(
        event(0, type="session.started"),
        event(1, type="tool.returned", tool="track"),
        event(4, type="tool.returned", tool="refund"),
        event(5, type="tool.called", tool="track"),
        event(9, type="tool.called", tool="refund"),
        event(10, type="message.added"),
    )
    index()
    page = session(browser)
    assert "2 drawn calls without a return: track, refund." in page.text
    assert "2 drawn returns without a known call: track, refund." in page.text
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    for second in (3, 7):
        gap = EntryId.parse(at(second))
        record_gap(position, Gap.Kind.REMOVED, gap, gap, 1)
    page = session(browser)
    assert "1 drawn call without a return: refund." in page.text
    assert "1 drawn return without a known call: track." in page.text


def test_of_a_return_whose_call_lies_before_the_picture_nothing_is_said(browser: Client, write: Write) -> None:
    write(*call_at(50, returned_at=300))
    assert "not known" not in session(browser, f"?at={at(400)}").text


def test_a_call_written_twice_has_its_return(browser: Client, write: Write) -> None:
    call = {"type": "tool.called", "tool": "track", "call_id": "c", "id": "e1"}
    write(event(0, **call), event(1, **call), event(2, type="tool.returned", tool="track", call_id="c"))
    assert "no return" not in session(browser).html
    assert "no return" not in b"".join(browser.get("/sessions/s/export.html").streaming_content).decode()


def test_a_session_that_nobody_ended_was_left_after_a_while(browser: Client, write: Write) -> None:
    write(event(0, type="message.added"))
    assert "abandoned" in session(browser).text
    write(entry(f"{round(time.time() * 1000)}-0", type="message.added", session_id="now"))
    page = parse_page(browser.get("/sessions/"))
    assert "running" in page.text
    assert "abandoned" in page.text


def test_the_state_at_the_last_event_says_the_status_as_the_page_does(browser: Client, write: Write) -> None:
    write(event(0, type="session.started"), event(1, type="message.added"), event(2, type="message.added"))
    assert "Status abandoned" in session(browser, "?part=state").text
    assert "Status abandoned" in session(browser, f"?part=state&at={at(2)}").text
    assert "Status running" in session(browser, f"?part=state&at={at(1)}").text
    write(event(3, type="session.ended", outcome="resolved"))
    assert "Status running" in session(browser, f"?part=state&at={at(2)}").text
    assert "Status ended: resolved" in session(browser, "?part=state").text


def test_what_comes_after_the_end_makes_no_other_status(browser: Client, write: Write, index: Index) -> None:
    write(event(0, type="session.started"), event(1, type="session.ended", outcome="resolved"))
    write(event(2, type="message.added"), event(3, type="session.started"))
    for _ in range(2):
        assert "Outcome resolved" in session(browser).text
        assert "Status ended: resolved, 2 events after its end" in session(browser, "?part=state").text
        index()


def test_where_clocks_differ_both_are_told_and_the_status_goes_by_the_one_that_is_named(
    browser: Client, write: Write
) -> None:
    now_s = time.time()
    write(
        *(
            entry(f"{round((now_s - ago) * 1000)}-0", type="message.added", session_id="s", timestamp=stamp)
            for ago, stamp in ((300, "2025-11-21T10:00:00Z"), (20, "2025-11-21T10:00:09Z"))
        )
    )
    page = session(browser).text
    assert "running" in page
    assert re.search(r"last event \d+ s ago \(Redis\) 2025-11-21 10:00:09 \(producer\)", page)
    assert "4 min 40 s (Redis) 9 s (producer)" in page
    assert re.search(r"\d \(Redis\) 2025-11-21 10:00:00 \(producer\)", page)
    listed = parse_page(browser.get("/sessions/")).text
    assert re.search(r"\d+ s ago Redis clock; producer 2025-11-21 10:00:09", listed)
    assert "running" in listed


def test_what_a_retry_wrote_is_folded_into_its_first_with_the_number(browser: Client, write: Write) -> None:
    first = {"type": "message.added", "id": "e1", "content": "once"}
    write(event(0, **first), *(event(n, **first) for n in range(1, 5)), event(9, type="message.added", id="e2"))
    page = session(browser)
    assert len(page.rows) == 6
    classes = [set(value.split()) for value in page.values("class")]
    assert sum({"is-duplicate", "is-folded"} <= names for names in classes) == 3
    assert "Show 3 more" in page.text
    assert "2 events, 0 errors + 4 duplicates" in page.text


def test_a_clock_that_went_back_is_told_and_the_streams_order_stays(browser: Client, write: Write) -> None:
    stamps = [1_764_000_000, 1_764_000_060, 1_764_000_030]
    write(*(event(n, type="message.added", timestamp=str(stamp)) for n, stamp in enumerate(stamps)))
    page = session(browser)
    assert page.html.count("Producer time is 30 s before the previous entry.") >= 1
    assert [row.split()[1] for row in page.rows] == [f"{START_MS + n * 1000}-0" for n in range(3)]


@pytest.fixture
def long(browser: Client, write: Write, index: Index) -> Client:
    """A session of 500 events with an error at second 400 and tool calls at 100 and 450."""
    kinds = {100: "tool.called", 400: "error.occurred", 450: "tool.called"}
    write(*(event(n, type=kinds.get(n, "message.added"), content=f"text {n}", tool="t") for n in range(500)))
    index()
    return browser


def at(second: int) -> str:
    return f"{START_MS + second * 1000}-0"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("what=error&way=next", 400),
        (f"what=tool&way=next&from={at(100)}", 450),
        (f"what=tool&way=previous&from={at(450)}", 100),
        ("what=tool&way=previous", 450),
        ("what=time&time=%2B2m", 120),
        ("what=time&time=2025-11-24T16:00:05Z", 5),
        ("what=time&time=16:01:30", 90),
        (f"what=event&way=next&from={at(7)}", 8),
    ],
)
def test_ways_lead_through_the_whole_session(long: Client, query: str, found: int) -> None:
    answer = long.get(f"/sessions/s/?part=find&{query}&view=raw")
    assert answer.status_code == 302
    assert answer["Location"] == f"/sessions/s/?at={at(found)}&view=raw"


def test_searches_are_calls_on_the_way_and_returns_are_none(browser: Client, write: Write) -> None:
    types = ("message.added", "search.performed", "tool.returned", "tool.called", "tool.returned", "search.performed")
    write(*(event(n, type=each, tool="t") for n, each in enumerate(types)))
    found = [0]
    while (answer := browser.get(f"/sessions/s/?part=find&what=tool&from={at(found[-1])}")).status_code == 302:
        found.append(next(n for n in range(6) if answer["Location"].endswith(f"at={at(n)}")))
    assert found == [0, 1, 3, 5]


def test_a_way_leads_out_of_a_filter_that_hides_what_it_finds_and_the_page_says_so(long: Client) -> None:
    query = f"?part=find&what=error&from={at(7)}&view=raw&q=type%3Amessage.added&pin=totals.errors"
    answer = long.get(f"/sessions/s/{query}")
    place = f"?at={at(400)}&view=raw&pin=totals.errors"
    assert answer["Location"] == f"/sessions/s/{place}&taken_off=type%3Amessage.added"
    page = parse_page(long.get(answer["Location"]))
    assert "Filter type:message.added removed: it excludes this event or is not valid." in page.text
    assert any(at(400) in row for row in page.rows)
    assert "taken_off" not in page.links["Tool call ›"]
    assert "taken_off" not in page.links["Conversation"]
    assert "not understood" not in page.text
    broken = long.get("/sessions/s/?part=find&what=error&q=since%3Asoon")
    assert broken["Location"] == f"/sessions/s/?at={at(400)}&taken_off=since%3Asoon"


def test_an_address_of_an_event_shows_it_whatever_filter_it_has(long: Client) -> None:
    hidden = long.get(f"/sessions/s/?at={at(400)}&q=type%3Amessage.added&view=raw")
    assert hidden["Location"] == f"?at={at(400)}&view=raw&taken_off=type%3Amessage.added"
    assert session(long, f"?at={at(400)}&q=is%3Aerror").rows
    assert session(long, "?at=5-5&q=is%3Aerror").rows  # no event of the session: the filter stays
    session(long, f"?at={at(400)}&q=since%3Asoon", 400)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("q=is%3Aerror", "q=is%3Aerror"),
        ("errors=1", "q=is%3Aerror"),
        ("q=session%3Aother+text", "q=session%3Aother+text"),
    ],
)
def test_a_way_keeps_a_filter_that_shows_what_it_finds(long: Client, given: str, kept: str) -> None:
    answer = long.get(f"/sessions/s/?part=find&what=error&{given}")
    assert answer["Location"] == f"/sessions/s/?at={at(400)}&{kept}"


def test_all_of_a_session_is_counted_however_long_it_is(long: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evdash.eventlog.filter_summary.SAMPLE_MAX", 50)
    text = session(long).text
    assert "500 events, 1 error" in text
    assert "50+ events" in session(long, "?q=type:message.added").text


def test_a_time_that_is_none_is_told_without_leaving_the_page(long: Client) -> None:
    answer = long.get("/sessions/s/?part=find&what=time&time=99:99", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "is not a time" in answer["HX-Trigger"]


def test_what_is_not_there_or_cannot_be_read_is_a_sentence(long: Client) -> None:
    beyond = f"?part=find&what=error&from={at(400)}"
    assert "No later error in this session." in session(long, beyond, 404).text
    assert long.get(f"/sessions/s/{beyond}", headers={"HX-Request": "true"}).status_code == 204
    for query in ("part=find&what=x", "part=find&what=time&time=soon", "at=x", "part=state&pin=.", "view=upside"):
        assert session(long, f"?{query}", 400).text


def test_a_page_at_an_event_shows_what_lies_around_it(long: Client) -> None:
    page = session(long, f"?at={at(250)}")
    assert [row.split()[1] for row in page.rows] == [at(n) for n in range(201, 301)]
    assert page.html.count('class="mark ') == 300
    assert "Timeline: 300 of 500 events. The overview strip shows all." in page.text
    assert "strip-window" in page.html
    assert page.has("[data-before]")
    assert page.has("[data-after]")


@pytest.mark.parametrize("view", ["conversation", "raw"])
def test_each_reading_has_every_event_and_keeps_the_place(long: Client, view: str) -> None:
    page = session(long, f"?at={at(250)}&view={view}")
    assert len(page.rows) == 100
    assert f"text {250}" in page.text
    assert f'name="view" value="{view}"' in page.html


def test_the_state_after_an_event_and_what_it_changed(long: Client) -> None:
    page = session(long, f"?part=state&at={at(100)}&pin=totals.tool_calls")
    assert "State after event 101" in page.text
    assert "tool_calls" in page.text
    assert "totals.tool_calls 1" in page.text
    panel = long.get(f"/sessions/s/?part=state&at={at(100)}", headers={"HX-Request": "true"}).content.decode()
    assert panel.lstrip().startswith("<div data-state-query")
    against = session(long, f"?part=state&at={at(100)}&vs={at(98)}")
    assert f"Differences from {at(98)}, event 99" in against.text
    assert "No state" in parse_page(long.get("/sessions/s/?part=state&at=1-0"), 404).html


def test_a_watched_path_has_a_history_in_a_long_session_and_says_from_where_on(
    long: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 100)
    monkeypatch.setattr(state_panel, "HISTORY_EVENTS", 150)
    for since in ("events 1 to 461", "last 161 events (from event 301)"):
        page = session(long, f"?part=state&at={at(460)}&pin=totals.tool_calls")
        assert f"Watched {since}" in page.text
        assert "totals.tool_calls 2" in page.text


def test_links_of_the_state_keep_reading_filter_and_what_is_compared(long: Client) -> None:
    kept = {"view": ["raw"], "q": ["is:error"], "pin": ["totals.errors"], "vs": [at(98)]}
    panel = long.get(f"/sessions/s/?part=state&at={at(400)}&{urlencode(kept, doseq=True)}").content.decode()
    state = panel[panel.index("data-state-query") :]
    links = [parse_qs(unescape(query)) for query in re.findall(r'href="\?([^"]+)"', state)]
    assert len(links) > 10
    for link in links:
        assert (link["view"], link["q"]) == (kept["view"], kept["q"])
    others = [link for link in links if link["at"] != [at(400)]]
    assert others
    assert all(link == kept | {"at": link["at"]} for link in others)
    assert sum("vs" not in link for link in links) == 1  # the one that ends the comparison
