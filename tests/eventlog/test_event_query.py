"""That a filter means the same in SQL and in Python."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.eventlog.event_query import log_query
from evdash.eventlog.models import LoggedEvent
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.inheritance import inherit_among
from evdash.ingest.projections.event_log import AuditProjection
from tests.builders import entry_ids, pairs
from tests.events.filters.test_event_filter import NAIVE, declared, filters

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

times = st.sampled_from([b"", b"1764000000", b"2026-11-23T11:59:59Z", b"2026-11-23T12:00:00Z", b"9999-12-31T23:59:59Z"])
numbers = st.lists(
    st.tuples(
        st.sampled_from([b"tokens", b"latency_ms", b"x", b"a.b"]),
        st.sampled_from([b"0", b"5", b"7.5", b"12", b"-1", b"1e3", b"0.30000000000000004", b"1764000000123456790"]),
    ),
    max_size=2,
    unique_by=lambda pair: pair[0],
)
entries = st.lists(
    st.builds(
        lambda stream, entry_id, pairs, time, numbers: Entry(
            stream, entry_id, (*pairs, (b"timestamp", time), *numbers)
        ),
        st.sampled_from(["memory:events", "other", "a"]),
        entry_ids,
        pairs,
        times,
        numbers,
    ),
    max_size=8,
    unique_by=lambda entry: (entry.stream, entry.entry_id),
)


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, filters, st.integers(1, 8))
def test_the_query_finds_what_the_predicate_lets_through(
    entries: list[Entry], event_filter: EventFilter, batch_size: int
) -> None:
    decoded = [decode(entry) for entry in entries]
    events = inherit_among(decoded)
    with transaction.atomic(), declared(NAIVE):
        for first in range(0, len(decoded), batch_size):
            AuditProjection("g").apply(decoded[first : first + batch_size])
        rows = log_query(event_filter, NOW).matching.values_list("stream__name", "entry_id")
        found: set[tuple[str, EntryId]] = set(rows)
        transaction.set_rollback(True)
    assert not LoggedEvent.objects.exists()
    with declared(NAIVE):
        matching = [event for event in events if event_filter.matches(event, NOW)]
    assert found == {(event.stream, event.entry_id) for event in matching}


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries)
def test_the_log_gives_an_entry_back_byte_for_byte(entries: list[Entry]) -> None:
    from evdash.eventlog.event_pages import events_of
    from evdash.eventlog.group_progress import all_stream_numbers

    events = [decode(entry) for entry in entries]
    with transaction.atomic():
        AuditProjection("g").apply(events)
        kept = events_of(LoggedEvent.objects.all(), all_stream_numbers([]))
        transaction.set_rollback(True)
    assert {event.entry for event in kept} == set(entries)
    assert sorted(kept, key=repr) == sorted(inherit_among(events), key=repr)
