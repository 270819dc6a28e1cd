"""What a worker does beside reading: now and then, between two batches."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from evdash.eventlog.positions import compared_through
from evdash.workers.accounting import Hole, account, hole_before
from evdash.workers.worker import Worker

ACCOUNT_EVERY_S = 5.0
RETAIN_EVERY_S = 30.0
KEEP_EVERY_S = 5.0


@dataclass(slots=True)
class Chore:
    """Something to do every so often. `when_idle`: only when there is nothing to read."""

    every_s: float
    do: Callable[[], int]
    when_idle: bool = False
    due_s: float = field(default=0.0)

    def postpone(self, now_s: float) -> None:
        """Due again after about its interval: several workers shall not do it at the same moment."""
        self.due_s = now_s + self.every_s * random.uniform(0.8, 1.2)


class Upkeep:
    """The chores of one worker; each returns how many entries it carried over."""

    def __init__(
        self, worker: Worker, retain: Callable[[], int] | None = None, keep: Callable[[], int] | None = None
    ) -> None:
        """`retain` trims the streams, `keep` keeps states of sessions."""
        self.worker = worker
        self._holes: dict[str, Hole] = {}
        self.chores = [
            Chore(worker.claim_idle_ms / 4000, worker.claim),
            Chore(worker.claim_idle_ms / 4000, worker.look_at_pending),
            Chore(ACCOUNT_EVERY_S, self.account, when_idle=True),
        ]
        if retain is not None:
            self.chores.append(Chore(RETAIN_EVERY_S, retain))
        if keep is not None:
            self.chores += [Chore(KEEP_EVERY_S, keep), Chore(0.0, keep, when_idle=True)]

    def connect(self) -> None:
        """Connect the worker, and see what is missing between its tables and its streams."""
        for stream in self.worker.streams:
            hole = hole_before(self.worker.consumer, stream, self.worker.committed(stream))
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
            missed += account(self.worker.consumer, self.worker.projection, stream, self._holes.get(stream))
            hole = self._holes.get(stream)
            if hole is not None and compared_through([self.worker.projection.group], stream) > hole[1]:
                del self._holes[stream]
        if missed:
            self.worker.look_at_pending()
        return missed
