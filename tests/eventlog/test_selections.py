"""Selections of sessions and users, of the log joined with the streams, compared with a plain fold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
import redis

from evdash.eventlog.reader import Reader
from evdash.eventlog.selections import ListPosition, Order, range_of, sort_columns
from evdash.eventlog.time_buckets import within
from evdash.events import session_activity
from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.entry import Entry, EntryId
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME
from evdash.events.filters.summary_filter import SESSIONS, USERS, Selection, SummaryFilter, SummaryKind
from evdash.events.inheritance import inherit_among
from evdash.events.session_activity import PARTS
from evdash.events.session_sets import KEYS
from evdash.events.summaries import call_statements, final_summaries, sessions_of, users_of
from tests.builders import STREAM, entry, raw_entry
from tests.eventlog.conftest import MakeReader, MakeWorker, write

pytestmark = pytest.mark.django_db

STREAMS = (STREAM, "other")
FIRST_MS = 1_795_000_000_000
TOOLS = ("search", "book", "cancel")


def entries() -> list[Entry]:
    """Sixteen sessions of five users: calls, some stated by a message as well, errors, retried entries, outcomes."""
    chance = random.Random(11)
    written = []
    place = 0

    def add(session: str, *pairs: tuple[str, str]) -> None:
        nonlocal place
        place += chance.choice([700, 900, 40_000])
        own = [*pairs, ("session_id", session), ("timestamp", str(FIRST_MS + place))]
        written.append(raw_entry(*own, entry_id=f"{FIRST_MS + place}-0", stream=STREAMS[place % 3 == 0]))

    for number in range(16):
        session = f"s{number:02}"
        started = [("type", "session.started"), ("user_id", f"u{number % 5}")]
        if number % 3:
            started += [("model", f"m{number % 2}"), ("agent", "planner" if number % 2 else "Ödön")]
        add(session, *started)
        for call in range(chance.randrange(6)):
            tool, call_id = chance.choice(TOOLS), f"c{call}"
            if call % 3 == 1:
                calls = f'[{{"id": "{call_id}", "type": "function", "function": {{"name": "{tool}"}}}}]'
                add(session, ("type", "message.added"), ("role", "assistant"), ("tool_calls", calls))
            called = (("type", "tool.called"), ("tool", tool), ("event_id", f"{session}-{call}"))
            add(session, *called, ("call_id", call_id))
            if chance.random() < 0.3:
                failed = ("code", chance.choice(["E1", "E2"]))
                add(session, ("type", "error.occurred"), ("error", "no seat"), ("call_id", call_id), failed)
            if chance.random() < 0.3:  # retried by its producer
                add(session, *called)
        add(
            session,
            ("type", "message.added"),
            ("content", chance.choice(["thanks", "STRASSE 5"])),
            ("tokens", str(place)),
        )
        if number % 4:
            outcome = [("outcome", chance.choice(["resolved", "unresolved"]))] if number % 5 else []
            add(session, ("type", "session.ended"), *outcome)
    chance.shuffle(written)
    return sorted(written, key=lambda each: each.entry_id)


ENTRIES = entries()
EVENTS = inherit_among([decode(entry) for entry in ENTRIES])
CHANGES = changes(EVENTS, {})
NOW = datetime(2026, 11, 19, tzinfo=UTC)
PAIRS = {(event.user_id, event.session_id) for event in EVENTS}
SUMMARIES: Mapping[str, Mapping[str, Any]] = {
    "session": final_summaries(dict(sessions_of(CHANGES)), lambda _: call_statements(CHANGES)),
    "user": {
        name: replace(summary, sessions=sum(user == name for user, _ in PAIRS))
        for name, summary in users_of(CHANGES).items()
    },
}

SESSION_FILTERS = (
    "", "outcome:unresolved", "outcome:resolved outcome:unresolved", "-outcome:*", "outcome:re*", "-outcome:resolved",
    "ended:no", "ended:yes -outcome:*", "errors:>0", "errors:0", "calls:>=2 calls:<4", "duration:>30.5", "tokens:>1e5",
    "messages:>2", "searches:0", "events:>=8 errors:0", "tool:book", "-tool:book", "tool:book is:error", "-is:error",
    "tool:book tool:cancel outcome:resolved", "user:u1", "user:u1 user:u2", "-user:u1", "user:u1 tool:search",
    "model:m1", "agent:Ö*", "-agent:*", "code:E1 -code:E2", '"strasse"', "session:s01 session:s02", "session:none",
    "stream:other",
    "since:2026-11-18T12:28:00Z", "until:2026-11-18T12:30:00Z tool:search", "since:2026-11-18T12:26:00Z errors:>0",
    "type:error.occurred calls:>1", "latency:>5",
)  # fmt: skip
USER_FILTERS = ("", "errors:>2", "sessions:>=3", "tokens:>0 errors:0", "tool:book", "-code:E1", "user:u1", "events:>20",
                "until:2026-11-18T12:30:00Z")  # fmt: skip


def selection(kind: SummaryKind, text: str, also: tuple[str, ...] = (), excluded: tuple[str, ...] = ()) -> Selection:
    parts = ([SummaryFilter.parse(kind, each) for each in texts] for texts in ((text,), also, excluded))
    first, further, left_out = parts
    return Selection(first[0], tuple(further), tuple(left_out))


def names_with(kind: SummaryKind, event_filter: EventFilter) -> set[str]:
    """The names of those with an event of the filter; a range alone counts in whole minutes."""
    if not event_filter.conditions:
        return {getattr(each.event, kind.attribute) for each in within(CHANGES, range_of(event_filter, NOW))}
    counted = [change.event for change in CHANGES if change.counts]
    return {getattr(event, kind.attribute) for event in counted if event_filter.matches(event)}


def wanted(chosen: Selection) -> set[str]:
    return chosen.select(SUMMARIES[chosen.kind.noun], lambda each: names_with(chosen.kind, each))


@pytest.fixture(params=[0, 1, 4, 99])
def reader(
    request: pytest.FixtureRequest, valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> Reader:
    """A reader whose log has nothing, a part, or everything."""
    write(valkey, ENTRIES)
    if request.param:
        worker = make_worker(streams=STREAMS, batch_size=17)
        worker.connect()
        for _ in range(request.param if request.param < 99 else 12):
            worker.step()
    return make_reader(STREAMS)


def listed(reader: Reader, chosen: Selection, position: ListPosition) -> tuple[Any, ...]:
    if chosen.kind is SESSIONS:
        return reader.sessions(chosen, position).sessions
    return reader.users(chosen, position).users


def test_lists_are_those_of_a_plain_fold(reader: Reader) -> None:
    for kind, filters in ((SESSIONS, SESSION_FILTERS), (USERS, USER_FILTERS)):
        for text in filters:
            chosen = selection(kind, text)
            position = ListPosition(limit=50)
            found = listed(reader, chosen, position)
            names = [getattr(each, kind.attribute) for each in found]
            assert len(names) == len(set(names))
            assert set(names) == wanted(chosen), text
            page: Any
            page, counts = (
                reader.session_list(chosen, position) if kind is SESSIONS else reader.user_list(chosen, position)
            )
            assert (page.sessions if kind is SESSIONS else page.users) == found
            assert (counts.total.value, counts.total.exact) == (len(names), True), text
    assert {wanted(selection(SESSIONS, text)) == set() for text in SESSION_FILTERS} == {True, False}


def test_further_and_excluded_filters(reader: Reader) -> None:
    cases = [
        (("tool:book", "is:error"), (), "outcome:resolved"),
        (("tool:book",), ("outcome:resolved", "errors:>0"), ""),
        ((), ("tool:book",), "until:2026-11-18T12:30:00Z"),
        ((), ("tool:book is:error",), "user:u1"),
        (("-tool:cancel",), ("ended:no",), "events:>3"),
    ]
    for also, excluded, text in cases:
        chosen = selection(SESSIONS, text, also, excluded)
        found = listed(reader, chosen, ListPosition(limit=50))
        assert {each.session_id for each in found} == wanted(chosen)
        assert 0 < len(found) < 16, (also, excluded, text)


def test_two_conditions_on_events_need_one_event_and_two_filters_do_not(reader: Reader) -> None:
    together = wanted(selection(SESSIONS, "type:tool.called is:error"))
    apart = wanted(selection(SESSIONS, "type:tool.called", ("is:error",)))
    assert together == set() != apart
    found = listed(reader, selection(SESSIONS, "type:tool.called", ("is:error",)), ListPosition(limit=50))
    assert {each.session_id for each in found} == apart


def test_every_column_sorts_the_pages_of_a_list(reader: Reader) -> None:
    for kind, text in ((SESSIONS, "events:>2"), (USERS, "")):
        chosen = selection(kind, text)
        summaries = {name: SUMMARIES[kind.noun][name] for name in wanted(chosen)}
        for name, column in sort_columns(kind).items():
            for descending in (True, False):
                order = Order(name, descending=descending)
                if order.is_by_last_entry:
                    continue
                ordered = sorted(sorted(summaries), key=lambda each: column.value(summaries[each]), reverse=descending)
                pages = [listed(reader, chosen, ListPosition(order, skip=skip, limit=3)) for skip in range(0, 18, 3)]
                assert [getattr(each, kind.attribute) for page in pages for each in page] == ordered, order
                assert [each for page in pages for each in page] == [summaries[each] for each in ordered]


def test_pages_by_last_entry_have_each_session_once(reader: Reader) -> None:
    chosen = selection(SESSIONS, "events:>2", ("message.added",))
    before: EntryId | None = None
    names: list[str] = []
    while True:
        page = reader.sessions(chosen, ListPosition(before=before, limit=2))
        names += [each.session_id for each in page.sessions]
        if page.older is None:
            break
        before = page.older
    assert sorted(names) == sorted(wanted(chosen))
    first = reader.sessions(chosen, ListPosition(before=reader.sessions(chosen, ListPosition(limit=2)).older, limit=2))
    assert first.newer is not None
    back = reader.sessions(chosen, ListPosition(after=first.newer, limit=2))
    assert [each.session_id for each in back.sessions] == names[:2]


def test_outcomes_and_facets_are_those_of_a_plain_fold(reader: Reader) -> None:
    for text in ("", "outcome:unresolved", "tool:book", "ended:no errors:>0"):
        chosen = selection(SESSIONS, text)
        _, counts = reader.session_list(chosen)
        ends = Counter(SUMMARIES["session"][name].end for name in wanted(chosen.of_any_outcome))
        assert dict(counts.outcomes.counts) == ends
        assert counts.outcomes.is_complete
        names = wanted(chosen)
        for key in KEYS:
            attribute = BY_NAME[key].attribute
            pairs = {
                (getattr(change.event, attribute), change.event.session_id)
                for change in CHANGES
                if change.counts and change.event.session_id in names and getattr(change.event, attribute)
            }
            fold = Counter(value for value, _ in pairs)
            assert {each.value: each.count for each in counts.facets[key]} == fold, (text, key)
    _, users = reader.user_list(selection(USERS, "errors:>0"))
    chosen_users = wanted(selection(USERS, "errors:>0"))
    tools = {(c.event.tool, c.event.user_id) for c in CHANGES if c.counts and c.event.user_id in chosen_users}
    fold = Counter(tool for tool, _ in tools if tool)
    assert {each.value: each.count for each in users.facets["tool"]} == fold


def test_activity_is_that_of_a_plain_fold(reader: Reader) -> None:
    sessions = reader.sessions(position=ListPosition(limit=50)).sessions
    found = reader.session_activity(sessions)
    assert set(found) == set(SUMMARIES["session"])
    for session in sessions:
        events = [c.event for c in CHANGES if c.counts and c.event.session_id == session.session_id]
        activity = found[session.session_id]
        tools = Counter(event.tool for event in events if event.tool)
        assert list(activity.tools) == sorted(tools.items(), key=lambda each: (-each[1], each[0]))
        assert (sum(activity.events), len(activity.events)) == (len(events), PARTS)
        assert activity.events[0]
        assert activity.events[-1] or len(events) == 1


def test_activity_is_read_up_to_a_limit_of_events(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = reader.sessions(position=ListPosition(limit=50)).sessions
    monkeypatch.setattr(session_activity, "EVENTS_MAX", sessions[0].events + sessions[1].events)
    assert list(reader.session_activity(sessions)) == [each.session_id for each in sessions[:2]]


@pytest.mark.parametrize("until_error", [False, True])
def test_two_sets_are_compared_as_by_a_plain_fold(reader: Reader, until_error: bool) -> None:
    a, b = selection(SESSIONS, "outcome:unresolved"), selection(SESSIONS, "", excluded=("outcome:unresolved",))
    found = reader.session_sets(a, b, until_error=until_error)
    names = [wanted(each) for each in (a, b)]
    assert found.sessions == (len(names[0]), len(names[1]))
    assert sum(found.sessions) == 16
    summaries = SUMMARIES["session"]
    measures = {each.name: (each.a, each.b) for each in found.measures}
    assert measures["Calls and searches"] == tuple(
        median(summaries[name].tool_calls + summaries[name].searches for name in each) for each in names
    )
    assert measures["Duration"] == tuple(median(summaries[name].duration_s for name in each) for each in names)
    counted = sorted((c.event for c in CHANGES if c.counts), key=lambda event: event.entry_id)
    own = {name: [event for event in counted if event.session_id == name] for name in summaries}
    if until_error:
        own = {name: own_events_until_error(events) for name, events in own.items()}
        assert found.until_error == tuple(sum(summaries[name].errors > 0 for name in each) for each in names)
    tables = {table.key: table for table in found.values}
    for tool in TOOLS:
        having = [sum(any(event.tool == tool for event in own[name]) for name in each) for each in names]
        rows = [row for row in tables["tool"].values if row.value == tool]
        if having[0] * len(names[1]) == having[1] * len(names[0]):
            assert rows == []
            continue
        [row] = rows
        assert [row.a, row.b] == having
        assert (row.share_a, row.share_b) == tuple(n / len(each) for n, each in zip(having, names, strict=True))
        assert 0 < row.chance <= 1
        assert [len(each) for each in row.sessions] == having
    steps = {
        name: {
            f"{first} → {second}"
            for first, second in pairwise(e.tool for e in events if e.tool and type_of(e.type).is_call)
        }
        for name, events in own.items()
    }
    for row in tables["step"].values:
        assert [row.a, row.b] == [sum(row.value in steps[name] for name in each) for each in names]


def own_events_until_error(events: list[Any]) -> list[Any]:
    errors = [place for place, event in enumerate(events) if event.is_error]
    return events[: errors[0]] if errors else events


def test_limits_are_stated(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(valkey, [entry(f"{n}-0", type="tool.called", tool="t", session_id=f"s{n}") for n in range(1, 9)])
    worker = make_worker()
    worker.connect()
    worker.step()
    monkeypatch.setattr("evdash.eventlog.selections.MATCHES_MAX", 3)
    page = make_reader().sessions(selection(SESSIONS, "tool:t"))
    assert ([each.session_id for each in page.sessions], page.is_complete) == (["s8", "s7", "s6", "s5"], False)
    assert not make_reader().session_list(selection(SESSIONS, "tool:t"))[1].total.exact
    monkeypatch.setattr("evdash.eventlog.selections._NAMES_MAX", 1)
    assert make_reader().sessions(selection(SESSIONS, "tool:t")) == page


def test_far_behind_the_newest_uncommitted_sessions_are_judged(
    valkey: redis.Redis, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.eventlog.selections.UNLOGGED_MAX", 3)
    write(valkey, ENTRIES)
    page = make_reader(STREAMS).sessions(selection(SESSIONS, "events:>0"))
    assert (len(page.sessions), page.is_complete) == (3, False)
