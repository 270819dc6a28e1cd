"""A sandbox is read like the streams: its reader answers as that of log and streams would."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest
import redis
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.eventlog.error_groups import GroupOrder, GroupSort
from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.selections import ListPosition, Order
from evdash.events.breakdown import breakdown_query
from evdash.events.entry import Entry, EntryId
from evdash.events.error_rates import RATE_KEYS
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, USERS, Selection, SummaryFilter
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.worker import Worker
from evdash.replay import sandbox_contents
from evdash.replay.sandbox_contents import Contents, SandboxCache
from evdash.replay.sandbox_reader import SandboxReader
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.sandbox import Sandbox
from evdash.streams.stream_info import stream_info
from tests.builders import raw_entry, tail_of
from tests.eventlog.conftest import GROUP, write

STREAM = "sandbox:x"
NOW = datetime(2023, 11, 14, 22, 14, tzinfo=UTC)
FILTERS = [
    EventFilter.parse(text)
    for text in (
        "",
        "is:error",
        "session:s1",
        "session:s1 session:s2*",
        "-session:s1",
        "type:a user:u1",
        '"x"',
        "user:*",
        "-user:u1",
        "model:m1",
        "-agent:m2 tool:t1",
        "session:s1 since:2023-11-14T22:13:30Z",
    )
]

_entries = st.lists(
    st.builds(
        lambda ms, type_, session, user, own_id, latency, model, call: raw_entry(
            ("type", type_), ("session_id", session), ("user_id", user), ("content", "x" if session else "y"),
            ("id", own_id), ("timestamp", str(1700000000 + ms % 50)), ("latency_ms", latency),
            ("error", "e 1" if type_ != "session.started" else ""), ("model", model), ("agent", model), *call,
            entry_id=f"{ms}-1", stream=STREAM,
        ),
        st.integers(0, 40),
        st.sampled_from(["a", "b", "error.occurred", "session.started", "session.ended"]),
        st.sampled_from(["", "s1", "s2", "s3"]),
        st.sampled_from(["", "u1", "u2"]),
        st.sampled_from(["", "", "e1"]),
        st.sampled_from(["", "5", "900"]),
        st.sampled_from(["", "", "m1", "m2"]),
        st.sampled_from([(), (), (("call_id", "c1"),), (("call_id", "c1"), ("tool", "t1"))]),
    ),
    max_size=25,
    unique_by=lambda entry: entry.entry_id,
)  # fmt: skip


def sandbox_now(client: redis.Redis) -> Sandbox:
    return Sandbox(STREAM, stream_info(client, STREAM), None, ())


def sandbox_reader(client: redis.Redis) -> SandboxReader:
    sandbox = sandbox_now(client)
    return SandboxReader(sandbox, SandboxCache(client).contents(sandbox), NOW)


def pages(reader: Reader, event_filter: EventFilter, limit: int) -> list[object]:
    """What every page says, forth from the oldest and back from the newest."""
    found: list[object] = []
    for oldest_first in (True, False):
        page = reader.page(event_filter, oldest_first=oldest_first, limit=limit)
        while True:
            found.append(replace(page, cursor={}))
            onward = page.newer if oldest_first else page.older
            if onward is None:
                break
            place = {"after": onward} if oldest_first else {"before": onward}
            page = reader.page(event_filter, **place, oldest_first=oldest_first, limit=limit)
    return found


def last_step(reader: Reader, session_id: str, through: EntryId | None) -> tuple[object, ...]:
    """Whether its beginning is there is another question of copies than of a log without gaps."""
    [*_, step] = reader.session_steps(session_id, through)
    return step.event, step.before._replace(missing_before=0), step.after._replace(missing_before=0)


def answers(reader: Reader, limit: int) -> dict[str, object]:
    """Everything that pages ask."""
    everything: dict[str, object] = {"overview": reader.overview()}
    minute = datetime(2023, 11, 14, 22, 14, tzinfo=UTC)
    for ranged in ({"since": minute}, {"until": minute}, {"since": minute, "until": minute + timedelta(minutes=1)}):
        overview = reader.overview(**ranged)
        own = EventFilter().between(ranged.get("since"), ranged.get("until"))
        sessions = reader.sessions(Selection(SummaryFilter(SESSIONS, own)))
        users = reader.users(Selection(SummaryFilter(USERS, own)))
        assert overview.sessions.value == len(sessions.sessions)
        assert overview.users.value == len(users.users)
        everything[str(ranged)] = overview, sessions, users
    everything["groups"] = [
        reader.error_groups(event_filter, GroupSort(order, is_reversed=is_reversed))
        for event_filter in FILTERS[:2]
        for order in get_args(GroupOrder)
        for is_reversed in (False, True)
    ]
    everything["groups of filters"] = [reader.error_groups(event_filter) for event_filter in FILTERS]
    selections = [
        Selection(SummaryFilter.parse(kind, text), excluded=tuple(SummaryFilter.parse(kind, each) for each in excluded))
        for kind in (SESSIONS, USERS)
        for text, *excluded in (["user:u1"], ["-tool:*", "errors:>0"], ["events:>1 type:tool.called"], ["", "is:error"])
    ]
    orders = [Order(column, descending=descending) for column in ("last", "events") for descending in (True, False)]
    everything["selections"] = [
        (
            (reader.session_list if each.kind is SESSIONS else reader.user_list)(each)[1],
            [
                (reader.sessions if each.kind is SESSIONS else reader.users)(each, ListPosition(order, limit=limit))
                for order in orders
            ],
        )
        for each in selections
    ]
    everything["activity"] = reader.session_activity(reader.sessions().sessions)
    everything["sets"] = [
        reader.session_sets(selections[1], selections[2], until_error=until_error) for until_error in (True, False)
    ]
    everything["breakdowns"] = [
        reader.breakdown(breakdown_query(key, event_filter, lambda each: each))
        for event_filter in FILTERS
        for key in ("type", "tool", "field.data.n")
    ]
    everything["error counts"] = [reader.error_counts(each, EventFilter().errors(), RATE_KEYS) for each in FILTERS]
    since, until = datetime(2023, 11, 14, 22, 13, tzinfo=UTC), datetime(2023, 11, 14, 22, 13, 30, tzinfo=UTC)
    everything["trends"] = [reader.error_trends(each, since, until) for each in FILTERS]
    everything["latencies"] = [reader.latencies(), reader.latencies(since, until)]
    everything["lists"] = [pages(reader, event_filter, limit) for event_filter in FILTERS]
    everything["summaries"] = [reader.summary(event_filter) for event_filter in FILTERS]
    around = [reader.around(FILTERS[2], EntryId(ms, 1), oldest_first=True, limit=4) for ms in (0, 7, 50)]
    everything["around"] = [replace(page, cursor={}) for page in around]
    places = [Position(EntryId(ms, seq), name) for ms in (3, 4) for seq in (0, 1, 2) for name in ("", STREAM)]
    beside = [reader.page(FILTERS[0], **{side: place}, limit=limit) for place in places for side in ("before", "after")]
    everything["places"] = [replace(page, cursor={}) for page in beside]
    events = reader.page(EventFilter(), limit=50).events
    everything["one by one"] = [
        (reader.event(STREAM, event.entry_id), reader.neighbours(event), reader.original_of_duplicate(event))
        for event in events
    ]
    everything["none"] = [reader.event(STREAM, EntryId(99, 9)), reader.session("none"), reader.user("none")]
    everything["before"] = reader.events_before(events)
    everything["cursor"] = reader.page(EventFilter(), limit=50).cursor
    everything["positions"] = reader.events_by_position(
        [Position.of(event) for event in events] + [Position(EntryId(9, 9), STREAM)]
    )
    sessions = reader.sessions(position=ListPosition(limit=limit))
    everything["sessions"] = sessions
    if sessions.older:
        everything["older"] = reader.sessions(position=ListPosition(before=sessions.older, limit=limit))
    users = reader.users(position=ListPosition(limit=limit))
    everything["users"] = users
    everything["user"] = [(reader.user(user.user_id)) for user in users.users]
    everything["days"] = [reader.user_days(user.user_id, date(2023, 1, 1), date(2024, 1, 1)) for user in users.users]
    for summary in reader.sessions().sessions:
        everything[f"session {summary.session_id}"] = (
            reader.session(summary.session_id),
            reader.session_outline(summary),
            last_step(reader, summary.session_id, None),
            last_step(reader, summary.session_id, summary.first_id),
        )
    return everything


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(entries=_entries, limit=st.integers(1, 7), logged=st.integers(0, 25), grouped=st.integers(0, 25))
def test_both_readers_answer_alike(
    valkey: redis.Redis, entries: list[Entry], limit: int, logged: int, grouped: int
) -> None:
    """However far the workers are."""
    valkey.flushall()
    write(valkey, sorted(entries, key=lambda entry: entry.entry_id))
    with transaction.atomic():
        for projection, count in ((AuditProjection(GROUP), logged), (DebugProjection("evdash-debug"), grouped)):
            if count:
                consumer = GroupConsumer(valkey, projection.group, "c")
                worker = Worker(consumer, projection, [STREAM], batch_size=count)
                worker.connect()
                worker.step()
        of_streams = answers(LogReader(tail_of(valkey, STREAM), GROUP, NOW), limit)
        transaction.set_rollback(True)
    of_sandbox = answers(sandbox_reader(valkey), limit)
    assert of_sandbox.keys() == of_streams.keys()
    for name, answer in of_streams.items():
        assert of_sandbox[name] == answer, name


def test_what_is_added_is_read_and_what_was_read_is_kept(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[EntryId | None] = []
    reading = sandbox_contents.read_forward

    def counted(client: redis.Redis, stream: str, *, after: EntryId | None, count: int) -> list[Entry]:
        read.append(after)
        return reading(client, stream, after=after, count=count)

    monkeypatch.setattr(sandbox_contents, "read_forward", counted)
    shelf = SandboxCache(valkey)
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{n}-0", stream=STREAM) for n in range(1, 4)])
    first = shelf.contents(sandbox_now(valkey))
    assert shelf.contents(sandbox_now(valkey)) is first
    assert read == [None]
    write(valkey, [raw_entry(("type", "b"), entry_id="9-0", stream=STREAM)])
    second = shelf.contents(sandbox_now(valkey))
    assert [event.type for event in second.events] == ["a", "a", "a", "b"]
    assert read == [None, EntryId(3, 0)]


def test_what_was_taken_away_is_not_shown(valkey: redis.Redis) -> None:
    shelf = SandboxCache(valkey)
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{n}-0", stream=STREAM) for n in range(1, 4)])
    assert len(shelf.contents(sandbox_now(valkey)).events) == 3
    valkey.execute_command("XDEL", STREAM, "2-0")
    write(valkey, [raw_entry(("type", "b"), entry_id=f"{n}-0", stream=STREAM) for n in (8, 9)])
    assert [event.entry_id.ms for event in shelf.contents(sandbox_now(valkey)).events] == [1, 3, 8, 9]
    valkey.execute_command("DEL", STREAM)
    assert shelf.contents(sandbox_now(valkey)).events == ()
    write(valkey, [raw_entry(("type", "c"), entry_id=f"{n}-0", stream=STREAM) for n in (1, 9)])
    assert [event.type for event in shelf.contents(sandbox_now(valkey)).events] == ["c", "c"]


def test_no_more_is_read_than_memory_has_room_for_and_that_is_said(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_contents, "ENTRIES_MAX", 4)
    monkeypatch.setattr(sandbox_contents, "_STEP", 2)
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{n}-0", stream=STREAM) for n in range(1, 8)])
    reader = sandbox_reader(valkey)
    assert [event.entry_id.ms for event in reader.page(EventFilter(), oldest_first=True).events] == [1, 2, 3, 4]
    assert not reader.has_read_all
    assert "Showing the first 4 of 7 entries." in reader.coverage.notes[0]


def test_a_sandbox_of_just_as_many_entries_as_are_read_is_whole(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_contents, "ENTRIES_MAX", 4)
    monkeypatch.setattr(sandbox_contents, "_STEP", 2)
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{n}-0", stream=STREAM) for n in range(1, 5)])
    reader = sandbox_reader(valkey)
    assert reader.has_read_all
    assert not reader.coverage.notes


def test_a_shelf_keeps_as_many_sandboxes_as_fit(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_contents, "BYTES_MAX", 30)
    shelf = SandboxCache(valkey)
    names = [f"sandbox:{n}" for n in range(3)]
    write(valkey, [raw_entry(("type", "aaaaa"), entry_id="1-0", stream=name) for name in names])
    kept = {name: shelf.contents(Sandbox(name, stream_info(valkey, name), None, ())) for name in names}
    again = {name: shelf.contents(Sandbox(name, stream_info(valkey, name), None, ())) for name in reversed(names)}
    assert [kept[name] is again[name] for name in names] == [True, True, True]
    write(valkey, [raw_entry(("type", "a" * 30), entry_id="1-0", stream="sandbox:large")])
    shelf.contents(Sandbox("sandbox:large", stream_info(valkey, "sandbox:large"), None, ()))
    assert shelf.contents(Sandbox(names[0], stream_info(valkey, names[0]), None, ())) is not kept[names[0]]


def test_states_are_those_of_the_whole_session_wherever_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    from evdash.events.decoding import decode
    from evdash.events.session.reducer import fold_all

    monkeypatch.setattr(sandbox_contents, "_STATE_EVERY", 3)
    events = [
        decode(raw_entry(("type", type_), ("session_id", "s"), ("content", str(n)), entry_id=f"{n}-0"))
        for n, type_ in enumerate(["session.started", *["message.added"] * 18], start=1)
    ]
    held = Contents(events, 0, is_all=True)
    for number in (19, 3, 4, 12, 19, 1):
        steps = list(held.steps("s", EntryId(number, 0), 5))
        assert steps[-1].after == fold_all(events[:number])
        assert len(steps) >= min(number, 5)
    assert list(held.steps("s", EntryId(0, 0), 5)) == []
    assert list(held.steps("other", EntryId.MAX, 5)) == []
    [*_, without_start] = Contents(events[1:], 0, is_all=True).steps("s", EntryId.MAX, 1)
    assert without_start.after.incompleteness.startswith("Possibly incomplete: earlier events may be missing")
