"""The run loop of a worker: waiting, back-off after an outage, and an orderly end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from django.db import connection
from structlog.stdlib import get_logger

from evdash.eventlog.group_progress import compared_through
from evdash.ingest.batch import OUTAGES
from evdash.ingest.problem_report import ProblemReport
from evdash.ingest.reconciliation import IdRange, range_before, reconcile
from evdash.ingest.redecoding import Redecoding
from evdash.ingest.worker import Worker
from evdash.streams.client import Refused, StreamsUnavailable
from evdash.streams.consumer_group import GroupMissing
from evdash.streams.stream_info import existing_streams

ACCOUNT_EVERY_S = 5.0
RETAIN_EVERY_S = 30.0
KEEP_EVERY_S = 5.0
REDECODE_EVERY_S = 1.0


@dataclass(slots=True)
class PeriodicTask:
    """A task that is due at intervals. `when_idle`: only if there is nothing to read."""

    every_s: float
    do: Callable[[], int]
    when_idle: bool = False
    due_s: float = field(default=0.0)

    def postpone(self, now_s: float) -> None:
        """Set the next due time to about one interval from now; random, so that several workers do not coincide."""
        self.due_s = now_s + self.every_s * random.uniform(0.8, 1.2)


class WorkerRunner:
    """Connects one worker and runs its periodic tasks; each task returns how many entries it processed."""

    def __init__(
        self,
        worker: Worker,
        retain: Callable[[], int] | None = None,
        keep: Callable[[], int] | None = None,
        redecoding: Redecoding | None = None,
    ) -> None:
        """Set up the tasks: `retain` trims the streams, `keep` stores snapshots of sessions."""
        self.worker = worker
        self.redecoding = redecoding
        self._missing_ranges: dict[str, IdRange] = {}
        self.chores = [
            PeriodicTask(worker.claim_idle_ms / 4000, worker.claim),
            PeriodicTask(worker.claim_idle_ms / 4000, worker.recheck_pending),
            PeriodicTask(ACCOUNT_EVERY_S, self.account, when_idle=True),
        ]
        if retain is not None:
            self.chores.append(PeriodicTask(RETAIN_EVERY_S, retain))
        if redecoding is not None:
            self.chores += [
                PeriodicTask(REDECODE_EVERY_S, redecoding.step),
                PeriodicTask(0.0, redecoding.step, when_idle=True),
            ]
        if keep is not None:
            self.chores += [PeriodicTask(KEEP_EVERY_S, keep), PeriodicTask(0.0, keep, when_idle=True)]

    @property
    def has_more(self) -> bool:
        """True if a task has work to do at once, so that the worker need not wait for entries."""
        return self.redecoding is not None and self.redecoding.has_more

    def connect(self) -> None:
        """Connect the worker, and find ranges that may be missing between its tables and its streams."""
        client = self.worker.consumer.client
        for stream, refusal in existing_streams(client, self.worker.watched).items():
            if refusal is not None:
                continue
            missing_range = range_before(self.worker.consumer, stream, self.worker.committed(stream))
            if missing_range is not None:
                self._missing_ranges[stream] = missing_range
        self.worker.connect()
        for chore in self.chores:
            chore.due_s = 0.0

    def run(self, *, idle: bool, all_now: bool = False) -> int:
        """Run the tasks that are due, or all of them with `all_now`; return how many entries were processed."""
        carried = 0
        for chore in self.chores:
            now_s = time.monotonic()
            if all_now or (chore.due_s <= now_s and (idle or not chore.when_idle)):
                chore.postpone(now_s)
                carried += chore.do()
        return carried

    def account(self) -> int:
        """Reconcile the tables with the streams; return how many missed entries are pending again."""
        missed = 0
        for stream in self.worker.streams:
            missed += reconcile(self.worker.consumer, self.worker.projection, stream, self._missing_ranges.get(stream))
            missing_range = self._missing_ranges.get(stream)
            if (
                missing_range is not None
                and compared_through([self.worker.projection.group], stream) > missing_range[1]
            ):
                del self._missing_ranges[stream]
        if missed:
            self.worker.recheck_pending()
        return missed


LOOK_EVERY_S: Final = 0.05
"""Longest wait of a full batch, in seconds, and interval of checks. One check is one short command per stream."""


def gather(worker: Worker, stop: threading.Event, batch_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait after a batch that was not full, so that no entry is applied later than `batch_ms` after its XADD.

    The next batch is expected to take as long as the last one, which was read `clock() - worker.read_at_s` ago. The
    wait therefore becomes shorter with more load, and is 0 under full load. It ends early if a full batch is available
    or `stop` is set. Raises StreamsUnavailable or GroupMissing.
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


logger = get_logger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


def run(
    upkeep: WorkerRunner, stop: threading.Event, *, block_ms: int, batch_ms: int = 0, until_caught_up: bool = False
) -> int:
    """Process batches until `stop` is set, or with `until_caught_up` until no entry is left.

    Between two batches entries accumulate for up to `batch_ms` (see `gather`), never with `until_caught_up`.
    Returns how many entries were processed. An outage of Redis or SQL is logged once, and the loop retries until it is
    over. With `until_caught_up` an outage is raised instead, because a caller waits for the end. A missing group never
    ends the loop: the next connection creates it.
    """
    worker = upkeep.worker
    group = worker.projection.group
    report = ProblemReport(group, worker.consumer.consumer)
    carried = 0
    connected = False
    pause_s = FIRST_PAUSE_S
    failed_at_s: float | None = None  # the end of the last pause; None: there is no outage
    while not stop.is_set():
        try:
            if not connected:
                upkeep.connect()
                connected = True
            handled = worker.step(0 if until_caught_up or upkeep.has_more else block_ms)
            handled += upkeep.run(idle=handled == 0, all_now=until_caught_up and handled == 0)
            carried += handled
            if not until_caught_up:
                gather(worker, stop, batch_ms)
        except OUTAGES as error:
            if until_caught_up and not isinstance(error, GroupMissing):
                raise
            if failed_at_s is None:
                logger.warning(
                    _event_of(error), group=group, reason=str(error), hint="The worker retries until it succeeds."
                )
            connected = False
            connection.close()
            if isinstance(error, StreamsUnavailable):
                report.update({"": error})
            stop.wait(pause_s * random.uniform(0.5, 1.5))
            failed_at_s = time.monotonic()
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            continue
        # The outage is over only after work has succeeded for as long as the last pause. A success can be followed by
        # another failure.
        if failed_at_s is not None and time.monotonic() - failed_at_s >= pause_s / 2:
            logger.info("worker recovered", group=group)
            failed_at_s, pause_s = None, FIRST_PAUSE_S
        if failed_at_s is None:
            report.update(worker.refused)
        if handled == 0 and until_caught_up and not upkeep.has_more:
            if worker.retry_in_s is None:
                break
            stop.wait(worker.retry_in_s)
    return carried


def _event_of(outage: Exception) -> str:
    """Return the name of the log event for one of OUTAGES."""
    if isinstance(outage, GroupMissing):
        return "consumer group missing"
    if isinstance(outage, Refused):
        return "redis refused"
    return "redis unavailable" if isinstance(outage, StreamsUnavailable) else "database error"
