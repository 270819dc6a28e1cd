"""Gathering: a pause between two reads, so that entries come in batches and each batch pays its fixed cost once.

Entries gather in Redis, not in memory. Nothing is pending for the consumer while it waits, so a stop or a crash
changes nothing for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from evdash.workers.worker import Worker

LOOK_EVERY_S: Final = 0.05
"""How long a full batch waits at most. One look is one short command."""


def gather(worker: Worker, stop: threading.Event, batch_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait after a batch that was not full, such that no entry is applied later than `batch_ms` after its XADD.

    The next batch is expected to take as long as the last one, which was read `clock() - worker.read_at_s` ago. So
    the wait is shorter the more there is to do, and 0 under full load. It ends early when a full batch is there or
    `stop` is set. Raises StreamsUnavailable or GroupMissing.
    """
    read_at_s, now_s = worker.read_at_s, clock()
    if read_at_s is None:
        return
    until_s = read_at_s + batch_ms / 1000 - (now_s - read_at_s)
    look_at_s = read_at_s + LOOK_EVERY_S
    while now_s < until_s:
        if look_at_s <= now_s:
            if worker.has_full_batch():
                return
            look_at_s = now_s + LOOK_EVERY_S
        if stop.wait(min(until_s, look_at_s) - now_s):
            return
        now_s = clock()
