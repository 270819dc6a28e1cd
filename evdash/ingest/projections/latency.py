"""The analytics projection: the durations of operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from evdash.eventlog.bulk import Merge, upsert
from evdash.eventlog.models import LatencyCount
from evdash.eventlog.time_buckets import MINUTE_S, WIDTHS_S, slot_start_s
from evdash.events.deduplication import CountChange
from evdash.events.event import Event
from evdash.events.latency_sketch import bucket_of, operation
from evdash.ingest.projections.base import CountingProjection

_KEY: Final = ("width_s", "start_s", "operation", "bucket", "stream_id")


class AnalyticsProjection(CountingProjection):
    """Latencies of each operation by minute, hour and day, in buckets."""

    name = "analytics"

    def _has_effect(self, event: Event) -> bool:
        return event.latency_ms is not None

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        by_minute: Counter[tuple[int, str, int, int]] = Counter()
        for change in changed:
            event = change.event
            if event.latency_ms is not None and change.counts:
                minute_s = slot_start_s(event.occurred_us, MINUTE_S)
                key = (minute_s, operation(event), bucket_of(event.latency_ms), numbers[event.stream])
                by_minute[key] += change.counts
        added: Counter[tuple[int, int, str, int, int]] = Counter()
        for (minute_s, name, bucket, number), events in by_minute.items():
            for width_s in WIDTHS_S:
                added[width_s, minute_s // width_s * width_s, name, bucket, number] += events
        rows = [(*key, events) for key, events in added.items() if events]
        upsert(LatencyCount, (*_KEY, "events"), rows, key=_KEY, merge=(("events", Merge.SUM),))
        if starts := {key[1] for key, events in added.items() if events < 0}:
            LatencyCount.objects.filter(width_s__in=WIDTHS_S, start_s__in=starts, events=0).delete()

    def _clear(self) -> None:
        super()._clear()
        LatencyCount.objects.all().delete()
