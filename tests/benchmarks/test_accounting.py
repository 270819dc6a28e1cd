"""The load test itself: its filters are those of evdash in other words, and what it must notice it notices."""

from __future__ import annotations

from array import array
from itertools import islice
from urllib.parse import parse_qs

import pytest

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.publisher import NewEvent
from tests.benchmarks.figures import spread
from tests.benchmarks.load import event, mixed_filters
from tests.benchmarks.many_sockets import problem_of
from tests.benchmarks.served import seconds_of
from tests.benchmarks.sockets import Received


def as_read(new: NewEvent, number: int) -> Event:
    pairs = ((name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in new.pairs())
    return decode(Entry("memory:events", EntryId(number, 0), tuple(pairs)))


def received(rows: list[int], skipped: int) -> Received:
    return Received(rows=array("L", rows), rows_ns=array("Q", rows), skipped=skipped)


def test_each_filter_lets_through_what_the_load_test_expects_of_it() -> None:
    new = [event(number) for number in range(1_000)]
    events = [as_read(each, number) for number, each in enumerate(new)]
    for wanted in islice(mixed_filters(), 120):
        matches = EventFilter.from_query(parse_qs(wanted.query)).predicate()
        let_through = [number for number, each in enumerate(events) if matches(each)]
        assert let_through == [number for number, each in enumerate(new) if wanted.matches(each)], wanted.query
        assert let_through, wanted.query


@pytest.mark.parametrize(
    ("rows", "skipped", "problem"),
    [
        ([2, 4], 1, ""),
        ([], 3, ""),
        ([2, 4, 6], 0, ""),
        ([2, 4], 0, "3 events match, 2 rows and 0 skipped ones came"),
        ([2, 4, 6], 1, "3 events match, 3 rows and 1 skipped ones came"),
        ([4, 2], 1, "rows came twice or not in order"),
        ([2, 2, 4], 0, "rows came twice or not in order"),
        ([2, 3], 1, "1 rows are not of its filter"),
    ],
)
def test_an_event_lost_or_twice_or_out_of_order_is_noticed(rows: list[int], skipped: int, problem: str) -> None:
    assert problem_of(received(rows, skipped), rows, expected=[2, 4, 6]) == problem


def test_the_spread_of_measurements_is_of_measured_values() -> None:
    assert str(spread([*range(100, 0, -1)])) == "p50 50 ms, p99 99 ms, max 100 ms"
    assert spread([]).measured == 0


@pytest.mark.parametrize(
    ("time", "seconds"), [("00:00:07", 7), ("01:02:03", 3_723), ("2-00:00:01", 172_801), ("1:02.25", 62.25)]
)
def test_cpu_time_is_read_as_ps_writes_it(time: str, seconds: float) -> None:
    assert seconds_of(time) == seconds
