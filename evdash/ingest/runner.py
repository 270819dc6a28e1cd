"""The loop around a worker: waiting, back-off after an outage, and an orderly end."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from django.db import connection

from evdash.eventlog.group_progress import compared_through
from evdash.ingest.batch import OUTAGES
from evdash.ingest.reconciliation import IdRange, range_before, reconcile
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupMissing

ACCOUNT_EVERY_S = 5.0
RETAIN_EVERY_S = 30.0
KEEP_EVERY_S = 5.0


@dataclass(slots=True)
class PeriodicTask:
    """Something to do every so often. `when_idle`: only when there is nothing to read."""

    every_s: float
    do: Callable[[], int]
    when_idle: bool = False
    due_s: float = field(default=0.0)

    def postpone(self, now_s: float) -> None:
        """Due again after about its interval: several workers shall not do it at the same moment."""
        self.due_s = now_s + self.every_s * random.uniform(0.8, 1.2)


class WorkerRunner:
    """The chores of one worker; each returns how many entries it carried over."""

    def __init__(
        self, worker: Worker, retain: Callable[[], int] | None = None, keep: Callable[[], int] | None = None
    ) -> None:
        """`retain` trims the streams, `keep` keeps states of sessions."""
        self.worker = worker
        self._holes: dict[str, IdRange] = {}
        self.chores = [
            PeriodicTask(worker.claim_idle_ms / 4000, worker.claim),
            PeriodicTask(worker.claim_idle_ms / 4000, worker.recheck_pending),
            PeriodicTask(ACCOUNT_EVERY_S, self.account, when_idle=True),
        ]
        if retain is not None:
            self.chores.append(PeriodicTask(RETAIN_EVERY_S, retain))
        if keep is not None:
            self.chores += [PeriodicTask(KEEP_EVERY_S, keep), PeriodicTask(0.0, keep, when_idle=True)]

    def connect(self) -> None:
        """Connect the worker, and see what is missing between its tables and its streams."""
        for stream in self.worker.streams:
            hole = range_before(self.worker.consumer, stream, self.worker.committed(stream))
            if hole is not None:
                self._holes[stream] = hole
        self.worker.connect()
        for chore in self.chores:
            chore.due_s = 0.0

    def run(self, *, idle: bool, all_now: bool = False) -> int:
        """Do what is due, or with `all_now` everything; returns how many entries were carried over."""
        carried = 0
        for chore in self.chores:
            now_s = time.monotonic()
            if all_now or (chore.due_s <= now_s and (idle or not chore.when_idle)):
                chore.postpone(now_s)
                carried += chore.do()
        return carried

    def account(self) -> int:
        """Compare the tables with the streams; returns how many entries were missed and are to be read now."""
        missed = 0
        for stream in self.worker.streams:
            missed += reconcile(self.worker.consumer, self.worker.projection, stream, self._holes.get(stream))
            hole = self._holes.get(stream)
            if hole is not None and compared_through([self.worker.projection.group], stream) > hole[1]:
                del self._holes[stream]
        if missed:
            self.worker.recheck_pending()
        return missed


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


logger = logging.getLogger("evdash.workers")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


def run(
    upkeep: WorkerRunner, stop: threading.Event, *, block_ms: int, batch_ms: int = 0, until_caught_up: bool = False
) -> int:
    """Carry batches over until `stop` is set, or with `until_caught_up` until none is left.

    Between two batches entries gather for up to `batch_ms` (gathering.py), never with `until_caught_up`.
    Returns how many entries were carried over. An outage of Redis or SQL is logged once and waited out; with
    `until_caught_up` it is raised instead, because then somebody waits for the end.
    """
    worker = upkeep.worker
    group = worker.projection.group
    carried = 0
    connected = False
    pause_s = FIRST_PAUSE_S
    failed_at_s: float | None = None  # the end of the last pause; None: there is no outage
    while not stop.is_set():
        try:
            if not connected:
                upkeep.connect()
                connected = True
            handled = worker.step(0 if until_caught_up else block_ms)
            handled += upkeep.run(idle=handled == 0, all_now=until_caught_up and handled == 0)
            carried += handled
            if not until_caught_up:
                gather(worker, stop, batch_ms)
        except OUTAGES as error:
            if until_caught_up and not isinstance(error, GroupMissing):
                raise
            if failed_at_s is None:
                logger.warning("%s: %s Trying again until it works.", group, str(error).rstrip(".") + ".")
            connected = False
            connection.close()
            stop.wait(pause_s * random.uniform(0.5, 1.5))
            failed_at_s = time.monotonic()
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            continue
        # Over only when it has worked for as long as was waited last: something may work, and the next thing not.
        if failed_at_s is not None and time.monotonic() - failed_at_s >= pause_s / 2:
            logger.info("%s: it works again.", group)
            failed_at_s, pause_s = None, FIRST_PAUSE_S
        if handled == 0 and until_caught_up:
            if worker.retry_in_s is None:
                break
            stop.wait(worker.retry_in_s)
    return carried
