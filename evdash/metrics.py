"""Metrics of a web process, each declared once. `/metrics` combines them over all processes behind the port.

`manage.py serve` gives its processes a directory (PROMETHEUS_MULTIPROC_DIR) in which prometheus_client keeps their
metrics. Without one they stay in memory and are those of this process alone. Only web processes import this module,
because the import takes some 40 ms. https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from glob import glob
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

from evdash.streams.client import last_answer
from evdash.streams.shared_tail import SharedTail

# The creation time of each counter would otherwise be a separate metric.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()
_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"


class Newest:
    """Time of the newest occurrence in any web process, in Unix seconds."""

    def __init__(self, name: str, documentation: str) -> None:
        self.name = name
        self._gauge = Gauge(name, documentation, registry=REGISTRY, multiprocess_mode="max")

    def note(self, happened_at_s: float) -> None:
        """Record an occurrence at this time in this process."""
        self._gauge.set(happened_at_s)

    def read(self) -> float | None:
        """Return the time of the newest occurrence; None: never."""
        directory = os.environ.get(_DIRECTORY)
        if directory is None:
            merged = list(self._gauge.collect())
        else:
            files = glob(os.path.join(directory, "gauge_max_*.db"))
            merged = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        seen = [sample.value for metric in merged if metric.name == self.name for sample in metric.samples]
        return max(seen, default=0.0) or None


def _sum(name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=REGISTRY, multiprocess_mode="livesum")


OPEN_SOCKETS: Final = _sum("evdash_open_sockets", "Sockets open in all web processes.")
ROWS_PUSHED: Final = Counter("evdash_rows_pushed", "Rows pushed to open pages.", registry=REGISTRY)
TAIL_ENTRIES: Final = _sum("evdash_tail_entries", "Entries in memory of the tails of all web processes.")
TAIL_BYTES: Final = _sum("evdash_tail_bytes", "Bytes of those entries.")
REDIS_ANSWERED: Final = Newest(
    "evdash_redis_answered_timestamp_seconds", "When Redis last answered a web process, in Unix seconds."
)
REQUEST_REFUSED: Final = Newest(
    "evdash_request_refused_timestamp_seconds", "When a request was last refused because of load, in Unix seconds."
)
REQUESTS_IN_PROGRESS: Final = _sum("evdash_requests_in_progress", "Requests in progress.")
REQUESTS_WAITING: Final = _sum("evdash_requests_waiting", "Waiting requests.")
REQUESTS_REFUSED: Final = Counter(
    "evdash_requests_refused", "Requests refused because of load.", labelnames=("reason",), registry=REGISTRY
)
REFUSED_WITHIN_S: Final = 60.0
for _reason in ("queue full", "waited too long"):  # 0 until the first refusal, like the other figures
    REQUESTS_REFUSED.labels(_reason)
REQUESTS_ABANDONED: Final = Counter(
    "evdash_requests_abandoned", "Requests whose client disconnected before the response.", registry=REGISTRY
)
PAGE_SECONDS: Final = Histogram(
    "evdash_page_seconds",
    "Server time of pages, without the wait for their turn.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
REDIS_DEADLINE_HITS: Final = Counter(
    "evdash_redis_deadline_hits", "Pages that reached the time limit for Redis.", registry=REGISTRY
)
SQL_DEADLINE_HITS: Final = Counter(
    "evdash_sql_deadline_hits",
    "Pages that failed because the database was locked or did not answer.",
    registry=REGISTRY,
)


def collect() -> Iterator[Metric]:
    """Yield the metrics of all web processes that share the directory; without one, of this process.

    The time of something that never occurred has no sample.
    """
    never = [each.name for each in (REDIS_ANSWERED, REQUEST_REFUSED) if each.read() is None]
    for metric in _collected():
        if metric.name in never:
            metric.samples.clear()
        yield metric
    age = Metric("evdash_tail_contact_age_seconds", "Seconds since Redis last answered a web process.", "gauge")
    if answered_at_s := REDIS_ANSWERED.read():
        age.add_sample(age.name, {}, max(time.time() - answered_at_s, 0.0))
    yield age


def _collected() -> Iterable[Metric]:
    if _DIRECTORY not in os.environ:
        return REGISTRY.collect()
    collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    merged: Iterable[Metric] = collector.collect()  # type: ignore[no-untyped-call]
    return merged


def note_tail(tail: SharedTail) -> None:
    """Record the size of this process's tail, and the time at which Redis last answered it."""
    held = tail.figures()
    TAIL_ENTRIES.set(held.entries)
    TAIL_BYTES.set(held.bytes)
    if answered_at := last_answer(tail.client):
        REDIS_ANSWERED.note(answered_at.timestamp())


def note_refusal(reason: str) -> None:
    """Count a request that was refused because of load."""
    REQUESTS_REFUSED.labels(reason).inc()
    REQUEST_REFUSED.note(time.time())


def refused_lately() -> datetime | None:
    """Return the time (UTC) of the last refused request in any web process.

    Return None if there is none within REFUSED_WITHIN_S.
    """
    refused_at_s = REQUEST_REFUSED.read()
    is_lately = refused_at_s is not None and time.time() - refused_at_s < REFUSED_WITHIN_S
    return datetime.fromtimestamp(refused_at_s, UTC) if refused_at_s and is_lately else None


def redis_answered() -> datetime | None:
    """Return the time (UTC) at which Redis last answered a web process; None: never since the server started."""
    answered_at_s = REDIS_ANSWERED.read()
    return datetime.fromtimestamp(answered_at_s, UTC) if answered_at_s else None
