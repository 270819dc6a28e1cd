"""A call has one latency."""

from __future__ import annotations

import pytest

from evdash.events.call_latencies import changed_latencies, with_parts
from evdash.events.deduplication import CountChange
from evdash.events.event import Event
from evdash.events.latency_sketch import latency_ms_of
from tests.builders import event


def call(entry_id: str = "1-0", **fields: str) -> Event:
    return event(entry_id, **({"type": "tool.called", "session_id": "s", "call_id": "c", "tool": "search"} | fields))


def back(entry_id: str = "2-0", **fields: str) -> Event:
    return event(entry_id, **({"type": "tool.returned", "session_id": "s", "call_id": "c"} | fields))


INSIDE = '[{"type": "tool_use", "id": "c", "name": "search", "input": {}}]'


def found(*events: Event) -> list[tuple[str, int]]:
    """Each latency with its operation, rounded to 100 ms: buckets are not exact."""
    latencies = changed_latencies(with_parts(map(CountChange, events)), {})
    return sorted(
        (latency.operation, round(latency_ms_of(latency.bucket) / 100) * 100)
        for latency, count in latencies.items()
        for _ in range(count)
    )


@pytest.mark.parametrize(
    ("events", "latencies"),
    [
        ((call(latency_ms="400"), back(latency_ms="900")), [("search", 900)]),
        ((call(latency_ms="400"), back()), [("search", 400)]),
        ((call(timestamp="1700000000.000"), back(timestamp="1700000000.500")), [("search", 500)]),
        ((call(latency_ms="400"),), [("search", 400)]),
        ((back(latency_ms="900"),), [("tool.returned", 900)]),
        ((call(), back(type="error.occurred", latency_ms="900")), [("search", 900)]),
        ((call(session_id="t", latency_ms="400"), back(latency_ms="900")), [("search", 400), ("tool.returned", 900)]),
        # Two calls at once have one ID: the first one ends first.
        ((call("1-0"), call("1-5", tool="book"), back("2-0", latency_ms="900")), [("search", 900)]),
        # A return before the first call of its ID ends that call.
        ((back("0-5", latency_ms="900"), call("1-0")), [("search", 900)]),
        ((call(latency_ms="400", result="x"), back()), [("search", 400)]),
        # Without an ID, each event has its own.
        ((call(call_id="", latency_ms="400"), back(call_id="")), [("search", 400)]),
        ((event("1-0", type="message.added", latency_ms="100"),), [("message.added", 100)]),
        # The latency of a message is not that of the call inside it, but that of the message.
        ((call(type="message.added", tool="", content=INSIDE, latency_ms="900"), back(latency_ms="300")),
         [("message.added", 900), ("search", 300)]),
        # A message and an event of its own state one call.
        ((call("0-5", type="message.added", content=INSIDE), call("1-0"), back(latency_ms="300")), [("search", 300)]),
    ],
)  # fmt: skip
def test_a_call_has_the_latency_of_its_return(events: tuple[Event, ...], latencies: list[tuple[str, int]]) -> None:
    assert found(*events) == latencies
    assert found(*reversed(events)) == latencies


def test_a_later_return_replaces_the_latency_of_its_call() -> None:
    first = with_parts([CountChange(call(latency_ms="400"))])
    (counted,) = changed_latencies(first, {})
    ((key, part),) = first[0][1]
    changed = changed_latencies(with_parts([CountChange(back(latency_ms="900"))]), {key: [part]})
    assert changed[counted] == -1
    assert sum(changed.values()) == 0


def test_a_duplicate_changes_nothing() -> None:
    assert not changed_latencies(with_parts([CountChange(call(latency_ms="400"), counts=0)]), {})
