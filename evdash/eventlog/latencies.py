"""Latencies of operations over a time range: the analytics table joined with the uncommitted stream entries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from evdash.eventlog.bulk import select
from evdash.eventlog.event_query import slots_between
from evdash.eventlog.group_progress import all_stream_numbers
from evdash.eventlog.models import CallTiming, LatencyCount, TypeCount
from evdash.eventlog.read_transaction import read_transaction
from evdash.eventlog.stream_deltas import unapplied_deltas
from evdash.eventlog.time_buckets import DAY_S, RangeUs, in_us
from evdash.events.call_latencies import CallPart, Latency, Parts, changed_latencies, with_parts
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.inheritance import CallKey
from evdash.events.latency_sketch import percentile_ms
from evdash.streams.shared_tail import SharedTail, TailReading

OPERATIONS_MAX = 12


@dataclass(frozen=True, slots=True)
class OperationLatency:
    """The latency of one operation, or of all. Percentiles are within 5 % (events/latency_sketch.py)."""

    operation: str  # the tool, else the event type; "" for all operations together
    is_tool: bool
    events: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latencies of a time range."""

    all: OperationLatency | None  # None: no event of the range has a latency
    operations: tuple[OperationLatency, ...]  # the most frequent ones
    complete: bool  # False: the group is so far behind that only a part of its lag was read from the streams


def latencies(
    tail: SharedTail, reading: TailReading, group: str, since: datetime | None, until: datetime | None
) -> Latencies:
    """Return the latencies of a range of whole minutes, or of all events."""
    range_us = in_us(since, until)
    with read_transaction():
        added = with_parts(unapplied_deltas(tail, reading, group, all_stream_numbers(tail.streams)).changes)
        counts = _counts(changed_latencies(added, stored_parts(added)), range_us)
        rows = LatencyCount.objects.filter(slots_between(*range_us)).values_list("operation", "bucket")
        for name, bucket, events in rows.annotate(Sum("events")):
            counts[name][bucket] += events
        types = set(TypeCount.objects.filter(width_s=DAY_S, type__in=list(counts)).values_list("type", flat=True))
    types |= {change.event.type for change, _ in added}
    return _latencies(counts, types, complete=reading.reaches(group))


def latencies_of(changes: Sequence[CountChange], since: datetime | None, until: datetime | None) -> Latencies:
    """Return the latencies of these changes in the range, without the tables."""
    counts = _counts(changed_latencies(with_parts(changes), {}), in_us(since, until))
    return _latencies(counts, {change.event.type for change in changes}, complete=True)


def stored_parts(changes: Iterable[tuple[CountChange, Parts]]) -> Mapping[CallKey, list[CallPart]]:
    """Return the parts that the tables have of the calls of these changes."""
    keys = {key for _, parts in changes for key, _ in parts}
    if not keys:
        return {}
    streams = {number: name for name, number in all_stream_numbers(()).items()}
    values = ("stream_id", "entry_id", "is_call", "occurred_us", "latency_ms", "tool", "type")
    parts = defaultdict[CallKey, list[CallPart]](list)
    for session_id, call_id, number, packed, is_call, *others in select(
        CallTiming, ("session_id", "call_id"), keys, values
    ):
        part = CallPart(EntryId.from_bytes(bytes(packed)), streams[number], bool(is_call), *others)
        parts[session_id, call_id].append(part)
    return parts


def _counts(latencies: Mapping[Latency, int], range_us: RangeUs) -> dict[str, Counter[int]]:
    since_us, until_us = range_us
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for latency, events in latencies.items():
        after_start = since_us is None or latency.occurred_us >= since_us
        if after_start and (until_us is None or latency.occurred_us < until_us):
            counts[latency.operation][latency.bucket] += events
    return counts


def _latencies(counts: Mapping[str, Counter[int]], types: Collection[str], *, complete: bool) -> Latencies:
    together: Counter[int] = Counter()
    for buckets in counts.values():
        together.update(buckets)
    by_operation = [latency for name, buckets in counts.items() if (latency := _latency(name, buckets, types))]
    by_operation.sort(key=lambda latency: (-latency.events, latency.operation))
    return Latencies(_latency("", together, types), tuple(by_operation[:OPERATIONS_MAX]), complete)


def _latency(name: str, buckets: Mapping[int, int], types: Collection[str]) -> OperationLatency | None:
    p50, p95, p99 = (percentile_ms(buckets, share) for share in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return None
    return OperationLatency(name, bool(name) and name not in types, sum(buckets.values()), p50, p95, p99)
