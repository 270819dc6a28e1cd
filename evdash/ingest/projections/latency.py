"""The analytics projection: the durations of operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from evdash.eventlog.bulk import Merge, insert, upsert
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.latencies import stored_parts
from evdash.eventlog.models import CallTiming, LatencyCount
from evdash.eventlog.time_buckets import WIDTHS_S, slot_start_s
from evdash.events.call_latencies import Parts, changed_latencies, with_parts
from evdash.events.deduplication import CountChange
from evdash.events.event import Event
from evdash.ingest.projections.base import CountingProjection

_KEY: Final = ("width_s", "start_s", "operation", "bucket", "stream_id")


class AnalyticsProjection(CountingProjection):
    """Latencies of each operation by minute, hour and day, in buckets."""

    name = "analytics"

    def _has_effect(self, event: Event) -> bool:
        return event.latency_ms is not None or bool(event.session_id and event.call_id)

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        added: Counter[tuple[int, int, str, int, int]] = Counter()
        counted = with_parts(changed)
        latencies = changed_latencies(counted, stored_parts(counted))
        if any(latency.stream not in numbers for latency in latencies):  # the other entry of a call may be anywhere
            numbers = all_stream_numbers(())
        for latency, events in latencies.items():
            for width_s in WIDTHS_S:
                start_s = slot_start_s(latency.occurred_us, width_s)
                added[width_s, start_s, latency.operation, latency.bucket, numbers[latency.stream]] += events
        _store_parts(counted, numbers)
        rows = [(*key, events) for key, events in added.items() if events]
        upsert(LatencyCount, (*_KEY, "events"), rows, key=_KEY, merge=(("events", Merge.SUM),))
        if starts := {key[1] for key, events in added.items() if events < 0}:
            LatencyCount.objects.filter(width_s__in=WIDTHS_S, start_s__in=starts, events=0).delete()

    def _clear(self) -> None:
        super()._clear()
        LatencyCount.objects.all().delete()
        CallTiming.objects.all().delete()


def _store_parts(changed: Sequence[tuple[CountChange, Parts]], numbers: Mapping[str, int]) -> None:
    """Store the parts of calls that these changes count, and delete those that they take back."""
    for change, parts in changed:
        if change.counts < 0:
            entry = {"stream_id": numbers[change.event.stream], "entry_id": change.event.entry_id}
            for session_id, call_id in dict(parts):
                CallTiming.objects.filter(session_id=session_id, call_id=call_id, **entry).delete()
    rows = [
        (
            *key, numbers[part.stream], part.entry_id.to_bytes(), part.is_call, part.occurred_us, part.latency_ms,
            part.tool, part.type,
        )
        for change, parts in changed
        if change.counts > 0
        for key, part in parts
    ]  # fmt: skip
    insert(CallTiming, _PART, rows)


_PART: Final = (
    "session_id", "call_id", "stream_id", "entry_id", "is_call", "occurred_us", "latency_ms", "tool", "type",
)  # fmt: skip
