"""Breakdowns of the log joined with the streams, compared with a plain fold of all events."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
import redis

from evdash.eventlog import breakdowns
from evdash.eventlog.breakdowns import breakdown_of
from evdash.events.breakdown import breakdown_query
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange, changes
from evdash.events.filters.event_filter import EventFilter
from evdash.events.inheritance import inherit_among
from tests.builders import entry
from tests.eventlog.conftest import MakeReader, MakeWorker, write

pytestmark = pytest.mark.django_db

TOOLS, REGIONS = ("book", "search", "Café", ""), ("EU", "us", "")
WRITTEN = [
    entry("1-0", type="session.started", session_id="s", user_id="u", model="m-1", agent="a", agent_version="2"),
    *(
        entry(
            f"{1000 + number}-0",
            type=("tool.called", "tool.returned", "error.occurred", "message.added")[number % 4],
            id=f"e{number}",
            session_id="s" if number % 3 else "t",
            tool=tool,
            error_code="timeout" if number % 8 == 2 else "",
            latency_ms=str(number) if number % 2 else "",
            data=f'{{"region": "{region}", "order": {{"id": {number % 2}}}}}',
        )
        for number, (tool, region) in enumerate(itertools.product(TOOLS * 2, REGIONS))
    ),
]
WRITTEN += [entry("3000-0", **{name.decode(): value for name, value in WRITTEN[5].pairs})]  # a duplicate
FILTERS = ("", "is:error", "tool:book", "code:timeout", "is:error model:m-1", "-type:message.added", "field.region:eu")
KEYS = (
    "type",
    "tool",
    "model",
    "agent_version",
    "session",
    "code",
    "stream",
    "group",
    "field.region",
    "field.order.id",
)


@pytest.mark.parametrize("batches", [0, 1, 3, 9])
def test_a_breakdown_is_that_of_a_plain_fold_wherever_the_log_ends(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader, batches: int
) -> None:
    write(valkey, WRITTEN)
    if batches:
        worker = make_worker(batch_size=5)
        worker.connect()
        for _ in range(batches):
            worker.step()
    reader = make_reader()
    events = inherit_among([decode(each) for each in WRITTEN])
    newest_first = [CountChange(change.event, counts=change.counts) for change in changes(events, {})][::-1]
    for text, key in itertools.product(FILTERS, KEYS):
        event_filter = EventFilter.parse(text)
        query = breakdown_query(key, event_filter, lambda each: each)
        expected = breakdown_of(newest_first, query, datetime.now(UTC))
        assert reader.breakdown(query) == expected, (text, key)
        assert expected.events


def test_a_number_leads_to_as_many_events(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader
) -> None:
    write(valkey, WRITTEN)
    worker = make_worker()
    worker.connect()
    worker.step()
    reader = make_reader()
    for key in KEYS:
        for row in reader.breakdown(breakdown_query(key, EventFilter(), lambda each: each)).rows:
            narrowed = EventFilter().also(key, row.value)
            assert reader.summary(narrowed).events.value == row.events, (key, row.value)
            assert reader.summary(narrowed.errors()).events.value == row.errors, (key, row.value)


def test_beyond_the_limit_only_the_newest_events_are_counted(
    valkey: redis.Redis,
    make_worker: MakeWorker,
    make_reader: MakeReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breakdowns, "EVENTS_MAX", 10)
    write(valkey, WRITTEN)
    worker = make_worker()
    worker.connect()
    worker.step()
    found = make_reader().breakdown(breakdown_query("type", EventFilter(), lambda each: each))
    assert (found.events, found.is_complete) == (10, False)
