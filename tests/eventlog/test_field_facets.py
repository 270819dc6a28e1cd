"""Facets of filter keys that name an entry field without a column."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evdash.eventlog.filter_summary import FIELD_VALUE_CHARS, summary_of
from evdash.eventlog.records import FacetValue
from evdash.events.decoding import decode
from evdash.events.deduplication import changes
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, FilterKey
from tests.builders import entry
from tests.eventlog.conftest import MakeReader, MakeWorker, write
from tests.events.filters.test_event_filter import declared

GUARDRAIL = FilterKey("guardrail", field="guardrail", example="pii", phrase="with guardrail", facet="Guardrail")
WRITTEN = [
    entry("1000-0", guardrail="PII", type="a"),
    entry("2000-0", guardrail="pii", type="a"),
    entry("3000-0", type="a", note="guardrail"),
    entry("4000-0", data='{"guardrail": "Jailbreak"}', type="b"),
    entry("5000-0", guardrail="", type="b"),
    entry("6000-0", guardrail="x" * (FIELD_VALUE_CHARS + 1), type="b"),
    entry("7000-0", guardrails="no", type="b"),
]
FOUND = (FacetValue("pii", 2), FacetValue("jailbreak", 1))


@pytest.fixture
def _guardrail() -> Iterator[None]:
    with declared(GUARDRAIL):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("_guardrail")
@pytest.mark.parametrize("batches", [0, 1, 2, 4])
def test_a_facet_counts_values_wherever_the_log_ends(
    valkey: redis.Redis, make_worker: MakeWorker, make_reader: MakeReader, batches: int
) -> None:
    write(valkey, WRITTEN)
    if batches:
        worker = make_worker(batch_size=2)
        worker.connect()
        for _ in range(batches):
            worker.step()
    reader = make_reader()
    summary = reader.summary(EventFilter())
    assert summary.facets["guardrail"] == FOUND
    assert summary.facets["type"] == (FacetValue("b", 4), FacetValue("a", 3))
    for found in FOUND:  # a facet's value finds as many events as the facet counts
        event_filter = EventFilter.parse(f"guardrail:{found.value}")
        assert (reader.summary(event_filter).events.value, len(reader.page(event_filter).events)) == (
            found.count,
            found.count,
        )


@pytest.mark.usefixtures("_guardrail")
def test_a_facet_of_replayed_copies_counts_the_same() -> None:
    newest_first = [decode(each) for each in reversed(WRITTEN)]
    assert summary_of(changes(newest_first, {}), EventFilter(), datetime.now(UTC)).facets["guardrail"] == FOUND


@pytest.mark.django_db
@pytest.mark.parametrize("is_declared", [False, True])
def test_search_texts_are_read_only_for_such_a_key(
    valkey: redis.Redis,
    make_worker: MakeWorker,
    make_reader: MakeReader,
    is_declared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(valkey, WRITTEN)
    worker = make_worker()
    worker.connect()
    worker.step()
    for key in [key.name for key in BY_NAME.values() if key.field]:
        monkeypatch.delitem(BY_NAME, key)
    with declared(*[GUARDRAIL] * is_declared), CaptureQueriesContext(connection) as queries:
        make_reader().summary(EventFilter())
    assert any("search_text" in query["sql"] for query in queries.captured_queries) is is_declared
