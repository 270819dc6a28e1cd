"""Whatever part of the streams the log holds, a reading gives the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import redis
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.eventlog import event_query, stream_tail
from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.selections import ListPosition
from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.entry import MAX_HALF, Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import sessions_of_user
from evdash.events.inheritance import inherit_among
from evdash.events.summaries import sessions_of, users_of
from evdash.streams import shared_tail
from tests.builders import STREAM, raw_entry, tail_of
from tests.eventlog.conftest import GROUP, MakeReader, MakeWorker, write

STREAMS = (STREAM, "other")
PAGES_MAX = 200
FILTERS = [EventFilter.parse(text) for text in ("", "is:error", "session:s1", "-type:a", '"x"')]
INHERITING = [
    EventFilter.parse(text)
    for text in ("user:u1", "-user:u1", "user:u1 type:a", "user:*", "model:m1", "agent:m2 -model:m1", "tool:t1")
]
"""Filters that need all entries of a session."""

_values = st.sampled_from(["", "a", "b", "error.occurred", "session.started"])
_entries = st.lists(
    st.builds(
        lambda stream, ms, type_, session, user, own_id, model, call: raw_entry(
            ("type", type_), ("session_id", session), ("user_id", user), ("content", "x" if session else "y"),
            ("id", own_id), ("model", model), ("agent", model), *call,
            ("timestamp", str(1700000000 + ms % 50)), entry_id=f"{ms}-1", stream=stream,
        ),
        st.sampled_from(STREAMS),
        st.one_of(st.integers(0, 40), st.just(MAX_HALF)),
        _values,
        st.sampled_from(["", "s1", "s2", "s3"]),
        st.sampled_from(["", "u1", "u2"]),
        st.sampled_from(["", "", "e1", "e2"]),
        st.sampled_from(["", "", "", "m1", "m2"]),
        st.sampled_from([(), (), (("call_id", "c1"),), (("call_id", "c1"), ("tool", "t1"))]),
    ),
    max_size=25,
    unique_by=lambda entry: (entry.stream, entry.entry_id),
)  # fmt: skip


def all_pages(reader: Reader, event_filter: EventFilter, *, oldest_first: bool, limit: int) -> list[Position]:
    """Every position, page by page from the beginning, in the order shown."""
    positions: list[Position] = []
    page = reader.page(event_filter, oldest_first=oldest_first, limit=limit)
    for _ in range(PAGES_MAX):
        positions += [Position.of(event) for event in page.events]
        if oldest_first and page.newer:
            page = reader.page(event_filter, after=page.newer, oldest_first=True, limit=limit)
        elif not oldest_first and page.older:
            page = reader.page(event_filter, before=page.older, limit=limit)
        else:
            return positions
    raise AssertionError(f"The list does not end: {page.newer=} {page.older=}")


def expected_order(events: Sequence[Event]) -> list[Position]:
    """By entry ID, then by the log's number of the stream."""
    from evdash.eventlog.group_progress import all_stream_numbers

    numbers = all_stream_numbers(STREAMS)
    return sorted(map(Position.of, events), key=lambda place: (place.entry_id, numbers[place.stream]))


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    entries=_entries,
    batch_size=st.integers(1, 5),
    steps=st.integers(0, 8),
    unacknowledged=st.integers(0, 5),
    trimmed=st.floats(0, 1),
    limit=st.integers(1, 7),
    bound=st.sampled_from([3, 10_000]),
)
def test_pages_and_lists_are_the_same_however_far_the_log_is(
    valkey: redis.Redis,
    make_worker: MakeWorker,
    make_reader: MakeReader,
    entries: list[Entry],
    batch_size: int,
    steps: int,
    unacknowledged: int,
    trimmed: float,
    limit: int,
    bound: int,
) -> None:
    valkey.flushall()
    entries.sort(key=lambda entry: entry.entry_id)
    write(valkey, entries)
    events = inherit_among([decode(entry) for entry in entries])
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        worker = make_worker(streams=STREAMS, batch_size=batch_size)
        if steps:
            worker.connect()
            for _ in range(steps):
                worker.step()
            # A worker that died after its commit and before it acknowledged.
            worker.projection.apply(
                [decode(e) for e in worker.consumer.read_new(worker.streams, unacknowledged or 1, 0)]
            )
            for stream in STREAMS:
                mark = worker.consumer.watermark(stream) or EntryId.MIN
                valkey.execute_command("XTRIM", stream, "MINID", str(EntryId(int(min(mark.ms, 50) * trimmed), 0)))
        patch.setattr(event_query, "SCAN_ROWS", bound)
        patch.setattr(stream_tail, "STREAM_READ_MAX", bound)
        patch.setattr(stream_tail, "_FIRST_STEP", min(bound, 200))
        patch.setattr(shared_tail, "TAIL_ENTRIES", bound)
        patch.setattr(shared_tail, "_FIRST_STEP", min(bound, 200))
        reader = make_reader(STREAMS)
        for event_filter in (*FILTERS, *(INHERITING if bound > len(events) else ())):
            fitting = expected_order([event for event in events if event_filter.matches(event)])
            assert all_pages(reader, event_filter, oldest_first=True, limit=limit) == fitting, event_filter.text()
            assert all_pages(reader, event_filter, oldest_first=False, limit=limit) == fitting[::-1], (
                event_filter.text()
            )
        if bound > len(events):
            assert_lists_are_folds(reader, events, limit)
        transaction.set_rollback(True)


def assert_lists_are_folds(reader: Reader, events: Sequence[Event], limit: int) -> None:
    found = changes(events, {})
    counted = [change.event for change in found if change.counts]
    sessions, users = sessions_of(found), users_of(found)
    assert reader.page(EventFilter(), limit=50).duplicates == {Position.of(c.event) for c in found if c.is_duplicate}
    taken_part = Counter(user for user, _ in {(e.user_id, e.session_id) for e in events if e.session_id})
    listed = []
    page = reader.sessions(position=ListPosition(limit=limit))
    while True:
        listed += page.sessions
        if page.older is None:
            break
        page = reader.sessions(position=ListPosition(before=page.older, limit=limit))
    assert {summary.session_id: summary for summary in listed} == sessions
    assert len(listed) == len(sessions)
    assert [summary.last_id for summary in listed] == sorted((s.last_id for s in listed), reverse=True)
    assert {summary.user_id for summary in reader.users().users} == set(users)
    for user_id, summary in users.items():
        known = reader.user(user_id)
        assert known is not None
        assert (known.events, known.errors, known.first_id) == (summary.events, summary.errors, summary.first_id)
        assert known.sessions == taken_part[user_id]
        own = {event.session_id for event in events if event.user_id == user_id and event.session_id}
        assert {session.session_id for session in reader.sessions(sessions_of_user(user_id)).sessions} == own
        days = reader.user_days(user_id, summary.first_at.date(), summary.last_at.date())
        assert sum(day.events for day in days.values()) == summary.events
    overview = reader.overview()
    found_numbers = (overview.events.value, overview.sessions.value, overview.users.value)
    assert found_numbers == (len(counted), len(sessions), len(users))
    assert sum(bucket.events for bucket in overview.histogram.buckets) + overview.histogram.outside == len(counted)
    for event_filter in FILTERS:
        summary = reader.summary(event_filter)
        assert summary.events.value == sum(map(event_filter.matches, counted))
        assert summary.duplicates.value == sum(c.is_duplicate and event_filter.matches(c.event) for c in found)


@pytest.mark.django_db
def test_an_unreachable_redis_leaves_the_log_and_a_sentence(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    write(valkey, [raw_entry(("type", "a"), entry_id="1-1"), raw_entry(("type", "a"), entry_id="2-1")])
    worker = make_worker(batch_size=1)
    worker.connect()
    worker.step()
    from evdash.streams.client import open_client

    reader = LogReader(tail_of(open_client("redis://127.0.0.1:1")), GROUP)
    page = reader.page(EventFilter())
    assert [str(event.entry_id) for event in page.events] == ["1-1"]
    assert "127.0.0.1:1 is unreachable" in reader.coverage.unreachable
    assert str(reader.overview().events) == "1+"


@pytest.mark.django_db
def test_a_log_of_another_stream_hides_nothing_of_this_one(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    """The server was emptied and older entries were written to it: their IDs lie below the log's watermark."""
    write(valkey, [raw_entry(("type", "new"), entry_id="100-1")])
    worker = make_worker()
    worker.connect()
    worker.step()
    valkey.flushall()
    write(valkey, [raw_entry(("type", "old"), entry_id="5-1")])
    assert [event.type for event in make_reader().page(EventFilter()).events] == ["new", "old"]


@pytest.mark.django_db
def test_a_page_of_a_filter_reads_only_its_rows(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    """The plan of every indexed filter is a walk of one index, without a sort."""
    write(valkey, [raw_entry(("type", "a"), ("session_id", f"s{i}"), entry_id=f"{i}-1") for i in range(1, 50)])
    worker = make_worker()
    worker.connect()
    worker.step()
    from datetime import UTC, datetime

    for text, index in {
        "session:s1": "events_of_session",
        "user:u": "events_of_user",
        "type:a": "events_of_type",
        "is:error": "error_events",
        "session:s1 type:a": "events_of_session",
    }.items():
        rows = event_query.log_query(EventFilter.parse(text), datetime.now(UTC)).matching.order_by(
            "-entry_id", "-stream_id"
        )
        plan = rows[:10].explain()
        assert index in plan, (text, plan)
        assert "TEMP B-TREE" not in plan, (text, plan)
