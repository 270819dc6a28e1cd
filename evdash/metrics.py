"""The figures of a web process, each declared once. `/metrics` sums them over all processes behind the port.

`manage.py serve` gives its processes a directory (PROMETHEUS_MULTIPROC_DIR) in which prometheus_client keeps their
figures; without one they stay in memory and are those of this process alone. Only web processes import this module: it
takes some 40 ms. https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

# The time at which each counter was created would be a metric of its own.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()


class Age:
    """Seconds since something last happened. They grow until `set` is called again, in whichever process is asked."""

    def __init__(self, name: str, documentation: str) -> None:
        self.name = name
        # The clock is one for all processes: https://docs.python.org/3/library/time.html#time.monotonic
        self._happened_s = Gauge(name, documentation, registry=REGISTRY, multiprocess_mode="liveall")

    def set(self, age_s: float) -> None:
        """Note that it happened so long ago in this process."""
        self._happened_s.set(time.monotonic() - age_s)

    def of_the_oldest(self, metric: Metric) -> Metric:
        """Return the age in the process where it is longest ago; without a sample while it has happened in none."""
        happened_s = [sample.value for sample in metric.samples if sample.value]
        ages = Metric(metric.name, metric.documentation, "gauge")
        if happened_s:
            ages.add_sample(metric.name, {}, time.monotonic() - min(happened_s))
        return ages


def _sum(name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=REGISTRY, multiprocess_mode="livesum")


OPEN_SOCKETS: Final = _sum("evdash_open_sockets", "Sockets open in all web processes.")
ROWS_PUSHED: Final = Counter("evdash_rows_pushed", "Rows pushed to open pages.", registry=REGISTRY)
TAIL_ENTRIES: Final = _sum("evdash_tail_entries", "Entries in memory of the tails of all web processes.")
TAIL_BYTES: Final = _sum("evdash_tail_bytes", "Bytes of those entries.")
TAIL_CONTACT_AGE: Final = Age(
    "evdash_tail_contact_age_seconds",
    "Seconds since Redis last answered a tail, of the web process where it is longest ago.",
)
REQUESTS_IN_PROGRESS: Final = _sum("evdash_requests_in_progress", "Requests that are being answered.")
REQUESTS_WAITING: Final = _sum("evdash_requests_waiting", "Requests that wait for their turn.")
REQUESTS_REFUSED: Final = Counter(
    "evdash_requests_refused", "Requests refused because of load.", labelnames=("reason",), registry=REGISTRY
)
_REFUSED_S: Final[deque[float]] = deque(maxlen=10_000)
REFUSED_WITHIN_S: Final = 60.0
for _reason in ("queue full", "waited too long"):  # 0 until there are any, as of the other figures
    REQUESTS_REFUSED.labels(_reason)
REQUESTS_ABANDONED: Final = Counter(
    "evdash_requests_abandoned", "Requests whose client went away before the answer.", registry=REGISTRY
)
PAGE_SECONDS: Final = Histogram(
    "evdash_page_seconds",
    "Server time of pages, without the wait for their turn.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
REDIS_DEADLINE_HITS: Final = Counter(
    "evdash_redis_deadline_hits", "Pages that spent the time that they may wait for Redis.", registry=REGISTRY
)
SQL_DEADLINE_HITS: Final = Counter(
    "evdash_sql_deadline_hits",
    "Pages that could not be made because the database was locked or did not answer.",
    registry=REGISTRY,
)


def collect() -> Iterator[Metric]:
    """Yield the figures of all web processes that share the directory; without one, of this process."""
    for metric in _collected():
        yield TAIL_CONTACT_AGE.of_the_oldest(metric) if metric.name == TAIL_CONTACT_AGE.name else metric


def _collected() -> Iterable[Metric]:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY.collect()
    collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    merged: Iterable[Metric] = collector.collect()  # type: ignore[no-untyped-call]
    return merged


def note_refusal(reason: str) -> None:
    """Count a request that was refused because of load."""
    REQUESTS_REFUSED.labels(reason).inc()
    _REFUSED_S.append(time.monotonic())


def refused_lately() -> int:
    """Return how many requests this process has refused within the last REFUSED_WITHIN_S, 10,000 at most."""
    since_s = time.monotonic() - REFUSED_WITHIN_S
    return sum(refused_s >= since_s for refused_s in list(_REFUSED_S))
