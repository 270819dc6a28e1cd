"""The analytics projection: the durations of operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from evdash.eventlog.models import LatencyCount
from evdash.eventlog.time_buckets import WIDTHS_S, slot_start_s
from evdash.events.deduplication import CountChange
from evdash.events.latency_sketch import bucket_of, operation
from evdash.ingest.projections.base import CountingProjection
from evdash.ingest.read_models import save


class AnalyticsProjection(CountingProjection):
    """Latencies of each operation by minute, hour and day, in buckets."""

    name = "analytics"

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        added: Counter[tuple[int, int, str, int, int]] = Counter()
        for change in changed:
            event = change.event
            if event.latency_ms is not None and change.counts:
                bucket = bucket_of(event.latency_ms)
                for width_s in WIDTHS_S:
                    start_s = slot_start_s(event.occurred_us, width_s)
                    added[width_s, start_s, operation(event), bucket, numbers[event.stream]] += change.counts
        if not added:
            return
        found = LatencyCount.objects.filter(
            width_s__in=WIDTHS_S,
            start_s__in={key[1] for key in added},
            operation__in={key[2] for key in added},
            bucket__in={key[3] for key in added},
            stream_id__in=set(numbers.values()),
        )
        known = [row for row in found if _key(row) in added]
        for row in known:
            added[_key(row)] += row.events
        rows = [
            LatencyCount(
                width_s=width_s, start_s=start_s, operation=name, bucket=bucket, stream_id=number, events=events
            )
            for (width_s, start_s, name, bucket, number), events in added.items()
        ]
        save(LatencyCount, ["width_s", "start_s", "operation", "bucket", "stream"], rows)
        emptied = [row.pk for row in known if not added[_key(row)]]
        LatencyCount.objects.filter(pk__in=emptied).delete()

    def _clear(self) -> None:
        super()._clear()
        LatencyCount.objects.all().delete()


def _key(row: LatencyCount) -> tuple[int, int, str, int, int]:
    return row.width_s, row.start_s, row.operation, row.bucket, row.stream_id
