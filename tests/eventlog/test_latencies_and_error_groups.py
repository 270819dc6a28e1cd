"""Latencies and groups of errors are the same however far their workers are."""

from __future__ import annotations

import statistics
from typing import get_args

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from evdash.eventlog import error_groups
from evdash.eventlog.error_groups import GroupOrder, GroupSort
from evdash.eventlog.log_reader import LogReader
from evdash.events.entry import Entry
from evdash.events.error_fingerprints import masked
from evdash.events.filters.event_filter import EventFilter
from evdash.events.latency_sketch import RELATIVE_ERROR, bucket_of, latency_ms_of, percentile_ms
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, event, raw_entry, tail_of
from tests.eventlog.conftest import GROUP, write


def entry_of(number: int) -> Entry:
    """The eighth is the seventh, written again by a retry; every fifth is an error."""
    original_number = 7 if number == 8 else number
    fields = {
        "type": "error.occurred" if original_number % 5 == 0 else "tool.returned",
        "tool": "search" if original_number % 2 else "book",
        "id": f"e{original_number}",
        "session_id": f"s{original_number % 3}",
        "user_id": "u",
        "latency_ms": str(10 * original_number),
        "timestamp": "1700000000",
    }
    if original_number % 5 == 0:
        fields |= {"error": f"flight HAT{original_number} is full", "error_code": "full"}
    return raw_entry(*fields.items(), entry_id=f"{number}-1")


ENTRIES = [entry_of(number) for number in range(1, 21)]


def worker(valkey: redis.Redis, projection: Projection) -> Worker:
    return Worker(GroupConsumer(valkey, projection.group, "c"), projection, [STREAM], batch_size=3)


@pytest.mark.django_db
def test_latencies_and_error_groups_do_not_depend_on_how_far_the_workers_are(valkey: redis.Redis) -> None:
    write(valkey, ENTRIES)
    analytics = worker(valkey, AnalyticsProjection("evdash-analytics"))
    debug = worker(valkey, DebugProjection("evdash-debug"))
    kept = tail_of(valkey)
    results = []
    for _ in range(9):
        for tail in (kept, tail_of(valkey)):
            reader = LogReader(tail, GROUP)
            orders = [reader.error_groups(EventFilter(), GroupSort(order)).shown for order in get_args(GroupOrder)]
            results.append((reader.latencies(), *orders))
        for each in (analytics, debug):
            if len(results) == 2:
                each.connect()
            each.step()
    assert all(each == results[0] for each in results)
    found, groups, *_ = results[0]
    assert found.all is not None
    assert found.all.p50_ms == pytest.approx(100, rel=0.06)
    assert {each.operation for each in found.operations} == {"search", "book"}
    assert sorted((group.masked, group.tool, group.events) for group in groups) == [
        ("flight <name> is full", "book", 2),
        ("flight <name> is full", "search", 2),
    ]


@pytest.mark.django_db
def test_users_that_errors_inherit_are_counted_up_to_a_bound(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_groups, "UNNAMED_MAX", 3)
    starts = [event(f"{n}-1", type="session.started", session_id=f"s{n}", user_id=f"u{n}") for n in range(1, 7)]
    errors = [event(f"{n}-2", type="error.occurred", session_id=f"s{n}", code="a", user_id="") for n in range(1, 7)]
    errors += [event(f"{n}-3", type="error.occurred", session_id=f"s{n}", code="b") for n in range(1, 4)]
    named = event("9-1", type="error.occurred", session_id="s9", user_id="u1", code="b")
    AuditProjection(GROUP).apply([*starts, *errors, named])
    DebugProjection("evdash-debug").apply([*errors, named])
    shown = LogReader(tail_of(valkey), GROUP).error_groups(EventFilter()).shown
    found = {group.code: (group.users, group.has_more_users) for group in shown}
    assert found["b"] == (3, False)
    assert 3 <= found["a"][0] <= 6
    assert found["a"][1]


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=60))
def test_percentiles_are_within_the_error_that_is_promised(values: list[float]) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    found = percentile_ms(counts, 0.5)
    exact = statistics.median_low(values)
    assert found is not None
    assert abs(found - exact) <= RELATIVE_ERROR * exact * 1.001
    assert percentile_ms({}, 0.5) is None
    assert latency_ms_of(bucket_of(0)) == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("total price is 608, but paid 1,304", "total price is <number>, but paid <number>"),
        ("not enough seats on flight HAT290", "not enough seats on flight <name>"),
        ("user mia_li_3668 not found", "user <user> not found"),
        ("no such key 'a b' at 2024-05-15T15:00:00Z", "no such key <text> at <time>"),
        ("can't read 550e8400-e29b-41d4-a716-446655440000 of a@b.org", "can't read <uuid> of <email>"),
        ("-3.5% and 0xFF in step-2", "<number> and <number> in <name>"),
    ],
)  # fmt: skip
def test_numbers_and_names_are_masked(text: str, wanted: str) -> None:
    assert masked(text, "mia_li_3668", "") == wanted
