"""The page of a session: what stands open, what was left, what was written twice, and ways through it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.config.environment import CHECKOUT
from evdash.eventlog import session_snapshots
from evdash.eventlog.gaps import record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.web.event_display.row import render_row
from evdash.web.pages.session import state_panel, timeline
from evdash.web.session_status import FAILED, SUCCEEDED
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db

START_MS = 1_764_000_000_000


def event(second: float, **fields: str) -> Entry:
    return entry(f"{START_MS + round(second * 1000)}-0", session_id="s", user_id="u", **fields)


def session(browser: Client, query: str = "", status: int = 200) -> Page:
    return parse_page(browser.get(f"/sessions/s/{query}"), status)


def listed_ids(page: Page) -> list[str]:
    """Return the entry IDs of the page's rows."""
    return [row.split()[1] for row in page.rows]


def caption(page: Page) -> list[str]:
    """Return the sentences above the timeline."""
    return page.texts(".timeline-note")


def test_a_call_without_a_return_is_drawn_open_and_told(browser: Client, write: Write) -> None:
    write(
        event(0, type="tool.called", tool="track", call_id="c1"),
        event(1, type="tool.returned", tool="track", call_id="c1"),
        event(2, type="tool.called", tool="refund", call_id="c2"),
        event(182, type="message.added", role="user", content="Hello?"),
    )
    page = session(browser)
    assert page.texts(".call.is-open title") == ["refund: no return up to the last event (+3 min)"]
    assert page.texts(".call:not(.is-open) title") == ["track, 1 s from call to return"]
    assert caption(page) == ["1 drawn call without a return: refund."]


def test_an_open_call_is_told_in_its_row_its_mark_and_the_state(browser: Client, write: Write) -> None:
    write(
        event(0, type="session.started"),
        event(1, type="tool.called", tool="refund", call_id="c2", arguments="order 7"),
        event(181, type="session.ended"),
    )
    words = "no return before session end (+3 min)"
    for view in ("events", "conversation"):
        page = session(browser, f"?view={view}")
        assert page.texts(".row-waits") == [words]
        assert [label.split("\n")[-2:] for label in page.values("aria-label", ".mark") if "refund" in label] == [
            ["refund order 7", words]
        ]
    assert session(browser, "?q=type:tool.called").texts(".row-waits") == [words]  # a filter that leaves returns out
    for query, told in ((f"&at={at(1)}", "this event"), ("", words)):
        panel = session(browser, f"?part=state{query}")
        assert panel.facts["Open calls"] == "1"
        assert panel.pairs(".open-calls a", ".open-calls .call-words") == [("refund order 7", told)]


def test_an_open_call_of_a_running_session_is_told_as_of_now(browser: Client, write: Write) -> None:
    called_ms = round(time.time() * 1000) - 192_000
    write(
        entry(f"{called_ms}-0", type="tool.called", session_id="s", tool="refund"),
        entry(f"{called_ms + 1000}-0", type="message.added", session_id="s", role="user"),
    )
    panel = session(browser, f"?part=state&at={called_ms + 1000}-0")
    assert panel.texts(".open-calls a") == ["refund"]
    for told in (session(browser).texts(".row-waits"), panel.texts(".open-calls .call-words")):
        assert len(told) == 1
        assert re.fullmatch(r"waiting for 3 min 1\d s \((\d\d \w{3} )?\d\d:\d\d:\d\d UTC\)", told[0])


def test_what_comes_live_is_not_said_to_have_no_return(browser: Client, write: Write) -> None:
    assert "row-waits" not in render_row(decode(event(1, type="tool.called", tool="refund")))


def test_a_printed_list_tells_of_all_its_calls(browser: Client, write: Write) -> None:
    write(*call_at(0, returned_at=None), event(600, type="tool.called", tool="refund"))
    assert session(browser, "?rows=all").values("data-entry", ".row:has(.row-waits)") == [
        f"{STREAM} {at(n)}" for n in (0, 600)
    ]


def call_at(second: int, returned_at: int | None, events: int = 500) -> list[Entry]:
    """A session of an event a second, in which one tool is called and, if ever, returns."""
    kinds = {second: "tool.called", returned_at: "tool.returned"}
    return [event(n, type=kinds.get(n, "message.added"), tool="track", role="user") for n in range(events)]


def test_a_return_that_came_after_the_picture_ends_its_call(browser: Client, write: Write) -> None:
    write(*call_at(298, returned_at=420))
    page = session(browser)
    assert len(page.all(".mark")) == 300
    assert caption(page) == ["Timeline: 300 of 500 events. The overview strip shows all."]
    assert page.texts(".call title") == ["track, 2 min 2 s from call to return (return after this timeline)"]
    assert not page.has(".call.is-open, .row-waits")


def test_of_a_long_session_only_what_is_known_to_its_end_is_said_to_have_no_return(
    browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*call_at(298, returned_at=None, events=700))
    told = ["track: no return up to the last event (+6 min 41 s)"]
    assert session(browser).texts(".call.is-open title") == told
    monkeypatch.setattr(timeline, "READ_ON_MAX", 200)
    assert not session(browser).has(".call.is-open, .row-waits")
    assert session(browser, f"?at={at(420)}").texts(".call.is-open title") == told


def test_a_filter_that_leads_past_the_picture_tells_of_its_calls(browser: Client, write: Write) -> None:
    write(*call_at(450, returned_at=None), event(600, type="tool.called", tool="refund"))
    for query in ("?q=tool:refund", "?q=type:tool.called", f"?at={at(600)}", f"?q=tool:refund&at={at(600)}"):
        assert session(browser, query).texts(f"{row(600)} .row-waits") == ["no return (last event)"]
    assert len(session(browser, "?q=type:tool.called").all(".row-waits")) == 2


def test_a_filter_tells_of_no_call_that_returned_or_whose_end_is_far(
    browser: Client, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*call_at(350, returned_at=420))
    query = "?q=type:tool.called"
    assert not session(browser, query).has(".call.is-open, .row-waits")
    write(event(600, type="tool.called", tool="refund"), event(601, type="message.added"))
    assert session(browser, query).values("data-entry", ".row:has(.row-waits)") == [f"{STREAM} {at(600)}"]
    monkeypatch.setattr(timeline, "READ_ON_MAX", 1)
    assert not session(browser, query).has(".row-waits")


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
    assert caption(session(browser)) == [
        "2 drawn calls without a return: track, refund. 2 drawn returns without a known call: track, refund."
    ]
    position = lock_positions("evdash-audit", [STREAM])[STREAM]
    for second in (3, 7):
        gap = EntryId.parse(at(second))
        record_gap(position, Gap.Kind.REMOVED, gap, gap, 1)
    page = session(browser)
    assert caption(page) == ["1 drawn call without a return: refund. 1 drawn return without a known call: track."]
    assert page.values("data-entry", ".row:has(.row-waits)") == [f"{STREAM} {at(n)}" for n in (1, 9)]


def test_of_a_return_whose_call_lies_before_the_picture_nothing_is_said(browser: Client, write: Write) -> None:
    write(*call_at(50, returned_at=300))
    page = session(browser, f"?at={at(400)}")
    assert any(at(300) in mark for mark in page.values("data-mark"))
    assert not any(at(50) in mark for mark in page.values("data-mark"))
    assert caption(page) == ["Timeline: 249 of 500 events. The overview strip shows all."]
    assert not page.has(".row-waits")


def test_a_call_written_twice_has_its_return(browser: Client, write: Write) -> None:
    call = {"type": "tool.called", "tool": "track", "call_id": "c", "id": "e1"}
    write(event(0, **call), event(1, **call), event(2, type="tool.returned", tool="track", call_id="c"))
    page = session(browser)
    assert page.texts(".call title") == ["track, 2 s from call to return"]
    assert not page.has(".call.is-open, .row-waits")
    assert "no return" not in b"".join(browser.get("/sessions/s/export.html").streaming_content).decode()


def test_a_session_that_nobody_ended_was_left_after_a_while(browser: Client, write: Write) -> None:
    write(event(0, type="message.added"))
    assert session(browser).texts(".facts-head .pill.is-abandoned") == ["abandoned"]
    write(entry(f"{round(time.time() * 1000)}-0", type="message.added", session_id="now"))
    page = parse_page(browser.get("/sessions/"))
    assert page.cells(".results table", "Session", "Outcome") == [("now", "running"), ("s u", "abandoned")]


def test_an_outcome_of_the_producer_does_not_read_like_a_status(browser: Client, write: Write) -> None:
    write(event(0, type="session.started"), event(1, type="session.ended", outcome="abandoned"))
    assert session(browser).facts["Outcome"] == "ended: abandoned"
    assert session(browser).values("title", ".facts-head .pill") == ["Outcome from the producer"]
    listed = parse_page(browser.get("/sessions/"))
    assert listed.cells(".results table", "Session", "Outcome") == [("s u", "ended: abandoned")]
    write(event(2, type="session.ended", outcome="resolved"))
    assert session(browser).facts["Outcome"] == "resolved"


def test_the_state_at_the_last_event_says_the_status_as_the_page_does(browser: Client, write: Write) -> None:
    write(event(0, type="session.started"), event(1, type="message.added"), event(2, type="message.added"))

    def status(query: str = "") -> str:
        return session(browser, f"?part=state{query}").facts["Status"]

    assert status() == status(f"&at={at(2)}") == "abandoned"
    assert status(f"&at={at(1)}") == "running"
    write(event(3, type="session.ended", outcome="resolved"))
    assert status(f"&at={at(2)}") == "running"
    assert status() == "ended: resolved"


def test_what_comes_after_the_end_makes_no_other_status(browser: Client, write: Write, index: Index) -> None:
    write(event(0, type="session.started"), event(1, type="session.ended", outcome="resolved"))
    write(event(2, type="message.added"), event(3, type="session.started"))
    for _ in range(2):
        assert session(browser).facts["Outcome"] == "resolved"
        assert session(browser, "?part=state").facts["Status"] == "ended: resolved, 2 events after its end"
        index()


def test_where_clocks_differ_both_are_told_and_the_status_goes_by_the_one_that_is_named(
    browser: Client, write: Write
) -> None:
    now_s = time.time()
    write(
        *(
            entry(f"{round((now_s - ago) * 1000)}-0", type="a", session_id="s", user_id="u", timestamp=stamp)
            for ago, stamp in ((300, "2025-11-21T10:00:00Z"), (20, "2025-11-21T10:00:09Z"))
        )
    )
    page = session(browser)
    assert page.texts(".facts-head .pill.is-running") == ["running"]
    outcome, started, duration = (page.definitions[term] for term in ("Outcome", "Started", "Duration"))
    assert re.fullmatch(r"running last event \d+ s ago \(Redis\)", outcome[0])
    assert outcome[1:] == ["2025-11-21 10:00:09 (producer)"]
    assert re.fullmatch(r"[\d-]{10} [\d:]{8} \(Redis\)", started[0])
    assert started[1:] == ["2025-11-21 10:00:00 (producer)"]
    assert duration == ["4 min 40 s (Redis)", "9 s (producer)"]
    [listed] = parse_page(browser.get("/sessions/")).table(".results table")
    assert re.fullmatch(r"\d+ s ago", listed["Last entry"])
    listed_page = parse_page(browser.get("/sessions/"))
    [title] = listed_page.values("title", "tbody time[data-form=ago]")
    assert title.endswith(" UTC\nproducer: 2025-11-21 10:00:09 UTC")
    of_user = parse_page(browser.get("/users/"))
    assert of_user.values("title", "tbody time[data-form=ago]") == [title], "the same time for the same entry"
    assert page.texts(".list-order") == ["Order: Redis (entry ID). Times: producer"]
    assert listed["Outcome"] == "running"


def test_a_row_has_the_times_of_both_clocks_and_its_list_names_the_one_that_it_shows(
    browser: Client, write: Write
) -> None:
    own = {"session_id": "s", "type": "a"}
    write(
        entry("7-0", **own, timestamp="1780000000"),  # a chosen ID, not a time
        entry("1780000000000-0", **own, timestamp="2025-11-21T10:00:00Z"),
        entry("1780000001000-0", **own, timestamp="1780000001"),
        entry("1780000002000-0", **own),
    )
    times = [
        ([None], "2026-05-28 20:26:40.000 UTC (producer)\nentry ID 7-0"),
        (
            ["by-producer", "by-redis"],
            "2025-11-21 10:00:00.000 UTC (producer)\n2026-05-28 20:26:40.000 UTC (Redis)\nentry ID 1780000000000-0",
        ),
        ([None], "2026-05-28 20:26:41.000 UTC (producer)\nentry ID 1780000001000-0"),
        ([None], "2026-05-28 20:26:42.000 UTC\nentry ID 1780000002000-0"),
    ]
    of_list = "Order and times: Redis (entry ID). Range and chart: producer. Where an ID is not a time: producer"
    lists = {"/sessions/s/": ("Order: Redis (entry ID). Times: producer", times), "/events/": (of_list, times[::-1])}
    for address, (named, expected) in lists.items():
        page = parse_page(browser.get(address))
        found = [
            ([each.attributes.get("class") for each in row.css("time")], row.attributes["title"])
            for row in page.all(".row-time")
        ]
        assert (page.texts(".list-order"), found) == ([named], expected)
    opened = parse_page(browser.get("/events/memory:events/1780000000000-0/"))
    assert opened.definitions["Time"] == ["2025-11-21 10:00:00 UTC (producer) 2026-05-28 20:26:40 UTC (Redis)"]
    write(entry("1780000003001-0", **own, timestamp="1780000003.0004"))
    [single] = parse_page(browser.get("/events/memory:events/1780000003001-0/")).definitions["Time"]
    assert single == "2026-05-28 20:26:43 UTC (producer)"


def test_what_a_retry_wrote_is_folded_into_its_first_with_the_number(browser: Client, write: Write) -> None:
    first = {"type": "message.added", "id": "e1", "content": "once"}
    write(event(0, **first), *(event(n, **first) for n in range(1, 5)), event(9, type="message.added", id="e2"))
    page = session(browser)
    assert len(page.rows) == 6
    classes = [set(value.split()) for value in page.values("class")]
    assert sum({"is-duplicate", "is-folded"} <= names for names in classes) == 3
    assert page.texts(".row:not(.is-folded) [data-show-duplicates]") == ["Show 3 more duplicates"]
    assert page.texts(".counts") == ["2 events, 0 errors + 4 duplicates"]


def test_a_clock_that_went_back_is_told_and_the_streams_order_stays(browser: Client, write: Write) -> None:
    stamps = [1_764_000_000, 1_764_000_060, 1_764_000_030]
    write(*(event(n, type="message.added", timestamp=str(stamp)) for n, stamp in enumerate(stamps)))
    page = session(browser)
    assert page.values("title", f"{row(2)} .row-remark") == ["Producer time is 30 s before the previous entry."]
    assert len(page.all(".row-remark")) == 1
    assert listed_ids(page) == [f"{START_MS + n * 1000}-0" for n in range(3)]


@pytest.fixture
def long(browser: Client, write: Write, index: Index) -> Client:
    """A session of 500 events with an error at second 400 and tool calls at 100 and 450."""
    kinds = {100: "tool.called", 400: "error.occurred", 450: "tool.called"}
    write(*(event(n, type=kinds.get(n, "message.added"), content=f"text {n}", tool="t") for n in range(500)))
    index()
    return browser


def at(second: int) -> str:
    return f"{START_MS + second * 1000}-0"


def row(second: int) -> str:
    """Return the selector of the row of the event at this second."""
    return f'[data-entry="{STREAM} {at(second)}"]'


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
    [(level, sentence)] = page.notices
    assert (level, " type:message.added " in sentence) == ("info", True)
    assert at(400) in listed_ids(page)
    assert "taken_off" not in page.links["Tool call ›"]
    assert "taken_off" not in page.links["Conversation"]
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
    assert session(long).texts(".counts") == ["500 events, 1 error"]
    assert session(long, "?q=type:message.added").texts(".counts") == ["50+ events, 0+ errors"]


def test_a_time_that_is_none_is_told_without_leaving_the_page(long: Client) -> None:
    answer = long.get("/sessions/s/?part=find&what=time&time=99:99", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "'99:99'" in words_shown(answer)


def words_shown(answer: HttpResponse) -> str:
    """Return the sentence that a response shows on the current page."""
    words: str = json.loads(answer["HX-Trigger"])["evdash:nothing"]["words"]
    return words


def test_a_search_without_a_result_is_told_on_its_own_page_or_on_the_current_one(long: Client) -> None:
    beyond = f"?part=find&what=error&from={at(400)}"
    answer = long.get(f"/sessions/s/{beyond}", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    page = session(long, beyond, 404)
    assert page.texts(".said-subject") == ["s"]
    assert page.texts(".said-reason") == [words_shown(answer)] == ["No later error in this session."]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("part=find&what=x", "what='x'"),
        ("part=find&what=time&time=soon", "'soon'"),
        ("at=x", "at= 'x'"),
        ("part=state&pin=.", "pin= '.'"),
        ("view=upside", "'upside'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_value(long: Client, query: str, refused: str) -> None:
    [sentence] = session(long, f"?{query}", 400).texts(".said-reason")
    assert refused in sentence


def test_a_page_at_an_event_shows_what_lies_around_it(long: Client) -> None:
    page = session(long, f"?at={at(250)}")
    assert listed_ids(page) == [at(n) for n in range(201, 301)]
    assert len(page.all("a.mark")) == 300
    assert caption(page) == ["Timeline: 300 of 500 events. The overview strip shows all."]
    assert page.has(".strip .strip-window")
    assert page.has("[data-before]")
    assert page.has("[data-after]")


@pytest.mark.parametrize("view", ["conversation", "raw"])
def test_each_reading_has_every_event_and_keeps_the_place(long: Client, view: str) -> None:
    page = session(long, f"?at={at(250)}&view={view}")
    assert len(page.rows) == 100
    place = ".turn-body" if view == "conversation" else ".raw-fields bdi"
    assert "text 250" in " ".join(page.texts(f"{row(250)} {place}"))
    assert set(page.values("value", 'input[name="view"]')) == {view}
    assert page.values("data-reading", ".ranges [aria-current]") == [view]


def test_the_state_after_an_event_and_what_it_changed(long: Client) -> None:
    page = session(long, f"?part=state&at={at(100)}&pin=totals.tool_calls")
    assert page.texts(".state-head h2") == ["State after event 101"]
    assert page.texts(".changes > ul .change-title") == ["Tool calls"]
    assert watched(page) == [("Totals › Tool calls", "1")]
    panel = long.get(f"/sessions/s/?part=state&at={at(100)}", headers={"HX-Request": "true"}).content.decode()
    assert panel.lstrip().startswith("<div data-state-query")
    against = session(long, f"?part=state&at={at(100)}&vs={at(98)}")
    assert f"{at(98)}, event 99" in against.texts(".changes h3")[0]
    assert session(long, "?part=state&at=1-0", 404).texts(".said-subject") == ["s"]


def watched(panel: Page) -> list[tuple[str, str]]:
    """Return the watched paths of a state panel with their values."""
    return panel.pairs(".pinned .pin-name", ".pinned p .value")


def test_a_watched_path_has_a_history_in_a_long_session_and_says_from_where_on(
    long: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 100)
    monkeypatch.setattr(state_panel, "HISTORY_EVENTS", 150)
    for since in ("events 1 to 461", "last 161 events (from event 301)"):
        page = session(long, f"?part=state&at={at(460)}&pin=totals.tool_calls")
        assert page.texts(".pins h3") == [f"Watched {since}"]
        assert watched(page) == [("Totals › Tool calls", "2")]


def test_links_of_the_state_keep_reading_filter_and_what_is_compared(long: Client) -> None:
    kept = {"view": ["raw"], "q": ["is:error"], "pin": ["totals.errors"], "vs": [at(98)]}
    panel = session(long, f"?part=state&at={at(400)}&{urlencode(kept, doseq=True)}")
    links = [parse_qs(link.removeprefix("?")) for link in panel.values("href", "[data-state-query] a")]
    assert len(links) > 10
    for link in links:
        assert (link["view"], link["q"]) == (kept["view"], kept["q"])
    others = [link for link in links if link["at"] != [at(400)]]
    assert others
    assert all(link == kept | {"at": link["at"]} for link in others)
    assert sum("vs" not in link for link in links) == 1  # the one that ends the comparison


def test_only_streams_of_the_session_are_offered_and_only_if_there_are_several(
    browser: Client, write: Write, settings: Settings
) -> None:
    settings.EVDASH = replace(settings.EVDASH, streams=(STREAM, "other", "third"))
    write(entry("1-1", type="a", session_id="s"), entry("2-1", stream="other", type="a", session_id="s"))
    write(entry("3-1", type="a", session_id="t"))
    assert session(browser).texts(".stream-choice a") == ["All streams", STREAM, "other"]
    assert not parse_page(browser.get("/sessions/t/")).has(".stream-choice")
    assert parse_page(browser.get("/events/")).texts(".stream-choice a") == ["All streams", STREAM, "other", "third"]


def test_many_streams_are_offered_in_a_menu_that_names_the_chosen_ones(browser: Client, settings: Settings) -> None:
    names = tuple(f"stream-{number}" for number in range(9))
    settings.EVDASH = replace(settings.EVDASH, streams=names)
    page = parse_page(browser.get("/events/"))
    assert page.texts(".stream-choice summary") == ["All streams ▾"]
    assert page.texts(".stream-menu a") == ["All streams", *names]
    page = parse_page(browser.get("/events/?q=stream:stream-3+stream:stream-5"))
    assert page.texts(".stream-choice summary") == ["stream-3 +1 ▾"]


@pytest.mark.parametrize(
    ("outcome", "colour"),
    [
        ("resolved", "succeeded"),
        ("SUCCESS", "succeeded"),
        ("failed: no seats, twice", "failed"),
        ("timed_out", "failed"),
        ("unresolved", "failed"),
        ("abandoned", "abandoned"),
        ("handed over", "other"),
        ("not resolved", "other"),
        ("", "other"),
    ],
)
def test_an_outcome_has_its_colour_on_both_pages_and_keeps_its_text(
    browser: Client, write: Write, outcome: str, colour: str
) -> None:
    write(event(0, type="session.started"), event(1, type="session.ended", outcome=outcome))
    for page in (session(browser), parse_page(browser.get("/sessions/"))):
        [pill] = page.texts(f"span.pill.is-{colour}")
        assert pill.removeprefix("ended: ") == (outcome or "ended")


def test_the_documentation_lists_the_outcomes_of_each_colour() -> None:
    text = (CHECKOUT / "docs/pages.md").read_text()
    listed = {
        colour: set(re.findall(r"`([^`]+)`", cell)) for colour, cell in re.findall(r"\| (Green|Red) \| (.+?) \|", text)
    }
    assert listed == {"Green": SUCCEEDED, "Red": FAILED}


def test_a_session_says_whether_it_is_complete_and_why(browser: Client, write: Write, index: Index) -> None:
    write(event(0, type="session.started", agent="a", agent_version="2.1"), event(9, type="session.ended"))
    index()
    page = session(browser)
    assert page.texts(".completeness-badge > summary") == ["Complete"]
    assert page.facts["Agent"] == "a 2.1"
    gap = EntryId.parse(at(5))
    record_gap(lock_positions("evdash-audit", [STREAM])[STREAM], Gap.Kind.REMOVED, gap, gap, 1)
    page = session(browser)
    assert page.texts(".completeness-badge > summary") == ["Possibly incomplete"]
    assert "1 gap" in page.texts(".completeness-badge > p")[0]


def test_the_filter_is_open_if_it_is_in_use(browser: Client, write: Write) -> None:
    write(event(0, type="session.started"), event(1, type="message.added", role="user"))
    assert not session(browser).has(".filter-panel[open]")
    for query, status in (("q=type:message.added", 200), ("by=type", 200), ("q=nokey:1", 400)):
        assert session(browser, f"?{query}", status).has(".filter-panel[open]")


def test_the_state_is_in_words_with_times_and_units(browser: Client, write: Write) -> None:
    write(
        event(0, type="session.started"),
        event(1, type="tool.called", tool="track", call_id="c1", arguments='{"order": {"id": 7}}'),
        event(3, type="tool.returned", tool="track", call_id="c1", result="Bremen"),
    )
    called = session(browser, f"?part=state&at={at(1)}")
    assert '{ "order": { "id": 7 } }' in called.texts(".changes .is-json")
    assert '"order": {\n    "id": 7' in called.html.replace("&#34;", '"')
    panel = session(browser, "?part=state&pin=lifecycle.started_us&pin=folded&pin=tool_calls")
    changes = dict(panel.pairs(".changes .change-values .node-name", ".changes .change-values ins"))
    assert changes["Status"] == "returned"
    assert changes["Duration"] == "2 s"
    assert changes["Returned at"] == at(3)
    tree = dict(panel.pairs(".whole-state .leaf > .node-name", ".whole-state .leaf > .value"))
    assert tree["Started"] == "2025-11-24 16:00:00.000 UTC"
    assert {"Folded", "At", "Session id", "Start is said", "Events missing before"}.isdisjoint(tree)
    assert panel.values("class", ".whole-state .leaf > .value").count("value is-time") >= 2
    assert watched(panel)[:2] == [("Session › Started", "2025-11-24 16:00:00.000 UTC"), ("Folded", "3")]
    assert "lifecycle.started_us" in panel.values("title", ".pin-name")


@pytest.mark.parametrize("indexed", [False, True])
def test_a_session_in_several_streams_names_them(browser: Client, write: Write, index: Index, *, indexed: bool) -> None:
    write(entry("1-1", type="a", session_id="s"), entry("2-1", stream="other", type="a", session_id="s"))
    write(entry("3-1", type="a", session_id="t"))
    if indexed:
        index((STREAM, "other"))
    assert parse_page(browser.get("/sessions/s/")).facts["Streams"] == "in 2 streams: memory:events, other"
    assert "Streams" not in parse_page(browser.get("/sessions/t/")).facts


def test_calls_inside_messages_and_returns_before_their_call_are_joined(
    browser: Client, write: Write, index: Index
) -> None:
    inside = [{"id": f"c{n}", "type": "function", "function": {"name": f"tool_{n}", "arguments": "{}"}} for n in (1, 2)]
    write(
        event(0, type="message.added", role="assistant", tool_calls=json.dumps(inside)),
        event(1, type="message.added", role="tool", tool_call_id="c1", content="18 degrees"),
        event(2, type="tool.returned", call_id="early", result="r"),
        event(3, type="tool.called", call_id="early", tool="early_tool"),
    )
    index()
    page = session(browser)
    assert page.facts["Tool calls"] == "3"
    assert caption(page) == ["1 drawn call without a return: tool_2."]
    assert page.values("data-entry", ".row:has(.row-waits)") == [f"{STREAM} {at(0)}"]
    panel = session(browser, "?part=state")
    assert panel.texts(".open-calls a") == ["tool_2 {}"]
