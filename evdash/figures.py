"""The figures of a web process, each declared once. `/metrics` sums them over all processes behind the port.

`manage.py serve` gives its processes a directory (PROMETHEUS_MULTIPROC_DIR) in which prometheus_client keeps their
figures; without one they stay in memory and are those of this process alone. Only web processes import this module: it
takes some 40 ms. https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

# The time at which each counter was created would be a metric of its own.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()


def _sum(name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=REGISTRY, multiprocess_mode="livesum")


OPEN_SOCKETS: Final = _sum("evdash_open_sockets", "Sockets open in all web processes.")
ROWS_PUSHED: Final = Counter("evdash_rows_pushed", "Rows pushed to open pages.", registry=REGISTRY)
TAIL_ENTRIES: Final = _sum("evdash_tail_entries", "Entries in memory of the tails of all web processes.")
TAIL_BYTES: Final = _sum("evdash_tail_bytes", "Bytes of those entries.")
TAIL_CONTACT_AGE: Final = Gauge(
    "evdash_tail_contact_age_seconds",
    "Seconds since Redis last answered a tail, of the web process where it is longest ago.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
REQUESTS_IN_PROGRESS: Final = _sum("evdash_requests_in_progress", "Requests that are being answered.")
REQUESTS_WAITING: Final = _sum("evdash_requests_waiting", "Requests that wait for their turn.")
REQUESTS_REFUSED: Final = Counter(
    "evdash_requests_refused", "Requests refused because of load.", labelnames=("reason",), registry=REGISTRY
)
REQUESTS_ABANDONED: Final = Counter(
    "evdash_requests_abandoned", "Requests whose client went away before the answer.", registry=REGISTRY
)
REDIS_DEADLINE_HITS: Final = Counter(
    "evdash_redis_deadline_hits", "Redis calls ended by the deadline of their request.", registry=REGISTRY
)
SQL_DEADLINE_HITS: Final = Counter(
    "evdash_sql_deadline_hits", "SQL statements ended by the deadline of their request.", registry=REGISTRY
)


def collect() -> Iterable[Metric]:
    """Return the figures of all web processes that share the directory; without one, of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY.collect()
    collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    merged: Iterable[Metric] = collector.collect()  # type: ignore[no-untyped-call]
    return merged
