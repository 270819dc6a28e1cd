"""Prometheus metrics. Unknown values are left out, so that they are never taken for zero.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import redis
from django.conf import settings
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from evdash import metrics as process_metrics
from evdash.eventlog.current_reader import tail_of_process
from evdash.eventlog.decoders import redecoding_progress
from evdash.eventlog.group_progress import gap_totals, group_totals
from evdash.health.current import Health, current_health
from evdash.health.readiness import readiness
from evdash.streams.client import Refused, StreamsUnavailable, call, open_client
from evdash.streams.dead_letters import parked_count
from evdash.streams.stream_info import group_infos, stream_info

GROUP = ("group", "stream")


class Metrics(Collector):
    """All metrics, read again for each scrape."""

    def collect(self) -> Iterator[Metric]:
        health = current_health()
        yield _of_checks(health)
        yield from _of_groups()
        yield from _of_gaps()
        yield _to_redecode()
        yield _conditions(health)
        yield from _of_redis()
        process_metrics.note_tail(tail_of_process())
        yield from process_metrics.collect()


def _of_checks(health: Health) -> Metric:
    ready = GaugeMetricFamily("evdash_ready", "Whether a check of /readyz passes.", labels=("check",))
    for check in readiness(health).checks:
        ready.add_metric((check.name,), check.passed)
    return ready


def _of_groups() -> Iterator[Metric]:
    applied = CounterMetricFamily("evdash_applied_events", "Applied events.", labels=GROUP)
    batches = CounterMetricFamily("evdash_applied_batches", "Applied batches.", labels=GROUP)
    seconds = CounterMetricFamily("evdash_apply_seconds", "Time spent applying batches.", labels=GROUP)
    parked = CounterMetricFamily("evdash_parked_entries", "Dead-lettered entries.", labels=GROUP)
    for totals in group_totals():
        labels = (totals.group, totals.stream)
        applied.add_metric(labels, totals.applied)
        batches.add_metric(labels, totals.batches)
        seconds.add_metric(labels, totals.apply_s)
        parked.add_metric(labels, totals.parked)
    yield from (applied, batches, seconds, parked)


def _of_gaps() -> Iterator[Metric]:
    labels = ("stream", "kind")
    gaps = GaugeMetricFamily("evdash_gaps", "Gaps of the event log.", labels=labels)
    entries = GaugeMetricFamily("evdash_gap_entries", "Entries in gaps of known size.", labels=labels)
    for totals in gap_totals():
        gaps.add_metric((totals.stream, totals.kind), totals.gaps)
        entries.add_metric((totals.stream, totals.kind), totals.entries)
    yield from (gaps, entries)


def _to_redecode() -> Metric:
    progress = redecoding_progress(tail_of_process().groups)
    return GaugeMetricFamily(
        "evdash_events_to_redecode",
        "Events of the log that another decoder decoded.",
        value=progress.rows_left if progress else 0,
    )


def _conditions(health: Health) -> Metric:
    conditions = GaugeMetricFamily(
        "evdash_health_conditions", "Health conditions that hold now, as on Overview.", labels=("kind",)
    )
    for kind, number in health.numbers.items():
        conditions.add_metric((kind,), number)
    return conditions


def _of_redis() -> Iterator[Metric]:
    streams = _Streams()
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            with suppress(Refused):  # a server that cannot save its data refuses PING, and answers all the same
                call(client, "PING")
            for stream in settings.EVDASH.streams:
                streams.ask(client, stream)
            is_up = True
        except StreamsUnavailable:
            is_up = False
    yield GaugeMetricFamily("evdash_redis_up", "Whether Redis answers.", value=is_up)
    yield from streams.metrics


class _Streams:
    """The metrics of streams and groups, for the streams that Redis has reported."""

    def __init__(self) -> None:
        self.length = GaugeMetricFamily("evdash_stream_length", "Entries in a stream.", labels=("stream",))
        self.parked = GaugeMetricFamily(
            "evdash_parked_stream_length", "Entries in the dead-letter stream.", labels=("stream",)
        )
        self.pending = GaugeMetricFamily(
            "evdash_group_pending_entries", "Pending entries: delivered and not acknowledged.", labels=GROUP
        )
        self.lag = GaugeMetricFamily(
            "evdash_group_lag_entries",
            "Entries not yet delivered to a group; a lower bound if evdash_group_lag_exact is 0.",
            labels=GROUP,
        )
        self.exact = GaugeMetricFamily("evdash_group_lag_exact", "Whether the lag is exact.", labels=GROUP)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.length, self.parked, self.pending, self.lag, self.exact

    def ask(self, client: redis.Redis, stream: str) -> None:
        """Add the metrics of one stream. Raises StreamsUnavailable if Redis is unreachable.

        Metrics that Redis refuses to report are left out.
        """
        try:
            info = stream_info(client, stream)
            self.length.add_metric((stream,), info.length if info else 0)
            for group in group_infos(client, stream):
                labels = (group.name, stream)
                self.pending.add_metric(labels, group.pending)
                if group.lag.count is not None:
                    self.lag.add_metric(labels, group.lag.count)
                    self.exact.add_metric(labels, group.lag.exact)
            self.parked.add_metric((stream,), parked_count(client, stream))
        except Refused:  # the key is not a stream, or this user may not read it
            return
