"""What is missing and what stands twice is said where it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import redis
from django.test import Client

from evdash.eventlog import gaps
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.gaps import gaps_between, record_gap
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap
from evdash.events.entry import Entry, EntryId
from evdash.events.filters.event_filter import EventFilter
from tests.builders import STREAM, entry, raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db


def message(entry_id: str, own_id: str) -> Entry:
    written = {"id": own_id, "type": "message.added", "session_id": "s1", "user_id": "u1", "content": "hello"}
    return raw_entry(*written.items(), entry_id=entry_id)


@pytest.fixture
def retried(write: Write) -> None:
    """The second entry is the first, written again by a retry."""
    write(message("1700000000000-0", "e1"), message("1700000001000-0", "e1"), message("1700000002000-0", "e2"))


def missing(kind: Gap.Kind, first: str, last: str, entries: int | None, stream: str = STREAM) -> None:
    position = lock_positions("evdash-audit", [stream])[stream]
    record_gap(position, kind, EntryId.parse(first), EntryId.parse(last), entries, reason="")


def items(page: Page) -> list[str]:
    """Return the rows of a list and the gaps between them, the gaps each as "gap stream first-ID"."""
    return [item.attributes.get("data-entry") or item.attributes["data-key"] or "" for item in page.all(".rows > li")]


@pytest.mark.parametrize("is_indexed", [False, True])
def test_a_duplicate_is_shown_marked_and_not_counted(
    browser: Client, retried: None, index: Index, is_indexed: bool
) -> None:
    if is_indexed:
        index()
    page = parse_page(browser.get("/events/"))
    assert len(page.rows) == 3
    assert page.values("data-entry", ".row.is-duplicate:has(.row-duplicate)") == [f"{STREAM} 1700000001000-0"]
    assert page.values("data-entry", ".row:has(.row-duplicate)") == [f"{STREAM} 1700000001000-0"]
    assert page.texts(".counts") == ["2 events, 0 errors + 1 duplicate"]
    assert {"Events": "2", "Errors": "0"}.items() <= parse_page(browser.get("/sessions/s1/")).facts.items()
    lines = b"".join(browser.get("/events.ndjson").streaming_content).splitlines()
    assert [json.loads(line).get("is_duplicate", False) for line in lines] == [False, True, False]
    rows = b"".join(browser.get("/events.csv").streaming_content).decode().splitlines()
    assert [row.split(",")[7] for row in rows] == ["is_duplicate", "0", "1", "0"]


@pytest.mark.parametrize("is_indexed", [False, True])
def test_an_opened_duplicate_leads_to_the_first(browser: Client, retried: None, index: Index, is_indexed: bool) -> None:
    if is_indexed:
        index()
    opened = parse_page(browser.get(f"/events/{STREAM}/1700000001000-0/?part=opened"))
    assert opened.texts(".duplicate-of a") == ["1700000000000-0"]
    assert opened.values("href", ".duplicate-of a") == ["/events/memory%3Aevents/1700000000000-0/"]
    assert not parse_page(browser.get(f"/events/{STREAM}/1700000000000-0/")).has(".duplicate-of")


@pytest.mark.parametrize("is_indexed", [False, True])
def test_a_duplicate_is_marked_in_every_list(browser: Client, write: Write, index: Index, is_indexed: bool) -> None:
    failed = {"id": "e1", "type": "error.occurred", "session_id": "s1", "user_id": "u1", "error": "no seat"}
    write(entry("1700000000000-0", **failed), entry("1700000001000-0", **failed))
    write(message("1700000002000-0", "e2"))
    if is_indexed:
        index()
    for path in ("/", "/errors/", "/events/", "/sessions/s1/", "/users/u1/"):
        page = parse_page(browser.get(path))
        assert page.values("data-entry", ".row:has(.row-duplicate)") == [f"{STREAM} 1700000001000-0"], path
    for entry_id in ("1700000000000-0", "1700000002000-0"):
        page = parse_page(browser.get(f"/events/{STREAM}/{entry_id}/"))
        assert page.values("data-entry", ".row:has(.row-duplicate)") == [f"{STREAM} 1700000001000-0"], entry_id


def test_a_gap_stands_where_the_entries_were(browser: Client, retried: None, index: Index) -> None:
    index()
    missing(Gap.Kind.REMOVED, "1700000000000-1", "1700000000500-0", 12)
    missing(Gap.Kind.PARKED, "1700000001500-0", "1700000001500-0", 1)
    page = parse_page(browser.get("/events/"))
    newest_first = [
        f"{STREAM} 1700000002000-0",
        f"gap {STREAM} 1700000001500-0",
        f"{STREAM} 1700000001000-0",
        f"gap {STREAM} 1700000000000-1",
        f"{STREAM} 1700000000000-0",
    ]
    assert items(page) == newest_first
    assert page.texts(".gap-words") == [
        f"Gap: 1 entry of {STREAM} was parked, because the event log could not apply it.",
        f"Gap: 12 entries of {STREAM} were removed before evdash read them.",
    ]
    assert page.values("href", ".gap a") == [f"/streams/{STREAM}/parked/"]
    assert items(parse_page(browser.get("/sessions/s1/"))) == newest_first[::-1]


def test_a_session_is_not_touched_by_gaps_before_and_after_it(browser: Client, write: Write, index: Index) -> None:
    write(entry("1700000000000-0", type="session.started", session_id="s1"), message("1700000001000-0", "e1"))
    index()
    missing(Gap.Kind.BEFORE, "0-1", "1600000000000-0", 7)
    missing(Gap.Kind.REMOVED, "1800000000000-0", "1800000000000-9", 7)
    assert not parse_page(browser.get("/sessions/s1/")).has(".gap")
    assert items(parse_page(browser.get("/events/"))) == [
        f"gap {STREAM} 1800000000000-0",
        f"{STREAM} 1700000001000-0",
        f"{STREAM} 1700000000000-0",
        f"gap {STREAM} 0-1",
    ]


def test_a_session_that_may_have_lost_its_beginning_says_so_before_its_first_event(
    browser: Client, retried: None, index: Index
) -> None:
    index()
    missing(Gap.Kind.BEFORE, "0-1", "1600000000000-0", 7)
    missing(Gap.Kind.REMOVED, "1650000000000-0", "1650000000000-9", 8)
    gap = f"gap {STREAM} 1650000000000-0"
    page = parse_page(browser.get("/sessions/s1/"))
    assert [item for item in items(page) if item.startswith("gap")] == items(page)[:1] == [gap]
    assert page.texts(".gap-words")[0].startswith(f"Earlier events may be missing. Gap: 8 entries of {STREAM} were ")
    for query in ("q=type:message.added", "after=1700000000000-0%40memory:events"):
        assert not parse_page(browser.get(f"/sessions/s1/?{query}")).has(".gap")
    events = parse_page(browser.get("/events/"))
    assert items(events)[-2:] == [gap, f"gap {STREAM} 0-1"]
    assert [words.partition(":")[0] for words in events.texts(".gap-words")] == ["Gap", "Gap"]


def test_whether_missing_entries_were_of_a_session_or_a_user_nobody_knows(
    browser: Client, retried: None, index: Index
) -> None:
    index()
    missing(Gap.Kind.REMOVED, "1700000000000-1", "1700000000500-0", 12)
    missing(Gap.Kind.PARKED, "1700000001500-0", "1700000001500-0", 1)
    one, several = parse_page(browser.get("/events/")).texts(".gap-words")
    for address, noun in (("/sessions/s1/", "session"), ("/users/u1/", "user"), ("/events/?q=session:s1", "session")):
        assert set(parse_page(browser.get(address)).texts(".gap-words")) == {
            f"{one} It may be an event of this {noun}.",
            f"{several} They may include events of this {noun}.",
        }


def test_a_gap_of_a_stream_in_which_a_session_has_nothing_is_told_as_that(
    browser: Client, retried: None, write: Write, index: Index
) -> None:
    write(entry("1700000001700-0", stream="other", type="message.added", session_id="s2"))
    index()
    index(["other"])
    missing(Gap.Kind.REMOVED, "0-1", "1700000001600-0", 40, "other")
    told = "They may include events of this session. This session has no known event in other."
    [words] = parse_page(browser.get("/sessions/s1/")).texts(".gap-words")
    assert words.endswith(told)
    assert told in b"".join(browser.get("/sessions/s1/transcript.md").streaming_content).decode()
    compared = parse_page(browser.get("/compare/?a=s1&b=s2")).notices
    assert ("warning", "A: 1 gap in other may include its events. A has no known event there.") in compared
    write(entry("1700000001800-0", stream="other", type="message.added", session_id="s1"))
    [words] = parse_page(browser.get("/sessions/s1/")).texts(".gap-words")
    assert words.endswith("They may include events of this session.")


def test_an_audit_with_gaps_is_not_called_complete(browser: Client, retried: None, index: Index) -> None:
    index()
    [complete] = parse_page(browser.get("/users/u1/")).texts(".completeness:not(.is-incomplete)")
    assert complete.startswith("Complete: 2 events in 1 session.")
    missing(Gap.Kind.REMOVED, "1700000000000-1", "1700000000500-0", None)
    page = parse_page(browser.get("/users/u1/"))
    [incomplete] = page.texts(".completeness.is-incomplete")
    assert "2 events in 1 session. 1 gap (unknown number of entries) " in incomplete
    assert len(page.all(".gap")) == 1


def test_gaps_of_other_groups_are_not_the_logs(
    browser: Client, retried: None, index: Index, valkey: redis.Redis
) -> None:
    index()
    position = lock_positions("evdash-analytics", [STREAM])[STREAM]
    record_gap(position, Gap.Kind.REMOVED, EntryId(1, 1), EntryId(2, 1), 5)
    assert not parse_page(browser.get("/events/")).has(".gap")


def test_every_page_that_a_gap_reaches_into_says_so(browser: Client, retried: None, index: Index) -> None:
    index()
    missing(Gap.Kind.REMOVED, "1700000000000-1", "1700000001500-0", 12)
    for after, through, is_told in [
        ("1700000001200-0", "1700000003000-0", True),  # it ends here
        ("1700000000100-0", "1700000000900-0", True),  # it goes through
        ("0-0", "1700000000900-0", True),  # it begins here
        ("1700000001500-0", "1700000003000-0", False),
        ("0-0", "1700000000000-0", False),
    ]:
        found = gaps_between(
            EntryId.parse(after), EntryId.parse(through), EventFilter(), datetime.now(UTC), oldest_first=True
        )
        assert bool(found) == is_told, (after, through)


def test_gaps_of_other_streams_and_times_leave_room_for_those_of_the_filter(
    browser: Client, retried: None, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index()
    monkeypatch.setattr(gaps, "GAPS_MAX", 2)
    for n in range(5):
        missing(Gap.Kind.REMOVED, f"170000000{n}000-1", f"170000000{n}500-0", 1)
    since = EventFilter.from_query({"until": ["2023-11-14T22:13:22Z"]})
    for narrow in (EventFilter().also("stream", STREAM), since):
        found = gaps_between(EntryId.MIN, EntryId.MAX, narrow, datetime.now(UTC), oldest_first=False)
        assert len(found) == 2
    assert found[0].first_id == EntryId.parse("1700000001000-1")
    other = EventFilter().also("stream", "other")
    assert gaps_between(EntryId.MIN, EntryId.MAX, other, datetime.now(UTC), oldest_first=False) == ()


@pytest.mark.parametrize("limit", range(1, 8))
def test_no_gap_of_a_session_falls_between_two_pages(write: Write, index: Index, limit: int) -> None:
    write(*(message(f"{n}-0", f"e{n}") for n in range(10, 16)))
    index()
    for first, last in [("1-0", "9-0"), ("10-1", "10-1"), ("11-1", "11-9"), ("13-1", "14-9"), ("16-0", "17-0")]:
        missing(Gap.Kind.REMOVED, first, last, 3)
    # The one before: what the session began with is not known.
    within, inside = EventFilter().also("session", "s1"), {"1-0", "10-1", "11-1", "13-1"}
    with open_reader() as reader:
        pages = [reader.page(within, oldest_first=True, limit=limit)]
        while pages[-1].newer:
            pages.append(reader.page(within, after=pages[-1].newer, oldest_first=True, limit=limit))
        backward = [reader.page(within, limit=limit)]
        while backward[-1].older:
            backward.append(reader.page(within, before=backward[-1].older, limit=limit))
        around = [reader.around(within, EntryId(11, n), oldest_first=True, limit=20) for n in (0, 5)]
    for read in (pages, backward, around):
        assert {str(gap.first_id) for page in read for gap in page.gaps} == inside
        assert sum(str(gap.first_id) == "1-0" for page in read for gap in page.gaps) == (2 if read is around else 1)
    assert all(len(page.gaps) == len(set(page.gaps)) for page in around)
